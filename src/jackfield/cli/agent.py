"""`jackfield agent`: the host side, one for each hypervisor."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from jackfield.cli.settings import ClientSettings, Settings
from jackfield.model.address import MacAddress
from jackfield.model.error import Rejected
from jackfield.reconcile.action import Naming

app = typer.Typer(add_completion=False)

log = structlog.get_logger()


class AgentSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="JACKFIELD_AGENT_")
    TABLE = "agent"

    host: str = Field(default_factory=socket.gethostname)
    spec: Path = Path("/etc/jackfield/host-spec.toml")
    state: Path = Path("/var/lib/jackfield-agent")
    sysfs: Path = Path("/sys")
    libvirt_uri: str = "qemu:///system"
    migrate_uri: str | None = None
    """None: `qemu+tls://<host>/system`."""
    bridge_mappings: dict[str, str] = Field(default_factory=dict)
    netdev_rename_by: Naming = Naming.RENAME
    interval_seconds: float = Field(default=5.0, ge=0.1, le=3600)


@app.command()
def agent(
    host: Annotated[str | None, typer.Option(help="This host's name; the machine's unless given.")] = None,
    url: Annotated[str | None, typer.Option(help="The server; JACKFIELD_URL.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the token that `host add` printed; JACKFIELD_TOKEN_FILE.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="The host spec: which devices are offered.")] = None,
    state: Annotated[Path | None, typer.Option(help="Its journal: what it did to this host.")] = None,
    sysfs: Annotated[Path | None, typer.Option(help="Where PCI facts are read; /sys unless given.")] = None,
    libvirt_uri: Annotated[str | None, typer.Option(help="This host's libvirt.")] = None,
    migrate_uri: Annotated[
        str | None, typer.Option(help="This host's libvirt as other hosts reach it.")
    ] = None,
    bridge: Annotated[
        list[str] | None,
        typer.Option(help="<physical network>=<bridge>, for ports of type normal; may be repeated."),
    ] = None,
    netdev_rename_by: Annotated[
        Naming | None,
        typer.Option(help="How `netdev-rename` names a device; altname for plain netdevs only."),
    ] = None,
) -> None:
    """Run the agent of this host.

    It offers the devices that the host spec names, and makes true what the server wants of this host. It may
    be killed at any time: its journal and the host itself tell the next one where things stand.
    """
    from jackfield.agent.act import Outcome
    from jackfield.agent.journal import FileKeeper, Notebook
    from jackfield.agent.loop import Agent, Hands, Loop
    from jackfield.cli import logs
    from jackfield.client.client import Client
    from jackfield.effect import ThreadExecutor
    from jackfield.host.libvirt import LibvirtConnection
    from jackfield.host.libvirt_events import LibvirtEvents
    from jackfield.host.netlink import NetlinkSocket
    from jackfield.host.netlink_events import NetlinkEvents
    from jackfield.host.specfile import SpecFile
    from jackfield.host.sysfs import SysfsTree
    from jackfield.reconcile.step import Settings as StepSettings

    logs.set_up()
    settings = AgentSettings.load(
        host=host,
        spec=spec,
        state=state,
        sysfs=sysfs,
        libvirt_uri=libvirt_uri,
        migrate_uri=migrate_uri,
        bridge_mappings=_mappings(bridge),
        netdev_rename_by=netdev_rename_by,
    )
    access = ClientSettings.load(url=url, token_file=token_file)
    netlink = NetlinkSocket()

    def permanent_macs() -> dict[str, MacAddress]:
        return {name: link.permanent_mac for name, link in netlink.links().items() if link.permanent_mac}

    wake = threading.Event()
    with Client(access.url, access.find_token(), access.timeout) as client:
        loop = Loop(
            Agent(
                settings.host,
                control=client,
                hands=Hands(
                    sysfs=SysfsTree(settings.sysfs, permanent_macs=permanent_macs),
                    netlink=netlink,
                    libvirt=LibvirtConnection(settings.libvirt_uri),
                    specs=SpecFile(settings.spec),
                ),
                notebook=Notebook(FileKeeper(settings.state)),
                executor=ThreadExecutor[Outcome](wake.set),
                settings=StepSettings(
                    naming=settings.netdev_rename_by, bridge_mappings=settings.bridge_mappings
                ),
                migrate_uri=settings.migrate_uri or f"qemu+tls://{settings.host}/system",
            ),
            wake,
            interval=settings.interval_seconds,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stop())
        # They only wake the loop; what is true, it reads itself.
        events = (NetlinkEvents(wake.set), LibvirtEvents(settings.libvirt_uri, wake.set))
        for source in events:
            source.start()
        log.info("agent-running", host=settings.host, server=access.url, state=str(settings.state))
        try:
            loop.run()
        finally:
            for source in events:
                source.stop()
            log.info("agent-stopped", host=settings.host)


def _mappings(bridges: list[str] | None) -> dict[str, str] | None:
    """Raises `Rejected` (`bridge-malformed`)."""
    if bridges is None:
        return None
    mappings: dict[str, str] = {}
    for text in bridges:
        physical_network, equals, bridge = text.partition("=")
        if not (physical_network and equals and bridge):
            raise Rejected("bridge-malformed", f"--bridge {text!r}: write <physical network>=<bridge>")
        mappings[physical_network] = bridge
    return mappings
