"""A worker process that serves by a clock that runs fast, and can be killed at any moment.

``python -m support.served STORE START SPEED --record FILE`` serves with a provider that notes in a file what
it takes; with ``--channels FILE`` it sends by the providers of these settings. START is an ISO instant: where
the fast clock stood when the machine's own showed ``--since`` (seconds since 1970).
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from signal import SIGKILL
from threading import Event

from support.stream import Provider
from tidings.bootstrap import bootstrap
from tidings.providers import opened
from tidings.serving import Serving
from tidings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


class FastClock:
    """A clock that shows ``start`` at ``since`` and runs ``speed`` times as fast as the machine's."""

    def __init__(self, start: datetime, since: float, speed: float) -> None:
        self._start = start
        self._since = since
        self._speed = speed

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=(time.time() - self._since) * self._speed)


class Served:
    """The process, as a test has it; it is started anew after each kill."""

    def __init__(self, store: str, start: datetime, *, speed: float, ways: Sequence[str]) -> None:
        """``ways`` is how it sends, in the words of the command line."""
        self._command = [
            sys.executable,
            "-m",
            "support.served",
            store,
            start.isoformat(),
            str(speed),
            "--since",
            str(time.time()),
            *ways,
        ]
        self.clock = FastClock(start, float(self._command[7]), speed)
        self.process = self._begin()

    def kill(self) -> None:
        """SIGKILL, and another one in its place."""
        assert self.process.poll() is None, "the worker ended by itself"
        os.kill(self.process.pid, SIGKILL)
        self.process.wait()
        self.process = self._begin()

    def end(self) -> None:
        """SIGKILL, and no other one."""
        self.process.kill()
        self.process.wait()

    def _begin(self) -> "subprocess.Popen[bytes]":
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        return subprocess.Popen(self._command, env={**os.environ, "PYTHONPATH": paths}, cwd=ROOT)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("start", type=datetime.fromisoformat)
    parser.add_argument("speed", type=float)
    parser.add_argument("--since", type=float, required=True)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--channels", type=Path)
    given = parser.parse_args()
    settings = Settings(given.store)
    if given.record:
        tidings = bootstrap(settings, channels=Provider(given.record).channels)
    else:
        tidings, _ = opened(settings, given.channels)
    Serving(tidings, clock=FastClock(given.start, given.since, given.speed)).work(Event())


if __name__ == "__main__":
    main()
