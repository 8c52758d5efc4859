"""The whole pipeline on one store: facts in, decided, committed, handed over, answers recorded.

Beside it, in the same run: bare inserts of the same rows (``bench/raw.py``), and a plain use of the
`eventsourcing` library (``bench/plain.py``), which keeps facts and decides nothing.
"""

from itertools import islice

from sqlalchemy import func, select

from bench.bank import bank, catch_up, judged, live, take
from bench.command import Figures, Size, main, rounded
from bench.place import Place, settle
from bench.plain import keep
from bench.raw import insert_again
from bench.stopwatch import Spent
from domain.catalogue import Envelope
from stores.database import connect, reading
from stores.schema import events, fact_keys, heads, messages, streams, tasks, timers

_CUSTOMERS = {"quick": 400, "full": 3_000}
_PLAIN_FACTS = {"quick": 2_000, "full": 10_000}
_ROUNDS = 3
_FACTS_OF_A_CUSTOMER = 80
_PARTITIONS = 8
_TABLES = (streams, fact_keys, events, heads, timers, messages, tasks)


def measure(size: Size, place: Place) -> Figures:
    """Three rounds, each on a new store; the one in the middle by its share of the bare inserts counts."""
    rounds = sorted((_round(place, _CUSTOMERS[size]) for _ in range(_ROUNDS)), key=_share)
    figures = rounds[_ROUNDS // 2]
    figures["shares_of_rounds"] = [_share(figures) for figures in rounds]
    return figures | _beside_plain(place, figures, facts=_PLAIN_FACTS[size])


def _share(figures: Figures) -> float:
    return float(str(figures["share_of_raw"]))


def _round(place: Place, customers: int) -> Figures:
    url = place.store("pipeline", partitions=_PARTITIONS)
    empty_bytes = settle(url)
    facts, taken, _ = take(url, bank(customers))
    lived = live(url)
    settle(url)
    projected = catch_up(url)
    store_bytes = settle(url) - empty_bytes
    rows = _rows(url)
    raw = insert_again(place, url, batches=lived.batches)
    place.drop("pipeline")
    run, number = lived.spent, judged(lived.tally)
    whole = taken.seconds + run.seconds + projected.seconds
    return {
        "customers": customers,
        "facts": facts,
        "events": lived.tally.events,
        "messages": number,
        "messages_sent": lived.tally.messages["accepted"],
        "transactions": lived.batches,
        "facts_per_s": rounded(facts / run.seconds),
        "messages_per_s": rounded(number / run.seconds),
        "events_per_s": rounded(lived.tally.events / run.seconds),
        "facts_per_cpu_s": rounded(facts / run.cpu_seconds),
        "facts_per_s_with_import_and_ledger": rounded(facts / whole),
        "import_facts_per_s": rounded(facts / taken.seconds),
        "ledger_seconds": rounded(projected.seconds),
        "run_seconds": rounded(run.seconds),
        "run_cpu_seconds": rounded(run.cpu_seconds),
        "share_of_raw": rounded(raw.log.seconds / run.seconds),
        "share_of_raw_cpu": rounded(raw.log.cpu_seconds / run.cpu_seconds),
        "share_of_raw_with_import_and_ledger": rounded((raw.log.seconds + raw.other.seconds) / whole),
        "raw_rows": raw.log_rows,
        "raw_seconds": rounded(raw.log.seconds),
        "raw_rows_per_s": rounded(raw.log_rows / raw.log.seconds),
        "events_per_fact": rounded(lived.tally.events / facts),
        "rows_per_fact": rounded(sum(rows.values()) / facts),
        "rows": rows,
        "bytes_per_event": rounded(store_bytes / lived.tally.events),
        "store_bytes": store_bytes,
    }


def _beside_plain(place: Place, figures: Figures, *, facts: int) -> Figures:
    plain = keep(place, _in_order(facts))
    ours = Spent(float(str(figures["run_seconds"])), float(str(figures["run_cpu_seconds"])))
    number = int(str(figures["facts"]))

    def times(theirs: Spent) -> tuple[float, float]:
        share = number / plain.facts
        return (
            rounded(theirs.seconds * share / ours.seconds),
            rounded(theirs.cpu_seconds * share / ours.cpu_seconds),
        )

    wall, cpu = times(plain.one_by_one)
    wall_in_batches, cpu_in_batches = times(plain.in_batches)
    return {
        "plain_facts": plain.facts,
        "plain_facts_per_s": rounded(plain.facts / plain.one_by_one.seconds),
        "plain_facts_per_cpu_s": rounded(plain.facts / plain.one_by_one.cpu_seconds),
        "plain_in_batches_facts_per_s": rounded(plain.facts / plain.in_batches.seconds),
        "times_plain": wall,
        "times_plain_cpu": cpu,
        "times_plain_in_batches": wall_in_batches,
        "times_plain_in_batches_cpu": cpu_in_batches,
    }


def _in_order(number: int) -> list[Envelope]:
    """Facts of few customers in the order of time, as they would be told to a plain application."""
    told = list(islice(bank(number // _FACTS_OF_A_CUSTOMER * 2), number))
    return sorted(told, key=lambda fact: fact.occurred_at)


def _rows(url: str) -> dict[str, int]:
    engine = connect(url)
    with reading(engine) as connection:
        found = {
            table.name: int(
                connection.execute(
                    select(func.count()).select_from(table).where(table.c.partition > 0)
                ).scalar_one()
            )
            for table in _TABLES
        }
    engine.dispose()
    return found


if __name__ == "__main__":
    main(measure)
