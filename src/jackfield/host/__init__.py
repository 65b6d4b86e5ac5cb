"""The hands of an agent: sysfs, netlink and libvirt of one host, behind small Protocols.

Decides nothing, remembers nothing, and never talks to the control side.
"""
