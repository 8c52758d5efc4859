"""The command line's reference names every command and every option."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tidings.cli import COMMANDS, commands

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
COMMON = {"--store", "--outbox", "--lang", "--json"}
# Told once, for all commands that change something or show somebody's data.
PERSON = {"--by", "--reason"}


def walked(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """The command and all below it, each with its whole name."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from walked(found, f"{name} {below}")


EVERY = dict(walked(commands, "tidings"))
LEAVES = {name: command for name, command in EVERY.items() if not isinstance(command, click.Group)}


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def part_of(page: str, name: str) -> str:
    """What the page says under the command's heading, up to the next of the same or a higher level."""
    heading = next((line for line in page.splitlines() if headed(line) == name), None)
    assert heading is not None, f"{name} has no heading"
    rest = page.split(f"\n{heading}\n", 1)[1]
    level = heading.partition(" ")[0]
    for higher in range(2, len(level) + 1):
        rest = rest.split(f"\n{'#' * higher} ", 1)[0]
    return rest


def headed(line: str) -> str:
    """The command that a heading such as ``## `tidings why MESSAGE_ID` `` is about; "" for other lines."""
    if not line.startswith("#") or "`" not in line:
        return ""
    words = line.split("`")[1].split()
    return " ".join(word for word in words if word.islower() and not word.startswith("-"))


def options_of(command: click.Command) -> list[str]:
    """The long names of the command's own options."""
    names = [name for p in command.params if isinstance(p, click.Option) for name in p.opts]
    return [name for name in names if name.startswith("--") and name not in COMMON | PERSON]


def test_the_walk_finds_every_command() -> None:
    assert {name.split()[1] for name in EVERY if name != "tidings"} == set(COMMANDS)


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_is_told_with_all_its_options(page: str, name: str) -> None:
    command = LEAVES[name]
    part = part_of(page, name)
    missing = [option for option in options_of(command) if f"`{option}" not in part]
    assert missing == []


@pytest.mark.parametrize("name", LEAVES)
def test_every_choice_of_an_option_is_named(page: str, name: str) -> None:
    part = part_of(page, name)
    for parameter in LEAVES[name].params:
        if isinstance(parameter.type, click.Choice) and not COMMON & set(parameter.opts):
            assert [choice for choice in parameter.type.choices if f"`{choice}`" not in part] == []


def test_the_common_options_are_told_once_for_all(page: str) -> None:
    for name, command in LEAVES.items():
        theirs = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
        assert theirs >= COMMON, name
    assert [option for option in sorted(COMMON | PERSON) if f"| `{option}" not in page] == []


def test_a_command_that_is_gone_is_gone_from_the_page(page: str) -> None:
    told = {headed(line) for line in page.splitlines()} - {""}
    assert told <= EVERY.keys()
