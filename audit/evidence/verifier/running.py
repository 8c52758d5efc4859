"""The verifier's command: what it is given, what it checks in which order, and its exit code."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audit.evidence.verifier.documents import check_consents, check_messages, check_rules
from audit.evidence.verifier.files import Files
from audit.evidence.verifier.findings import SAID, Findings, Wrong
from audit.evidence.verifier.history import History, check_clear, check_history
from audit.evidence.verifier.proofs import check_proofs


def verified(place: Path, say: Findings, *, key: str | None = None, kept: Path | None = None) -> bool:
    """Whether every check on the pack at ``place`` (a zip or a folder) holds; each is told."""
    files: Files | None = None
    history: History | None = None

    def read() -> None:
        nonlocal files, history
        files = Files(place)
        for name in files.names(""):
            files.read(name)
        say.right("files", number=len(files.names("")))
        history = History(files)
        say.plain("about", **{name: history.pack[name] for name in ("customer", "since", "until")})

    _try(say, read)
    if files is not None and history is not None:
        pack, events = files, history
        _try(say, lambda: check_history(events, say))
        for check in (check_rules, check_messages, check_consents, check_clear):
            _try(say, partial(check, events, pack, say))
        _try(say, lambda: check_proofs(events, pack, say, key=key, kept=kept))
        say.open("later", last=len(events.events))
        say.open("not_decided")
        say.open("reports")
    say.plain("verdict_wrong" if say.failed else "verdict_right")
    return not say.failed


def _try(say: Findings, check: Callable[[], None]) -> None:
    try:
        check()
    except Wrong as found:
        say.wrong(found)
    except Exception as error:
        # Whatever somebody made of a file: a fault is a finding, never a crash.
        say.wrong(Wrong("unfit", reason=type(error).__name__ + ": " + str(error)))


def main(arguments: list[str]) -> int:
    """The exit code: 0 where every check holds, 1 where one does not, 2 for a wrong command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Checks an evidence pack. Needs no network and nothing but Python 3.9."
    )
    parser.add_argument(
        "pack", nargs="?", type=Path, default=Path(__file__).resolve().parent, help="zip or folder"
    )
    parser.add_argument("--key", help="the log's public key, as the bank has published it elsewhere")
    parser.add_argument("--checkpoint", type=Path, help="a file with a checkpoint that was kept elsewhere")
    parser.add_argument("--lang", choices=sorted(SAID) or ["en"], default="en", help="language of the lines")
    given = parser.parse_args(arguments)
    say = Findings(given.lang)
    return 0 if verified(given.pack, say, key=given.key, kept=given.checkpoint) else 1
