"""Everything that is wrong with a policy beyond its shape, with its place."""

from collections.abc import Iterator, Mapping

from domain.calendars import Calendar
from domain.policy import Policy
from journeys.problem import Problem


def policy_problems(policy: Policy, calendars: Mapping[str, Calendar]) -> Iterator[Problem]:
    """Windows whose calendar does not exist or knows no working days, in the order of the document."""
    fit = sorted(known.calendar for known in calendars.values() if known.working)
    for index, window in enumerate(policy.quiet_hours):
        if window.holidays is not None and window.holidays.calendar not in fit:
            path = ("quiet_hours", index, "holidays", "calendar")
            values = {"found": window.holidays.calendar, "expected": ", ".join(fit)}
            yield Problem("policy.unknown_calendar", path, values)
