"""The HTTP interface as typed Python: `Client` speaks to a server, for the CLI, agents and users.

It knows the wire and nothing behind it. Errors are the server's own, raised again.
"""

from jackfield.client.client import Client

__all__ = ["Client"]
