"""What a backtest found, as people read it: sentences and tables."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import to_builtins

from tidings.cli.backtest_data import as_json, every_sort, listed
from tidings.cli.terminal import Terminal
from tidings.cli.trying_shown import named
from tidings.documents import Documents
from tidings.trying.backtest import Found
from tidings.trying.fates import Sums
from tidings.trying.unlike import Row, Side

_SORTS = ("more", "fewer", "other", "moved", "held")


def show(
    terminal: Terminal,
    found: Found,
    drafts: Documents,
    without: Sequence[str],
    *,
    begun: datetime,
    ended: datetime,
) -> None:
    """The summary, the check on it, and what differs."""
    terminal.json(as_json(found, drafts, without, begun=begun, ended=ended))
    documents = ", ".join([*(f"{name} {version}" for _, name, version in listed(drafts))])
    terminal.tell(
        "backtest.tried" if documents else "backtest.tried_without",
        documents=documents,
        customers=f"{found.customers:,}",
        begun=f"{begun:%Y-%m-%d %H:%M}",
        ended=f"{ended:%Y-%m-%d %H:%M}",
    )
    if without:
        terminal.tell("backtest.without", journeys=", ".join(without))
    _summary(terminal, found)
    _check(terminal, found)
    _assumed(terminal, found)
    _messages(terminal, found)
    _journeys(terminal, found)
    _moved(terminal, found)
    _caps(terminal, found)
    _cost(terminal, found)
    _months(terminal, found)
    _rows(terminal, found.rows)


def _summary(terminal: Terminal, found: Found) -> None:
    """What one wants to know first, as a marketer reads it."""
    was, now = found.was.sent, found.tried.sent
    terminal.write()
    terminal.tell("backtest.sent", now=f"{now:,}", was=f"{was:,}", change=f"{now - was:+,}")
    customers, differences = found.differences.customers, found.differences
    if not differences.messages:
        terminal.tell("backtest.same")
        return
    terminal.tell(
        "backtest.customers",
        more=f"{customers['more']:,}",
        fewer=f"{customers['fewer']:,}",
        other=f"{customers['other']:,}",
        same=f"{found.customers - customers.total():,}",
    )
    for what, code in (("more", "backtest.because_more"), ("fewer", "backtest.because_fewer")):
        rules = _by_rule(differences.because, what)
        if rules:
            told = ", ".join(f"{_against(terminal, rule)} {number:,}" for rule, number in rules)
            terminal.tell(code, number=f"{sum(n for _, n in rules):,}", rules=told)


def _by_rule(because: Counter[tuple[str, str]], what: str) -> list[tuple[str, int]]:
    return sorted((rule, number) for (sort, rule), number in because.items() if sort == what)


def _against(terminal: Terminal, rule: str) -> str:
    status = f"backtest.status.{rule}"
    return terminal.wording.tell(status) if terminal.wording.has(status) else named(terminal, "", rule)


def _check(terminal: Terminal, found: Found) -> None:
    """Whether the same period under the rules of that time came out as it was recorded."""
    astray = found.astray.total()
    terminal.tell(
        "backtest.check" if not astray else "backtest.check_fails",
        customers=f"{found.customers + found.astray['unreadable'] - astray:,}",
        astray=f"{astray:,}",
        events=f"{found.events:,}",
        compared=f"{found.compared:,}",
        share=_percent(found.compared, found.events),
        sent=f"{found.sent:,}",
        was=f"{found.was.sent:,}",
    )
    for reason, number in sorted(found.astray.items()):
        terminal.tell(f"backtest.astray.{reason}", number=f"{number:,}")
    for one in found.unlike:
        terminal.tell(
            "backtest.astray_one",
            customer=one.customer,
            version=one.version,
            found=one.found or "-",
            made=one.made or "-",
        )


def _percent(part: int, whole: int) -> str:
    # Not all is never told as all.
    return f"{part * 10_000 // whole / 100 if whole else 100:.2f}"


def _assumed(terminal: Terminal, found: Found) -> None:
    """Where nobody knows what would have happened."""
    terminal.tell("backtest.unwritten")
    for name, number in sorted(to_builtins(found.assumed).items()):
        if number:
            terminal.tell(f"backtest.assumed.{name}", number=f"{number:,}")


def _messages(terminal: Terminal, found: Found) -> None:
    """The sorts of messages that there are more or fewer of."""
    every = every_sort(found)
    sorts = [sort for sort in every if found.was.messages[sort] != found.tried.messages[sort]]
    rows = [
        (
            sort.journey,
            sort.template,
            terminal.wording.tell(f"channel.{sort.channel}"),
            terminal.wording.tell(f"purpose.{sort.purpose}"),
            terminal.wording.tell(f"backtest.status.{sort.status}"),
            named(terminal, "", sort.rule) if sort.rule else "",
            (was := found.was.messages[sort]),
            (now := found.tried.messages[sort]),
            _signed(now - was),
        )
        for sort in sorts
    ]
    if rows:
        terminal.write()
        columns = ["journey", "template", "channel", "purpose", "status", "rule", "was", "now", "change"]
        terminal.table("backtest", columns, rows)
        if len(sorts) < len(every):
            terminal.tell("backtest.unchanged", number=f"{len(every) - len(sorts):,}")


def _journeys(terminal: Terminal, found: Found) -> None:
    """By journey: who entered, and how many messages differ in which way."""
    counts = found.differences.messages
    names = sorted({journey for journey, _ in counts} | found.was.entered.keys() | found.tried.entered.keys())
    rows = [
        (
            name,
            found.was.entered[name],
            found.tried.entered[name],
            *(counts[name, sort] for sort in _SORTS),
        )
        for name in names
    ]
    rows = [row for row in rows if row[1] != row[2] or any(row[3:])]
    if rows:
        terminal.write()
        terminal.table("backtest", ["journey", "entered_was", "entered_now", *_SORTS], rows)


def _moved(terminal: Terminal, found: Found) -> None:
    differences = found.differences
    if not differences.days:
        return
    terminal.write()
    terminal.tell("backtest.moved_by", earlier=f"{differences.earlier:,}", later=f"{differences.later:,}")
    rows = [(days, number) for days, number in sorted(differences.days.items())]
    terminal.table("backtest", ["days", "number"], rows)


def _caps(terminal: Terminal, found: Found) -> None:
    caps = sorted({cap for sums in (found.was, found.tried) for cap, _ in sums.held})
    rows = [
        (
            cap,
            found.was.held[cap, "put_off"],
            found.tried.held[cap, "put_off"],
            found.was.held[cap, "not_sent"],
            found.tried.held[cap, "not_sent"],
        )
        for cap in caps
    ]
    if rows:
        terminal.write()
        terminal.table(
            "backtest", ["cap", "put_off_was", "put_off_now", "not_sent_was", "not_sent_now"], rows
        )


def _cost(terminal: Terminal, found: Found) -> None:
    was, now = found.was, found.tried
    if not was.segments and not now.segments:
        return
    terminal.write()
    terminal.tell(
        "backtest.segments",
        was=f"{was.segments:,}",
        now=f"{now.segments:,}",
        change=f"{now.segments - was.segments:+,}",
    )
    for currency in sorted(was.amounts.keys() | now.amounts.keys()):
        before, after = (sums.amounts.get(currency, Decimal(0)) for sums in (was, now))
        terminal.tell(
            "backtest.amount",
            currency=currency,
            was=f"{before:,f}",
            now=f"{after:,f}",
            change=f"{after - before:+,f}",
        )
    if was.unpriced or now.unpriced:
        terminal.tell("backtest.unpriced", was=f"{was.unpriced:,}", now=f"{now.unpriced:,}")


def _months(terminal: Terminal, found: Found) -> None:
    months = [_by_month(sums) for sums in (found.was, found.tried)]
    rows = [
        (month, *(counts[month] for counts in months), _signed(months[1][month] - months[0][month]))
        for month in sorted({month for counts in months for month in counts})
    ]
    if rows:
        terminal.write()
        terminal.table("backtest", ["month", "was", "now", "change"], rows)


def _by_month(sums: Sums) -> Counter[str]:
    months: Counter[str] = Counter()
    for day, number in sums.days.items():
        months[day[:7]] += number
    return months


def _rows(terminal: Terminal, rows: Iterable[Row]) -> None:
    told = [
        (
            row.customer,
            row.message,
            row.journey,
            row.step,
            terminal.wording.tell(f"backtest.{row.what}"),
            _told(terminal, row.was),
            _told(terminal, row.now),
        )
        for row in rows
    ]
    if told:
        terminal.write()
        columns = ["customer", "message", "journey", "step", "what", "one_was", "one_now"]
        terminal.table("backtest", columns, told)


def _told(terminal: Terminal, side: Side | None) -> str:
    if side is None:
        return terminal.wording.tell("backtest.status.not_asked")
    status = terminal.wording.tell(f"backtest.status.{side.status}")
    rule = f" ({named(terminal, '', side.rule)})" if side.rule else ""
    channel = terminal.wording.tell(f"channel.{side.channel}")
    return f"{side.at:%Y-%m-%d %H:%M} {status}{rule}, {channel}"


def _signed(number: int) -> str:
    return f"{number:+,}" if number else ""
