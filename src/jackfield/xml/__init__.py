"""libvirt's XML: text in, text out, and values that say what stands in it.

What we do not know in a document is kept as it was. Nothing here talks to libvirt, or reads a file that
a document names.
"""
