"""The story of the demo, told on any stage: a guest with a piece of a network card moves and comes back."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jackfield.cli.wait import until, until_gone, until_settled
from jackfield.client import Client
from jackfield.model.error import Conflict
from jackfield.model.migration import MigrationState, StrategyName
from jackfield.model.port import VnicType
from jackfield.wire.instance import Machine
from jackfield.wire.migration import Migration

REPORT = Path(".demo/report.json")
SETTLE_SECONDS = 2.0
"""How long the guest is watched before and after a move, so that a late silence is seen, too."""


class Silence(Protocol):
    """What somebody found out who asked the guest every 20 ms whether it was there."""

    @property
    def lost(self) -> int: ...

    @property
    def longest_seconds(self) -> float: ...


class Watch(Protocol):
    """Somebody who is asking."""

    received: int

    @property
    def longest_silence(self) -> float: ...

    def stop(self) -> Silence: ...


class Stage(Protocol):
    """Two hosts with devices of one kind, each with an agent, and a control plane."""

    is_simulated: bool
    hosts: tuple[str, str]

    @property
    def machine(self) -> Machine: ...

    def up(self, say: Callable[[str], None]) -> None: ...

    def client(self) -> Client: ...

    def wait_for_guest(self) -> float:
        """Seconds until the guest answered."""
        ...

    def watch(self) -> Watch: ...

    def leftovers(self) -> list[str]:
        """What Jackfield left on the hosts: names, altnames, MACs, guests."""
        ...

    def hints(self) -> list[str]:
        """Commands to try while it is kept running."""
        ...

    def down(self) -> list[str]:
        """Takes the stage itself down; what is left of it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One move, as it went."""

    strategy: str
    source_device: str
    target_device: str
    seconds: float
    longest_silence_seconds: float
    pings_lost: int


def tell(stage: Stage, *, keep: bool = False, report: Path = REPORT) -> int:
    """Tells the story and writes the report; 0 when every move was made and nothing was left behind."""
    # Where it is no terminal, nothing wraps at 80 columns for nobody.
    console = Console(width=None if sys.stdout.isatty() else 110)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(Text.assemble((f"{time.monotonic() - began:6.1f} s  ", "dim"), line), soft_wrap=True)

    told: list[Told] = []
    leftovers: list[str] = []
    try:
        stage.up(say)
        with stage.client() as client:
            told = _acts(stage, client, console, say)
            if keep:
                _write(report, told, leftovers, stage)
                console.print(_table(told))
                say("everything is left running; try next:")
                for hint in stage.hints():
                    console.print(f"    {hint}", soft_wrap=True)
                return 0
            _end(client, say)
            leftovers += [f"claim {claim.id} is {claim.state}" for claim in client.claims()]
            leftovers += stage.leftovers()
    finally:
        if not keep:
            say("everything is taken down")
            leftovers += stage.down()
    console.print(_table(told))
    say("nothing is left behind" if not leftovers else f"LEFT BEHIND: {'; '.join(leftovers)}")
    _write(report, told, leftovers, stage)
    say(f"the report is in {report}")
    return 0 if told and not leftovers else 1


def _acts(stage: Stage, client: Client, console: Console, say: Callable[[str], None]) -> list[Told]:
    here, there = stage.hosts
    offered = [
        device for device in until(client.devices, lambda found: _both(found, stage)) if device.offered
    ]
    say(f"{len(offered)} VFs are offered by their hosts' specs, on physical network physnet1")
    client.create_flavor(
        "fast-nic", [{"vendor": "8086", "product": "10ca"}], description="a VF of its own for each NIC"
    )
    client.create_network("blue", "physnet1")
    port = client.create_port("blue-1", "blue", vnic_type=VnicType.MACVTAP, flavor="fast-nic")
    say(f"PCI flavor fast-nic, network blue, port blue-1 with MAC {port.mac_address}")
    client.boot_instance(
        "traveller", stage.machine, ["blue-1"], host=here, strategy=StrategyName.NETDEV_RENAME
    )
    guest = until_settled(client, "traveller")
    profile = guest.ports[0].profile
    say(f"instance traveller runs on {guest.host} with device {profile['pci_slot']}")
    say(f"the guest answers after {stage.wait_for_guest():.1f} s")
    return [
        _move(stage, client, console, say, there, StrategyName.NETDEV_RENAME),
        _move(stage, client, console, say, here, StrategyName.DESTINATION_XML),
    ]


def _both(devices: Sequence[object], stage: Stage) -> bool:
    hosts = {getattr(device, "host", None) for device in devices if getattr(device, "offered", False)}
    return hosts == set(stage.hosts)


def _move(
    stage: Stage,
    client: Client,
    console: Console,
    say: Callable[[str], None],
    target: str,
    strategy: StrategyName,
) -> Told:
    say(f"live migration to {target} by {strategy.value}, under continuous ping:")
    watch = stage.watch()
    time.sleep(SETTLE_SECONDS)
    began = time.monotonic()
    migration = client.migrate("traveller", target=target, strategy=strategy)
    with Live(console=console, refresh_per_second=10, transient=not console.is_terminal) as live:

        def look() -> Migration:
            now = client.migration(migration.id)
            if console.is_terminal:
                live.update(_progress(now, watch))
            return now

        over = until(look, lambda one: one.state is not MigrationState.RUNNING)
    seconds = time.monotonic() - began
    if over.state is not MigrationState.DONE:
        raise Conflict("migration-failed", f"the migration ended as {over.state.value}: {over.error}")
    time.sleep(SETTLE_SECONDS)
    silence = watch.stop()
    move = over.plan.moves[0]
    say(
        f"done in {seconds:.1f} s: {move.source_netdev} on {over.source} → {move.target_netdev} on "
        f"{over.target}; silence {silence.longest_seconds:.2f} s"
    )
    return Told(
        strategy=move.strategy.value,
        source_device=f"{over.source}/{move.source_address}",
        target_device=f"{over.target}/{move.target_address}",
        seconds=round(seconds, 3),
        longest_silence_seconds=round(silence.longest_seconds, 3),
        pings_lost=silence.lost,
    )


def _progress(migration: Migration, watch: Watch) -> Table:
    table = Table.grid(padding=(0, 2))
    for record in migration.records:
        took = (record.ended_at - record.began_at).total_seconds() if record.ended_at else None
        table.add_row(
            "  ✔" if took is not None else "  ▶",
            record.name.value,
            f"{took:.2f} s" if took is not None else "…",
        )
    if migration.percent_moved is not None:
        table.add_row("", "memory moved", f"{migration.percent_moved} %")
    table.add_row("", f"pings answered {watch.received}", f"longest silence {watch.longest_silence:.2f} s")
    return table


def _end(client: Client, say: Callable[[str], None]) -> None:
    client.delete_instance("traveller")
    until_gone(client, "traveller")
    for port in client.ports():
        client.delete_port(port.name)
    say("instance and port are deleted, the devices are proved free")


def _table(told: Sequence[Told]) -> Table:
    table = Table(title="A guest keeps its network card while it moves")
    for name in ("strategy", "source device", "target device"):
        table.add_column(name, no_wrap=True)
    for name in ("seconds", "longest\nsilence", "pings\nlost"):
        table.add_column(name, justify="right", no_wrap=True)
    for move in told:
        table.add_row(
            move.strategy,
            move.source_device,
            move.target_device,
            f"{move.seconds:.1f}",
            f"{move.longest_silence_seconds:.2f} s",
            str(move.pings_lost),
        )
    return table


def _write(report: Path, told: Sequence[Told], leftovers: Sequence[str], stage: Stage) -> None:
    document: dict[str, object] = {"moves": [asdict(move) for move in told], "leftovers": list(leftovers)}
    if stage.is_simulated:
        document["simulated"] = True
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(document, indent=2) + "\n")


def quiet() -> None:
    """No log lines between the lines of the story."""
    import logging

    import structlog

    logging.getLogger().setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
