"""Backtests on a test's bank, without the command line."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, field

from domain.policy import Policy
from journeys.definition import Journey
from support.bank import Bank
from tidings.authoring import rules_of, templates_of
from tidings.bootstrap import bootstrap
from tidings.documents import Documents
from tidings.trying.backtest import Chosen, Found, Period, backtest
from tidings.trying.in_place import Rulebooks
from tidings.trying.rulebook_times import Times, times_of
from tidings.trying.unlike import Row


class Relived(Struct, frozen=True):
    """What a backtest found, with every difference."""

    found: Found
    rows: list[Row] = field(default_factory=list)

    @property
    def what(self) -> list[tuple[str, str, str]]:
        """Customer, step and sort of every difference."""
        return [(row.customer, row.step, row.what) for row in self.rows]


def relived(
    bank: Bank,
    *journeys: Journey,
    begun: datetime,
    ended: datetime,
    drafts: Documents | None = None,
    policy: Policy | None = None,
    without: Sequence[str] = (),
    chosen: Chosen | None = None,
) -> Relived:
    """These documents over the bank's history."""
    tidings = bootstrap(bank.settings, read_only=True)
    history = tidings.history
    try:
        found = ((number, times_of(history, number)) for number in history.customer_partitions())
        times: list[tuple[int, Times]] = [(number, known) for number, known in found if known is not None]
        in_force = {number for _, known in times for number in known.in_force(begun=begun, ended=ended)}
        rulebooks = Rulebooks(
            rules_of(history.rulebooks()),
            templates_of(history.documents()),
            drafts or Documents(list(journeys), [], policy=policy),
            period=in_force,
            without=without,
        )
        rows: list[Row] = []
        period = Period(begun, ended, chosen or Chosen())
        return Relived(
            backtest(period, history, rulebooks, times, progress=lambda _: None, write=rows.append), rows
        )
    finally:
        tidings.engine.dispose()
