"""``python -m bench``: every benchmark in a process of its own, a table, and files in ``bench/results/``."""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bench.command import Figures, parser
from bench.machine import this_machine
from bench.place import Unavailable
from bench.results import show, write
from bench.server import OWN, server, settings_of

_BENCHMARKS = (
    "pipeline",
    "timers",
    "growth",
    "verify",
    "sealing",
    "replaying",
    "million",
    "scaling",
    "latency",
    "mail",
    "texts",
)
# Of the others one kind of store says enough.
_ON_BOTH = ("pipeline", "timers", "growth", "scaling", "latency")
_ROOT = Path(__file__).parent.parent
_FAILED = "the benchmark failed; see above"

# A benchmark that hangs must not keep the others from their turn.
_LONGEST_SECONDS = {"quick": 180, "full": 3 * 3600}


def main() -> int:
    """Run what the arguments ask for; 1 if a benchmark failed."""
    arguments = _arguments()
    # A benchmark that is told to end must end its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Taken first: the benchmarks make load of their own.
    machine = this_machine(arguments.folder)
    try:
        with server(arguments.postgresql or OWN, arguments.folder) as url:
            machine = replace(machine, postgresql=settings_of(str(url)))
            results = _measured(arguments, url)
    except Unavailable as error:
        sys.stderr.write(f"nothing is measured on PostgreSQL: {error}\n")
        results = _measured(arguments, None)
    write(results, machine, size=arguments.size, whole=not arguments.only)
    show(results, machine)
    return int(any(figures.get("unavailable") == _FAILED for figures in results.values()))


def _measured(arguments: argparse.Namespace, url: str | None) -> dict[str, Figures]:
    """Figures by benchmark and store; those that could not be taken say why."""
    results: dict[str, Figures] = {}
    for name in arguments.only or _BENCHMARKS:
        for kind in ("sqlite", "postgresql") if name in _ON_BOTH else ("sqlite",):
            title = f"{name}-{kind}" if name in _ON_BOTH else name
            if kind == "postgresql" and url is None:
                results[title] = {"unavailable": "there was no PostgreSQL server"}
                continue
            figures = _run(name, title, arguments, url=url if kind == "postgresql" else None)
            results[title] = figures or {"unavailable": _FAILED}
    return results


def _arguments() -> argparse.Namespace:
    made = parser()
    made.prog = "python -m bench"
    made.add_argument("--only", metavar="NAME", action="append", choices=_BENCHMARKS, help="may come again")
    return made.parse_args()


def _run(name: str, title: str, arguments: argparse.Namespace, *, url: str | None) -> Figures | None:
    """The benchmark's figures; None where it failed, and it has said why."""
    command = [sys.executable, "-m", f"bench.{name}", f"--{arguments.size}"]
    if url is not None:
        command += ["--postgresql", url]
    if arguments.folder:
        command += ["--folder", str(arguments.folder)]
    began = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - our own
            command, cwd=_ROOT, stdout=subprocess.PIPE, check=False, timeout=_LONGEST_SECONDS[arguments.size]
        )
    except subprocess.TimeoutExpired as late:
        sys.stderr.write(f"{title}: ended after {late.timeout:.0f} s, which no benchmark should need\n")
        return None
    sys.stderr.write(f"{title}: {time.monotonic() - began:.0f} s\n")
    if done.returncode:
        return None
    figures: Figures = msgspec.json.decode(done.stdout, type=dict[str, object])
    return figures


if __name__ == "__main__":
    sys.exit(main())
