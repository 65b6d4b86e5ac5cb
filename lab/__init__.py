"""The two-hosts laboratory: two real libvirtd with QEMU on one machine, and a switch between them.

For the tests and the demo, never for production. It makes nothing outside of its own namespaces and its
state folder, and imports nothing of Jackfield, so that a fault in one cannot hide a fault in the other.
"""
