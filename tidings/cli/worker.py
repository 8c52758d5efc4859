"""tidings worker: one more process that decides and sends by the clock on the wall."""

import logging
import signal
from pathlib import Path
from threading import Event

import click

from tidings.bootstrap import wall_clock
from tidings.cli.terminal import Terminal, common_options
from tidings.serving import Serving, begin

channels_option = click.option(
    "--channels",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Settings of providers (or TIDINGS_CHANNELS); without it, messages go to the sandbox.",
)


@click.command("worker")
@channels_option
@common_options
def command(terminal: Terminal, channels: Path | None) -> None:
    """Decide and send as things fall due, beside other workers, until told to end."""
    # The providers' libraries cost more to import than most commands take.
    from tidings.providers import opened

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    tidings, ways = opened(terminal.settings, channels or terminal.settings.channels)
    begin(tidings, ways, wall_clock())
    stop = Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: stop.set())
    terminal.complain(terminal.wording.tell("worker.working", {"store": terminal.settings.shown_store}))
    Serving(tidings, clock=wall_clock).work(stop)
