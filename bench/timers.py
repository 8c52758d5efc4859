"""Wake-ups: every customer has a birthday on one day, and all of them are greeted.

For each timer ours decides, judges and renders a message, commits, hands over, records the answer and plans
the next year. Beside it APScheduler with one job for each timer (``bench/jobs.py``), whose jobs do nothing.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from bench.bank import SINCE, judged, live, take
from bench.command import Figures, Size, main, rounded
from bench.jobs import run_jobs
from bench.place import Place, settle
from domain.catalogue import CustomerRegistered, Envelope

_TIMERS = {"quick": 10_000, "full": 100_000}
_JOBS = {"quick": 1_500, "full": 10_000}
_PARTITIONS = 8
_BORN = date(1980, 6, 15)
_BEFORE = SINCE.replace(month=6, day=14)
_AFTER = _BEFORE + timedelta(days=2)


def measure(size: Size, place: Place) -> Figures:
    """Register everybody, live to the eve, then measure the day."""
    number = _TIMERS[size]
    url = place.store("timers", partitions=_PARTITIONS)
    take(url, _registered(number))
    planned = live(url, until=_BEFORE)
    settle(url)
    fired = live(url, until=_AFTER, since=None)
    if judged(fired.tally) != number:
        raise AssertionError(f"{judged(fired.tally)} greetings for {number} birthdays")
    place.drop("timers")
    jobs = run_jobs(place.empty("jobs"), _JOBS[size])
    ours, theirs = fired.spent, jobs.fired
    return {
        "timers": number,
        "events": fired.tally.events,
        "timers_per_s": rounded(number / ours.seconds),
        "us_per_timer": rounded(ours.seconds / number * 1e6),
        "cpu_us_per_timer": rounded(ours.cpu_seconds / number * 1e6),
        "us_to_register_and_plan": rounded(planned.spent.seconds / number * 1e6),
        "plain_timers": jobs.number,
        "plain_us_per_timer": rounded(theirs.seconds / jobs.number * 1e6),
        "plain_cpu_us_per_timer": rounded(theirs.cpu_seconds / jobs.number * 1e6),
        "plain_us_to_plan": rounded(jobs.planned.seconds / jobs.number * 1e6),
        "times_plain": rounded(theirs.seconds / jobs.number / (ours.seconds / number)),
        "times_plain_cpu": rounded(theirs.cpu_seconds / jobs.number / (ours.cpu_seconds / number)),
    }


def _registered(number: int) -> Iterator[Envelope]:
    for customer in range(1, number + 1):
        fact = CustomerRegistered(
            source="/bench",
            id=f"r-{customer}",
            birth_date=_BORN,
            given_name="Jana",
            family_name="Kočí",
            language="en",
            zone="Europe/Prague",
            email=f"c{customer}@example.com",
        )
        at = SINCE + timedelta(seconds=customer)
        yield Envelope("customer.registered/1", f"C{customer:07d}", at, fact)


if __name__ == "__main__":
    main(measure)
