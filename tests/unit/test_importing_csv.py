"""CSV files, with the catalogue's own headings or a bank's, become facts; every fault has its place."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain import catalogue as facts
from domain.catalogue import Envelope
from domain.errors import InputRefused
from stores.inbox import Item, Refusal, Told
from tidings.importing.csvfile import read_csv
from tidings.importing.mapping import CsvMapping, read_mapping
from tidings.wording import catalogue

ROOT = Path(__file__).parents[2]
NOW = datetime(2024, 6, 1, tzinfo=UTC)
HEADINGS = "type,id,source,subject,time,account,amount,currency,level,valid_until"
ROW = "balance.recorded/1,b-1,/core,c-1,2024-05-01T10:00:00+02:00,a-1,12.50,EUR,,"
MAPPING = """\
source: /deposits
type: holding.opened/1
id: Nr
subject: Kunde
time: {column: Am, format: "%d.%m.%Y", zone: Europe/Berlin}
columns: {holding: Nr, kind: Art, amount: Betrag, matures_on: Bis}
constants: {currency: EUR}
values: {kind: {Festgeld: term_deposit}}
date_format: "%d.%m.%Y"
decimal_comma: true
delimiter: ";"
"""
EXPORT_HEADINGS = "Nr;Kunde;Am;Art;Betrag;Bis;Filiale"
EXPORT_ROW = "7;K-1;01.02.2024;Festgeld;1.234,50;01.02.2026;Köln"


def read(tmp_path: Path, content: str | bytes, mapping: CsvMapping | None = None) -> list[Item]:
    path = tmp_path / "facts.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_csv(path, mapping, now=NOW))


def envelopes(items: Sequence[Item]) -> list[Envelope]:
    """The facts of items that must all be facts."""
    assert [item for item in items if isinstance(item, Refusal)] == []
    return [item.envelope for item in items if isinstance(item, Told)]


def refusals(items: Sequence[Item]) -> list[Refusal]:
    """The refusals among items; each must have a sentence whose every gap is filled."""
    found = [item for item in items if isinstance(item, Refusal)]
    for refusal in found:
        sentence(refusal.code, refusal.values)
    return found


def sentence(code: str, values: dict[str, object]) -> str:
    return catalogue("en")[code].format(**values)


def refused_file(tmp_path: Path, content: str | bytes, mapping: CsvMapping | None = None) -> InputRefused:
    with pytest.raises(InputRefused) as caught:
        read(tmp_path, content, mapping)
    sentence(caught.value.code, caught.value.values)
    return caught.value


def mapping_of(tmp_path: Path, text: str = MAPPING) -> CsvMapping:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    return read_mapping(path)


def test_rows_of_several_types_share_the_default_headings(tmp_path: Path) -> None:
    risk = "risk.assessed/1,r-1,/core,c-1,2024-05-02T00:00:00Z,,,,3,2025-05-02"
    balance, assessed = envelopes(read(tmp_path, f"{HEADINGS}\n{ROW}\n\n,,,,,,,,,\n{risk}\n"))
    assert balance == Envelope(
        "balance.recorded/1",
        "c-1",
        datetime(2024, 5, 1, 8, tzinfo=UTC),
        facts.BalanceRecorded(
            source="/core", id="b-1", account="a-1", amount=Decimal("12.50"), currency="EUR"
        ),
    )
    assert assessed.fact == facts.RiskAssessed(
        source="/core", id="r-1", level=3, valid_until=date(2025, 5, 2)
    )


def test_a_banks_own_fact_takes_every_further_column_as_text(tmp_path: Path) -> None:
    content = "type,id,source,subject,time,branch,minutes\nx.visit/1,v,/b,c,2024-05-02T00:00:00Z,Karlín,5\n"
    fact = envelopes(read(tmp_path, content))[0].fact
    assert fact == facts.CustomFact(source="/b", id="v", data={"branch": "Karlín", "minutes": "5"})


def test_quotes_hold_delimiters_and_line_ends_and_places_name_the_first_line(tmp_path: Path) -> None:
    quoted = ROW.replace("a-1", '"a\n,1"')
    first, second = read(tmp_path, f"\ufeff{HEADINGS}\r\n{quoted}\r\n{ROW}\r\n")
    assert [first.place, second.place] == ["line 2", "line 4"]
    assert isinstance(first, Told)
    assert isinstance(first.envelope.fact, facts.BalanceRecorded)
    assert first.envelope.fact.account == "a\n,1"
    assert first.raw == f"{quoted}\r\n".encode()


ROW_FAULTS = {
    "too few fields": ("a,b", "import.row_width", {"expected": 10, "found": 2}),
    "too many fields": (ROW + ",x", "import.row_width", {"found": 11}),
    "an empty id": (ROW.replace("b-1", " "), "import.missing_attribute", {"attribute": "id"}),
    "a naive time": (ROW.replace("+02:00", ""), "import.naive_time", {"path": "$.time"}),
    "a number for a time": (
        ROW.replace("2024-05-01T10:00:00+02:00", "1714550400"),
        "import.bad_time",
        {"found": "1714550400"},
    ),
    "an unknown type": (
        ROW.replace("recorded", "recorderd"),
        "import.unknown_type_near",
        {"kind": "balance.recorderd/1"},
    ),
    "no number": (ROW.replace("12.50", "12,50").replace("12,50", '"12,50"'), "import.bad_number", {}),
    "a column of another fact": (ROW.replace("EUR,,", "EUR,3,"), "import.unknown_field", {"field": "level"}),
    "a missing field": (ROW.replace("a-1", ""), "import.missing_field", {"field": "account"}),
    "an impossible date": (
        "risk.assessed/1,r-1,/core,c-1,2024-05-02T00:00:00Z,,,,3,2025-02-30",
        "import.bad_date",
        {"path": "$.valid_until", "found": "2025-02-30"},
    ),
    "text behind a quote": (ROW.replace("a-1", '"a"-1'), "import.broken_csv", {}),
    "an open quote": (ROW.replace("a-1", '"a-1'), "import.broken_csv", {}),
}


@pytest.mark.parametrize(("row", "code", "values"), ROW_FAULTS.values(), ids=ROW_FAULTS.keys())
def test_a_faulty_row_is_refused_and_costs_no_other(
    tmp_path: Path, row: str, code: str, values: dict[str, object]
) -> None:
    items = read(tmp_path, f"{HEADINGS}\n{ROW}\n{row}\n{ROW}\n{ROW}\n")
    (refusal,) = refusals(items)
    assert (refusal.place, refusal.code, refusal.raw) == ("line 3", code, f"{row}\n".encode())
    assert values.items() <= refusal.values.items()
    assert [item.place for item in items] == ["line 2", "line 3", "line 4", "line 5"]


def test_a_row_with_foreign_bytes_is_refused(tmp_path: Path) -> None:
    broken = ROW.replace("a-1", "Köln").encode("latin-1")
    items = read(tmp_path, HEADINGS.encode() + b"\n" + broken + b"\n" + ROW.encode())
    (refusal,) = refusals(items)
    assert (refusal.place, refusal.code, refusal.raw) == ("line 2", "import.undecodable_row", broken + b"\n")
    assert len(items) == 2


FILE_FAULTS = {
    "an empty file": ("", "import.empty_file"),
    "headings only": (HEADINGS, "import.empty_file"),
    "a missing heading": (HEADINGS.replace("subject,", ""), "import.missing_heading"),
    "a misspelt heading": (HEADINGS.replace("subject", "subjekt"), "import.missing_heading_near"),
    "a heading twice": (HEADINGS + ",amount", "import.duplicate_heading"),
    "a blank heading": (HEADINGS + ",", "import.blank_heading"),
    "an open quote in the headings": ('"' + HEADINGS, "import.unreadable"),
    "headings in another encoding": ("Währung,type".encode("latin-1"), "import.wrong_encoding"),
}


@pytest.mark.parametrize(("content", "code"), FILE_FAULTS.values(), ids=FILE_FAULTS.keys())
def test_a_file_with_faulty_headings_is_refused(tmp_path: Path, content: str | bytes, code: str) -> None:
    assert refused_file(tmp_path, content).code == code


def test_missing_headings_are_told_with_those_found(tmp_path: Path) -> None:
    fault = refused_file(tmp_path, HEADINGS.replace(",", ";"))
    assert fault.values["found"] == HEADINGS.replace(",", ";")


def test_a_mapping_reads_a_banks_own_headings_words_dates_and_numbers(tmp_path: Path) -> None:
    items = read(tmp_path, f"{EXPORT_HEADINGS}\n{EXPORT_ROW}\n", mapping_of(tmp_path))
    fact = facts.HoldingOpened(
        source="/deposits",
        id="7",
        holding="7",
        kind="term_deposit",
        amount=Decimal("1234.50"),
        currency="EUR",
        matures_on=date(2026, 2, 1),
    )
    noon = datetime(2024, 2, 1, 11, tzinfo=UTC)
    assert envelopes(items) == [Envelope("holding.opened/1", "K-1", noon, fact)]


def test_another_encoding_is_read_as_named_and_refused_where_it_is_not(tmp_path: Path) -> None:
    content = f"{EXPORT_HEADINGS}\n{EXPORT_ROW}\n".replace("Filiale", "Größe")
    named = mapping_of(tmp_path, MAPPING + "encoding: windows-1252\n")
    assert len(envelopes(read(tmp_path, content.encode("cp1252"), named))) == 1
    wide = mapping_of(tmp_path, MAPPING + "encoding: utf-16\n")
    assert len(envelopes(read(tmp_path, content.encode("utf-16"), wide))) == 1
    assert refused_file(tmp_path, content, wide).code == "import.wrong_encoding"


MAPPED_FAULTS = {
    "an impossible date": ("01.02.2026", "30.02.2026", "import.unlike_format", "$.matures_on (Bis)"),
    "another form of time": ("01.02.2024", "2024-02-01", "import.unlike_format", "$.time (Am)"),
    "a date without meaning": (
        "01.02.2026",
        "31.12.9999",
        "import.year_out_of_range",
        "$.matures_on (Bis)",
    ),
    "a time out of all years": ("01.02.2024", "01.02.0001", "import.year_out_of_range", "$.time (Am)"),
    "a decimal point": ("1.234,50", "1234.50", "import.bad_comma_number", "$.amount (Betrag)"),
    "an unmapped word": ("Festgeld", "Boot", "import.unmapped_value", "$.kind (Art)"),
}


@pytest.mark.parametrize(("ours", "theirs", "code", "path"), MAPPED_FAULTS.values(), ids=MAPPED_FAULTS.keys())
def test_a_faulty_cell_of_a_banks_own_row_is_told_with_its_heading(
    tmp_path: Path, ours: str, theirs: str, code: str, path: str
) -> None:
    content = f"{EXPORT_HEADINGS}\n{EXPORT_ROW.replace(ours, theirs)}\n"
    (refusal,) = refusals(read(tmp_path, content, mapping_of(tmp_path)))
    assert (refusal.place, refusal.code, refusal.values["path"]) == ("line 2", code, path)


def test_a_heading_that_the_mapping_names_must_be_there_once(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path)
    fault = refused_file(tmp_path, EXPORT_HEADINGS.replace("Betrag", "Beträge"), mapping)
    assert (fault.code, fault.values["heading"], fault.values["near"]) == (
        "import.missing_heading_near",
        "Betrag",
        "Beträge",
    )
    assert refused_file(tmp_path, EXPORT_HEADINGS + ";Bis", mapping).code == "import.duplicate_heading"
    unread_twice = f"{EXPORT_HEADINGS};Filiale\n{EXPORT_ROW};Bonn\n"
    assert len(envelopes(read(tmp_path, unread_twice, mapping))) == 1


def test_whole_numbers_follow_the_decimal_comma_too(tmp_path: Path) -> None:
    text = "source: /s\ntype: points.changed/1\nid: N\nsubject: N\ntime: T\ndecimal_comma: true\n"
    mapping = mapping_of(tmp_path, text + "columns: {amount: P, balance: B}\n")
    content = 'N,T,P,B\n1,2024-05-01T10:00:00Z,-5,1.000\n2,2024-05-01T10:00:00Z,5,"0,5"\n'
    items = read(tmp_path, content, mapping)
    assert isinstance(items[0], Told)
    assert items[0].envelope.fact == facts.PointsChanged(source="/s", id="1", amount=-5, balance=1000)
    assert [refusal.code for refusal in refusals(items)] == ["import.wrong_type"]


def test_the_example_of_the_reference_reads_without_a_refusal() -> None:
    mapping = read_mapping(ROOT / "examples/bank-export.mapping.yaml")
    found = envelopes(list(read_csv(ROOT / "examples/bank-export.csv", mapping, now=NOW)))
    assert [envelope.kind for envelope in found] == [
        "customer.registered/1",
        "consent.granted/1",
        "holding.opened/1",
        "customer.registered/1",
        "holding.opened/1",
    ]
    assert found[2].fact == facts.HoldingOpened(
        source="/core-banking/journal",
        id="1003",
        holding="V-900",
        kind="term_deposit",
        amount=Decimal("12500.00"),
        currency="EUR",
        matures_on=date(2026, 1, 5),
    )
