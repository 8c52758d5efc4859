"""CloudEvents lines and batches become facts, and every fault is told with its place."""

import string
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import catalogue as facts
from domain.catalogue import Envelope
from domain.errors import InputRefused
from stores.inbox import Item, Refusal, Told
from tidings.importing.cloudevents import parse_event, read_cloudevents
from tidings.wording import catalogue

NOW = datetime(2024, 6, 1, tzinfo=UTC)
EVENT: dict[str, object] = {
    "specversion": "1.0",
    "id": "f-1",
    "source": "/core",
    "type": "holding.opened/1",
    "subject": "c-1",
    "time": "2024-05-01T10:00:00+02:00",
    "data": {"holding": "d-1", "kind": "term_deposit", "amount": "100.50", "matures_on": "2025-05-01"},
}
ABSENT = object()


def line(**changed: object) -> bytes:
    """The event with some attributes changed; ABSENT takes one away."""
    event = {name: value for name, value in (EVENT | changed).items() if value is not ABSENT}
    return msgspec.json.encode(event)


def line_with(type_name: str = "holding.opened/1", /, **data: object) -> bytes:
    """The event with other data."""
    return line(type=type_name, data=data)


def fault_of(raw: bytes) -> InputRefused:
    """The refusal of a line; it must have a sentence whose every gap is filled."""
    with pytest.raises(InputRefused) as caught:
        parse_event(raw, now=NOW)
    told(caught.value.code, caught.value.values)
    return caught.value


def told(code: str, values: dict[str, object]) -> str:
    """The English sentence; a code or value that is missing fails."""
    return catalogue("en")[code].format(**values)


def written(path: Path, lines: Iterable[bytes]) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


def read(path: Path) -> list[Item]:
    return list(read_cloudevents(path, now=NOW))


def refused_file(path: Path) -> InputRefused:
    with pytest.raises(InputRefused) as caught:
        read(path)
    told(caught.value.code, caught.value.values)
    return caught.value


def test_an_event_becomes_the_fact_of_its_type_in_utc() -> None:
    fact = facts.HoldingOpened(
        source="/core",
        id="f-1",
        holding="d-1",
        kind="term_deposit",
        amount=Decimal("100.50"),
        matures_on=date(2025, 5, 1),
    )
    expected = Envelope("holding.opened/1", "c-1", datetime(2024, 5, 1, 8, tzinfo=UTC), fact)
    assert parse_event(line(), now=NOW) == expected


def test_extension_attributes_and_the_content_type_of_json_are_accepted() -> None:
    extended = line(traceparent="00-1", datacontenttype="application/json; charset=utf-8", partition=[1])
    assert parse_event(extended, now=NOW) == parse_event(line(), now=NOW)


def test_a_fact_without_fields_of_its_own_needs_no_data() -> None:
    envelope = parse_event(line(type="customer.erased/1", data=ABSENT), now=NOW)
    assert envelope.fact == facts.CustomerErased(source="/core", id="f-1")


def test_a_banks_own_fact_keeps_its_data() -> None:
    envelope = parse_event(line_with("x.branch_visit/1", branch="Karlín", minutes=5, adviser=None), now=NOW)
    data: dict[str, str | int | bool | None] = {"branch": "Karlín", "minutes": 5, "adviser": None}
    assert envelope.fact == facts.CustomFact(source="/core", id="f-1", data=data)


ATTRIBUTE_FAULTS = {
    "a missing time": (line(time=ABSENT), "import.missing_attribute", {"attribute": "time"}),
    "a missing subject": (line(subject=ABSENT), "import.missing_attribute", {"attribute": "subject"}),
    "an empty id": (line(id=""), "import.out_of_range", {"path": "$.id"}),
    "another version": (line(specversion="2.0"), "import.unknown_value", {"expected": "1.0", "found": "2.0"}),
    "a wrong type": (line(source=5), "import.wrong_type", {"path": "$.source", "expected": "str"}),
    "no object": (b"[1]", "import.wrong_type", {"path": "$"}),
    "a naive time": (line(time="2024-05-01T10:00:00"), "import.naive_time", {"path": "$.time"}),
    "no time": (line(time="yesterday"), "import.bad_time", {"found": "yesterday"}),
    "the far future": (line(time="2025-06-03T00:00:00Z"), "import.far_future", {}),
    "the dark ages": (line(time="0001-01-01T00:00:00+05:00"), "import.year_out_of_range", {"path": "$.time"}),
    "other content": (line(datacontenttype="text/xml"), "import.wrong_content_type", {"found": "text/xml"}),
    "binary data": (line(data=ABSENT, data_base64="e30="), "import.binary_data", {}),
    "a zero character": (line(subject="c\x001"), "import.zero_character", {"attribute": "subject"}),
    "a type nearly known": (
        line(type="holding.open/1"),
        "import.unknown_type_near",
        {"kind": "holding.open/1"},
    ),
    "a type unknown": (line(type="zzz"), "import.unknown_type", {"kind": "zzz"}),
    "a bank's type without version": (line(type="x.visit"), "import.unknown_type", {"kind": "x.visit"}),
}


@pytest.mark.parametrize(("raw", "code", "values"), ATTRIBUTE_FAULTS.values(), ids=ATTRIBUTE_FAULTS.keys())
def test_a_faulty_attribute_is_refused(raw: bytes, code: str, values: dict[str, object]) -> None:
    fault = fault_of(raw)
    assert fault.code == code
    assert values.items() <= fault.values.items()


REGISTERED = "customer.registered/1"
DATA_FAULTS = {
    "a missing field": (line_with(holding="d-1"), "import.missing_field", {"field": "kind"}),
    "an unknown field": (
        line_with(holding="d-1", kind="card", qqq=1),
        "import.unknown_field",
        {"field": "qqq"},
    ),
    "a misspelt field": (
        line_with(holding="d-1", kind="card", ammount=1),
        "import.unknown_field_near",
        {"field": "ammount", "near": "amount"},
    ),
    "an attribute among the data": (
        line_with("account.closed/1", account="a", id="f-2"),
        "import.unknown_field",
        {"field": "id"},
    ),
    "an unknown word": (
        line_with(holding="d-1", kind="boat"),
        "import.unknown_value",
        {"path": "$.kind", "found": "boat"},
    ),
    "no number": (
        line_with("balance.recorded/1", account="a", amount="much"),
        "import.bad_number",
        {"path": "$.amount", "found": "much"},
    ),
    "a wrong type": (
        line_with("balance.recorded/1", account="a", amount=True),
        "import.wrong_type",
        {"path": "$.amount", "expected": "decimal", "found": "bool"},
    ),
    "an infinite amount": (
        line_with("balance.recorded/1", account="a", amount="Infinity"),
        "import.bad_amount",
        {"path": "$.amount"},
    ),
    "an endless amount": (
        line_with("balance.recorded/1", account="a", amount="1e999999"),
        "import.bad_amount",
        {"found": "1E+999999"},
    ),
    "a number out of range": (
        line_with("risk.assessed/1", level=9),
        "import.out_of_range",
        {"path": "$.level", "found": "9"},
    ),
    "an impossible date": (
        line_with(REGISTERED, birth_date="1990-02-30"),
        "import.bad_date",
        {"path": "$.birth_date", "found": "1990-02-30"},
    ),
    "a date without meaning": (
        line_with(holding="d-1", kind="fund", matures_on="9999-12-31"),
        "import.year_out_of_range",
        {"path": "$.matures_on"},
    ),
    "a zone nearly known": (
        line_with(REGISTERED, zone="Europe/Pragu"),
        "import.unknown_zone_near",
        {"path": "$.zone", "found": "Europe/Pragu"},
    ),
    "a changed zone unknown": (
        line_with("customer.changed/1", zone="0"),
        "import.unknown_zone",
        {"path": "$.zone", "found": "0"},
    ),
    "a list in a bank's own fact": (
        line_with("x.visit/1", rooms=[1]),
        "import.wrong_type",
        {"path": "$[...]", "found": "array"},
    ),
    "a huge integer": (
        line(type="points.changed/1", data=msgspec.Raw(b'{"amount":' + b"9" * 5000 + b',"balance":1}')),
        "import.bad_value",
        {},
    ),
}


@pytest.mark.parametrize(("raw", "code", "values"), DATA_FAULTS.values(), ids=DATA_FAULTS.keys())
def test_faulty_data_are_refused_with_their_path(raw: bytes, code: str, values: dict[str, object]) -> None:
    fault = fault_of(raw)
    assert fault.code == code
    assert values.items() <= fault.values.items()


BROKEN = {
    "cut off": (line()[:-1], "import.broken_json", len(line())),
    "a missing colon": (b'{"id" "f-1"}', "import.broken_json", 7),
    "broken inside the data": (line(data=msgspec.Raw(b'{"a" 1}')), "import.broken_json", None),
    "broken behind a wrong value": (b'{"id": 5, "x" 1}', "import.broken_json", 15),
    "columns count characters": ('{"ž" 5}'.encode(), "import.broken_json", 6),
    "not UTF-8": (b'{"id": "\xff"}', "import.undecodable", 9),
    "half a character": (line(id="f").replace(b'"f"', b'"\\ud800"'), "import.broken_json", None),
    "nested too deeply": (b'{"data":' + b"[" * 50_000, "import.too_deep", None),
}


@pytest.mark.parametrize(("raw", "code", "column"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_line_is_refused_with_its_column(raw: bytes, code: str, column: int | None) -> None:
    fault = fault_of(raw)
    assert fault.code == code
    assert column is None or fault.values["column"] == column


def test_one_broken_line_of_many_costs_nothing_but_itself(tmp_path: Path) -> None:
    lines = [line(id=f"f-{number}") for number in range(1, 50_001)]
    lines[16] = b'{"specversion": "1.0", "id'
    items = read(written(tmp_path / "facts.jsonl", lines))
    refusals = [item for item in items if isinstance(item, Refusal)]
    assert [(refusal.place, refusal.code) for refusal in refusals] == [("line 17", "import.broken_json")]
    assert refusals[0].raw == lines[16] + b"\n"
    assert len(items) == 50_000


def test_blank_lines_and_a_byte_order_mark_are_skipped_but_counted(tmp_path: Path) -> None:
    items = read(written(tmp_path / "facts.jsonl", [b"\xef\xbb\xbf", line(), b" \r", line(id="f-2"), b""]))
    assert [item.place for item in items] == ["line 2", "line 4"]


def test_a_file_that_is_one_array_is_a_batch(tmp_path: Path) -> None:
    batch = b"\n[" + line() + b",\n" + line(time="now") + b"]\n"
    first, second = read(written(tmp_path / "facts.json", [batch]))
    assert isinstance(first, Told)
    assert isinstance(second, Refusal)
    assert (first.place, second.place, second.code) == ("event 1", "event 2", "import.bad_time")


def test_a_broken_batch_is_refused_as_a_whole_with_line_and_column(tmp_path: Path) -> None:
    fault = refused_file(written(tmp_path / "facts.json", [b"", b"[" + line() + b",", b'{"id" 5}]']))
    assert (fault.code, fault.values["line"], fault.values["column"]) == ("import.broken_batch", 3, 7)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty file": (lambda path: path.write_bytes(b""), "import.empty_file"),
    "a blank file": (lambda path: path.write_bytes(b"\n \n"), "import.empty_file"),
    "an empty batch": (lambda path: path.write_bytes(b"[]"), "import.empty_file"),
    "a missing file": (lambda path: None, "import.missing_file"),
    "a folder": (lambda path: path.mkdir(), "import.not_a_file"),
}


@pytest.mark.parametrize(("make", "code"), FILES.values(), ids=FILES.keys())
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, make: Callable[[Path], object], code: str
) -> None:
    make(tmp_path / "facts")
    fault = refused_file(tmp_path / "facts")
    assert (fault.code, fault.values["path"]) == (code, str(tmp_path / "facts"))


def test_a_path_that_leads_through_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused_file(tmp_path / "file" / "facts").code == "import.unreadable"


NAMES = st.text(string.ascii_letters + "žÖ伟 -_/'\"\\\n", min_size=1, max_size=20)
AMOUNTS = st.decimals(-(10**12), 10**12, places=2)
DAYS = st.dates(date(1800, 1, 1), date(2999, 12, 31))
IDENTITY = {"source": NAMES, "id": NAMES}
OPTIONAL_NAMES = st.none() | NAMES
KINDS = {
    "holding.opened/1": st.builds(
        facts.HoldingOpened,
        **IDENTITY,
        holding=NAMES,
        kind=st.sampled_from(["fund", "loan", "card"]),
        product=OPTIONAL_NAMES,
        amount=st.none() | AMOUNTS,
        currency=OPTIONAL_NAMES,
        matures_on=st.none() | DAYS,
    ),
    "transaction.posted/1": st.builds(
        facts.TransactionPosted, **IDENTITY, account=NAMES, amount=AMOUNTS, category=OPTIONAL_NAMES
    ),
    "customer.registered/1": st.builds(
        facts.CustomerRegistered,
        **IDENTITY,
        birth_date=st.none() | DAYS,
        family_name=OPTIONAL_NAMES,
        zone=st.sampled_from(["UTC", "Asia/Shanghai"]),
    ),
    "survey.answered/1": st.builds(
        facts.SurveyAnswered, **IDENTITY, survey=NAMES, score=st.none() | st.integers()
    ),
    "x.visit/1": st.builds(
        facts.CustomFact,
        **IDENTITY,
        data=st.dictionaries(NAMES, NAMES | st.integers(-9, 9) | st.booleans() | st.none()),
    ),
}
ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2025, 1, 1), timezones=ZONES)  # noqa: DTZ001 - zoned by hypothesis
ENVELOPES = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(Envelope, st.just(kind), NAMES, TIMES, KINDS[kind])
)


@given(ENVELOPES)
def test_an_envelope_written_as_a_cloud_event_reads_back_equal(envelope: Envelope) -> None:
    fields = msgspec.to_builtins(envelope.fact)
    event = {
        "specversion": "1.0",
        "source": fields.pop("source"),
        "id": fields.pop("id"),
        "type": envelope.kind,
        "subject": envelope.subject,
        "time": envelope.occurred_at.isoformat(),
        "data": fields["data"] if envelope.kind == "x.visit/1" else fields,
    }
    found = parse_event(msgspec.json.encode(event), now=NOW)
    assert found == envelope
    assert found.occurred_at.tzinfo is UTC
