"""Who stands for a change: one person, two, a release of Tidings, or a program."""

import unicodedata
from importlib.metadata import PackageNotFoundError, version

from msgspec import Struct

from domain.approvals import RELEASE


class Person(Struct, frozen=True):
    """Who gives a command, as they name themselves, and why; ``reason`` may be ""."""

    name: str
    reason: str = ""


class Sanction(Struct, frozen=True):
    """Who proposed a publication and who approved it; ``proposal`` is "" where one word was enough."""

    proposed_by: str
    approved_by: str
    reason: str
    proposal: str = ""

    @classmethod
    def alone(cls, person: Person) -> "Sanction":
        """One person's word."""
        return cls(person.name, person.name, person.reason)


def release() -> Sanction:
    """What comes with Tidings is approved by its release."""
    return Sanction.alone(Person(f"{RELEASE}{_version()}", "shipped"))


# For programs that publish by ``tidings.authoring`` and name nobody.
UNNAMED = Sanction.alone(Person("program", "published by a program that names nobody"))


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: case, width and spaces make no other person."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    # Twice, since what one of the two makes can be changed by the other.
    for _ in range(2):
        name = unicodedata.normalize("NFKC", name.casefold())
    return " ".join(name.split())


def _version() -> str:
    try:
        return version("tidings")
    except PackageNotFoundError:
        # Run from its sources, nothing is installed.
        return "unreleased"
