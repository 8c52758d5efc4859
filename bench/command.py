"""The command line that every benchmark has for itself: sizes and stores in, one JSON object out."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from bench.place import Place, Unavailable
from bench.server import OWN, server

Size = Literal["quick", "full"]
Figures = dict[str, object]
Measure = Callable[[Size, Place], Figures]


def parser() -> argparse.ArgumentParser:
    """``--quick`` (or ``--full``), ``--postgresql [URL]`` and ``--folder`` for the files."""
    made = argparse.ArgumentParser()
    size = made.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", default="quick")
    size.add_argument("--full", dest="size", action="store_const", const="full")
    made.add_argument(
        "--postgresql", metavar="URL", nargs="?", const=OWN, help="measure there, or on a server of its own"
    )
    made.add_argument("--folder", type=Path, help="where stores are made; a temporary one without it")
    return made


def main(measure: Measure) -> None:
    """Measure as the arguments say, and write the figures."""
    report(parser().parse_args(), measure)


def report(arguments: argparse.Namespace, measure: Measure) -> None:
    """Measure in a folder that is gone afterwards; write the figures, or why there are none."""
    with tempfile.TemporaryDirectory(prefix="tidings-bench-", dir=arguments.folder) as folder:
        try:
            with (
                server(arguments.postgresql, arguments.folder) as url,
                Place(Path(folder), url) as place,
            ):
                figures: Figures = {"size": arguments.size, "store": place.kind}
                figures |= measure(arguments.size, place)
        except Unavailable as error:
            figures = {"size": arguments.size, "unavailable": str(error)}
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")


def rounded(value: float, *, digits: int = 4) -> float:
    """The value with so many significant digits; more would claim what was not measured."""
    return float(f"{value:.{digits}g}")
