"""The parent of what a host's libvirtd leaves behind: it waits for it, so that no zombie stays.

libvirtd and QEMU daemonize and so become children of process 1. Where that is a container's, it may reap them
only after seconds, for which libvirt waits at the end of every guest. This process takes its place.
"""

import ctypes
import os
import subprocess
import sys

STARTED = "started"
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def main(argv: list[str]) -> int:
    """Starts a daemon, says so in a line, and stays as long as anything of it is alive."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    start = subprocess.run(argv, check=False)
    if start.returncode:
        return start.returncode
    print(STARTED, flush=True)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
