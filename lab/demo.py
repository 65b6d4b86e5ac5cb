"""`make demo`: the main job on two real hypervisors on this machine, or, where that cannot be, simulated."""

import argparse

from jackfield.cli.story import Stage, quiet, tell
from lab import needs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    arguments = parser.parse_args()
    quiet()
    return tell(_stage(), keep=arguments.keep)


def _stage() -> Stage:
    missing = needs.missing()
    if missing:
        from jackfield.sim.stage import SimStage

        print("Two real hypervisors on one machine need what is missing here:", "; ".join(missing))
        print("So the same story is told on SIMULATED hosts; the server and the agents are real.")
        return SimStage()
    from lab.stage import LabStage

    return LabStage()


if __name__ == "__main__":
    raise SystemExit(main())
