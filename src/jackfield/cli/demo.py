"""`jackfield demo`: the main job on two simulated hosts, for whoever has the package and nothing else."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


@app.command()
def demo() -> None:
    """Show the main job on two simulated hosts: boot a guest, move it live, bring it back.

    Server, agents, scheduling, claims and migrations are the real ones; hosts and guest are simulated. On
    Linux as root, `make demo` in the source tree shows it on real libvirt and QEMU.
    """
    from jackfield.cli.story import quiet, tell
    from jackfield.sim.stage import SimStage

    quiet()
    typer.echo("The hosts of this demo are SIMULATED; the server and the agents are real.")
    raise typer.Exit(tell(SimStage()))
