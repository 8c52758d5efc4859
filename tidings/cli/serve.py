"""tidings serve: the worker by the clock on the wall, and the application that hears what comes back."""

import logging
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import click

from domain.errors import InputRefused
from tidings.bootstrap import wall_clock
from tidings.cli.terminal import Terminal, common_options
from tidings.cli.worker import channels_option
from tidings.serving import Serving, Working, begin, sweeps_of


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any.")
@click.option("--no-worker", is_flag=True, help="Only hear: workers run elsewhere.")
@channels_option
@common_options
def command(terminal: Terminal, host: str, port: int, no_worker: bool, channels: Path | None) -> None:
    """Decide and send as things fall due, and take in what comes back, until told to end."""
    # The web framework and the providers' libraries cost more to import than most commands take.
    import uvicorn

    from tidings.application import served
    from tidings.providers import opened

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    tidings, ways = opened(terminal.settings, channels or terminal.settings.channels)
    begin(tidings, ways, wall_clock())
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(host, port))
        # Paths hold links that let whoever has them in: there is no log of who asked for what.
        config = uvicorn.Config(served(tidings, ways), log_config=None, access_log=False, server_header=False)
        server = uvicorn.Server(config)

        def end(*_: object) -> None:
            server.should_exit = True

        # The server hands a signal on when it has ended itself: by default that would kill the worker.
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, end)
        stack.enter_context(sweeps_of(tidings, ways, clock=wall_clock))
        if not no_worker:
            stack.enter_context(Working(Serving(tidings, clock=wall_clock).work, failed=end))
        terminal.complain(terminal.wording.tell("serve.listening", {"url": _url(listening)}))
        server.run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """Raises InputRefused where the address cannot be had."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise InputRefused("serve.no_address", host=host, port=port, reason=str(error.strerror)) from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"
