"""An office of several people who change a store that needs two of them, by commands."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.bank import PUBLISHED_AT, Bank
from tidings import cli
from tidings.approving import ask_for_two
from tidings.sanctions import Person

OWN = """\
journey: own
version: {version}
title: {{en: Own}}
purpose: service
topic: greetings
enter: {{by: fact, fact: x.ask/1}}
steps:
  - {{step: hello, do: send, template: {template}, channels: [email], next: {after}}}
  - {{step: rest, do: wait, days: {days}, at: "10:00", next: end}}
  - {{step: end, do: end}}
"""


class Office:
    """Commands on the bank's store, given by people who are named."""

    def __init__(self, bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
        """The store asks for two persons from here on."""
        self.bank = bank
        self._capsys = capsys
        tidings = bank.tidings
        ask_for_two(tidings.engine, person=Person("boss"), at=PUBLISHED_AT)
        tidings.engine.dispose()

    def __call__(self, *arguments: str, by: str | None = None, code: int = 0) -> tuple[str, str]:
        """What a command prints on stdout and stderr; it must end with this exit code."""
        named = ["--by", by] if by else []
        where = ["--store", self.bank.settings.store, "--outbox", str(self.bank.outbox)]
        found = cli.run([*arguments, *named, *where])
        out, err = self._capsys.readouterr()
        assert found == code, (out, err)
        assert "Traceback" not in err
        return out, err

    def json(self, *arguments: str, by: str | None = None) -> Any:
        """The command's one document."""
        return json.loads(self(*arguments, "--json", by=by)[0])

    def refused(self, *arguments: str, by: str | None = None) -> str:
        """The one line of a refusal."""
        out, err = self(*arguments, by=by, code=1)
        assert out == ""
        (line,) = err.strip().splitlines()
        return line

    def written(
        self, version: int = 1, *, days: int = 3, template: str = "birthday-greeting", after: str = "rest"
    ) -> Path:
        """The file of a journey of its own."""
        path = self.bank.path.parent / f"own-{version}-{days}.yaml"
        text = OWN.format(version=version, days=days, template=template, after=after)
        path.write_text(text, encoding="utf-8")
        return path

    def propose(self, version: int = 1, *, by: str = "anna", days: int = 3) -> str:
        """A version of the journey, proposed; gives the proposal's name."""
        told = self.json("journeys", "publish", str(self.written(version, days=days)), by=by)
        assert told["published"] == []
        name: str = told["proposal"]
        return name

    def in_force(self) -> dict[str, int]:
        """The journeys in force, each with its version."""
        return {found["journey"]: found["version"] for found in self.json("journeys", "list")}
