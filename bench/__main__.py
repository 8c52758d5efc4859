"""``python -m bench``: every benchmark in a process of its own, a table, and files in ``bench/results/``."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bench.command import Figures, parser
from bench.machine import this_machine
from bench.results import show, write

_BENCHMARKS = ("pipeline", "timers", "growth", "verify", "million", "scaling")
# Of the others one kind of store says enough.
_ON_BOTH = ("pipeline", "timers", "scaling")
_ROOT = Path(__file__).parent.parent


# A benchmark that hangs must not keep the others from their turn.
_LONGEST_SECONDS = {"quick": 120, "full": 3 * 3600}


def main() -> int:
    """Run what the arguments ask for; 1 if a benchmark failed."""
    arguments = _arguments()
    # Taken first: the benchmarks make load of their own.
    machine = this_machine(arguments.folder)
    results: dict[str, Figures] = {}
    failed = False
    for name in arguments.only or _BENCHMARKS:
        for kind in ("sqlite", "postgresql") if name in _ON_BOTH else ("sqlite",):
            title = f"{name}-{kind}" if name in _ON_BOTH else name
            if kind == "postgresql" and not arguments.postgresql:
                results[title] = {"unavailable": "no --postgresql URL was given"}
                continue
            figures = _run(name, title, arguments, kind=kind)
            failed = failed or figures is None
            results[title] = figures or {"unavailable": "the benchmark failed; see above"}
    write(results, machine, size=arguments.size, whole=not arguments.only)
    show(results, machine)
    return int(failed)


def _arguments() -> argparse.Namespace:
    made = parser()
    made.prog = "python -m bench"
    made.add_argument("--only", metavar="NAME", action="append", choices=_BENCHMARKS, help="may come again")
    return made.parse_args()


def _run(name: str, title: str, arguments: argparse.Namespace, *, kind: str) -> Figures | None:
    """The benchmark's figures; None where it failed, and it has said why."""
    command = [sys.executable, "-m", f"bench.{name}", f"--{arguments.size}"]
    if kind == "postgresql":
        command += ["--postgresql", arguments.postgresql]
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
