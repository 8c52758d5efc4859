"""What is ordered of journeys and templates that customers are in the middle of, as published documents."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from journeys.definition.words import Name

# ``stopped`` lets in nobody, and who is inside finishes; ``ended`` ends who is inside as well.
State = Literal["running", "paused", "stopped", "ended"]
Version = Annotated[int, Meta(ge=1)]


class _Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Control(_Order, frozen=True, kw_only=True):
    """Whether the journey runs. The highest ``version`` counts, for all versions of the journey.

    ``by`` ordered it for this ``reason``, where that is known. ``at`` (aware UTC) is when, of a guard's order
    and of those after it: what came back of messages before then is not held against the journey again.
    """

    journey: Name
    version: Version
    state: State
    by: str = ""
    reason: str = ""
    at: datetime | None = None


class Withdrawal(_Order, frozen=True, kw_only=True):
    """These ``versions`` of the template leave no more. The highest ``version`` of the withdrawal counts."""

    template: Name
    version: Version
    versions: tuple[Version, ...]


class Moves(_Order, frozen=True, kw_only=True):
    """Where who stands at each step of the version goes on; None: they leave the journey."""

    version: Version
    steps: dict[str, str | None]


class Migration(_Order, frozen=True, kw_only=True):
    """Who is inside an older version of the journey goes on in version ``to``.

    ``moves`` has each older version. ``version`` counts a journey's migrations, which are gone through in
    this order.
    """

    journey: Name
    version: Version
    to: Version
    moves: tuple[Moves, ...]

    def of(self, version: int) -> dict[str, str | None] | None:
        """Where the steps of this version lead; None where the migration leaves it alone."""
        return next((moves.steps for moves in self.moves if moves.version == version), None)


class Controls(_Order, frozen=True, kw_only=True):
    """All that is ordered now: of controls and withdrawals the newest by name, of migrations each."""

    journeys: tuple[Control, ...] = ()
    templates: tuple[Withdrawal, ...] = ()
    migrations: tuple[Migration, ...] = ()
