"""A mapping document reads a bank's moments, and is refused with line and column where it cannot be meant."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import InputRefused
from tidings.importing.mapping import CsvMapping, Moment, read_mapping
from tidings.wording import catalogue

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


def mapping_of(tmp_path: Path, text: str = MAPPING) -> CsvMapping:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    return read_mapping(path)


def mapping_fault(tmp_path: Path, text: str) -> InputRefused:
    with pytest.raises(InputRefused) as caught:
        mapping_of(tmp_path, text)
    catalogue("en")[caught.value.code].format(**caught.value.values)
    return caught.value


TIMES = {
    "a date at the hour given": (Moment(column="T", zone="Asia/Shanghai", hour=9), "2024-05-01", 1),
    "a local time": (Moment(column="T", zone="Europe/Berlin"), "2024-05-01T00:30:00", -1.5),
    "an offset before the zone": (Moment(column="T", zone="Europe/Berlin"), "2024-05-01T10:00+00:00", 10),
    "an offset in a format": (Moment(column="T", format="%Y%m%d %H%M %z"), "20240501 1000 +0200", 8),
}


@pytest.mark.parametrize(("moment", "text", "hours"), TIMES.values(), ids=TIMES.keys())
def test_a_moment_is_read_in_its_zone(moment: Moment, text: str, hours: float) -> None:
    assert moment.read(text).timestamp() == datetime(2024, 5, 1, tzinfo=UTC).timestamp() + hours * 3600


@pytest.mark.parametrize(
    ("text", "code"), [("2024-05-01 10:00", "import.naive_time"), ("soon", "import.bad_time")]
)
def test_a_moment_without_zone_or_sense_is_refused(text: str, code: str) -> None:
    with pytest.raises(InputRefused, match=code):
        Moment(column="T").read(text)


def changed(old: str, new: str) -> str:
    assert old in MAPPING
    return MAPPING.replace(old, new)


MAPPING_FAULTS = {
    "an unknown encoding": (MAPPING + "encoding: utf-9\n", "import.mapping_encoding", (12, 1)),
    "an encoding of no text": (MAPPING + "encoding: base64\n", "import.mapping_encoding", (12, 1)),
    "a broken format": (
        changed('date_format: "%d.%m.%Y"', "date_format: '%Q'"),
        "import.mapping_format",
        (9, 1),
    ),
    "a broken time format": (
        changed('Am, format: "%d.%m.%Y"', "Am, format: '%d %'"),
        "import.mapping_format",
        (5, 20),
    ),
    "a directive twice": (changed('Am, format: "%d', 'Am, format: "%d%d'), "import.mapping_format", (5, 20)),
    "an unknown zone": (changed("Europe/Berlin", "'0'"), "import.mapping_zone", (5, 40)),
    "a zone nearly known": (changed("Berlin", "Berln"), "import.mapping_zone_near", (5, 40)),
    "a misspelt type": (changed("opened", "opend"), "import.mapping_type_near", (2, 1)),
    "an unknown type": (changed("holding.opened/1", "zzz"), "import.mapping_type", (2, 1)),
    "a misspelt field": (changed("amount:", "amout:"), "import.mapping_field_near", (6, 35)),
    "an unknown field": (changed("currency:", "qqq:"), "import.mapping_field", (7, 13)),
    "a needed field left out": (changed("kind: Art, ", ""), "import.mapping_no_column", (8, 10)),
    "a field twice": (changed("currency: EUR", "amount: 5"), "import.mapping_twice", (7, 13)),
    "a word that fits nothing": (changed("term_deposit", "boat"), "import.mapping_word", (8, 17)),
    "a constant that fits nothing": (
        changed(
            "columns: {holding: Nr, kind: Art, amount: Betrag,", "columns: {holding: Nr, kind: Art,"
        ).replace("currency: EUR", "amount: much"),
        "import.mapping_word",
        (7, 13),
    ),
    "an unknown key": (MAPPING + "colour: red\n", "document.unfit", (12, 1)),
    "a long delimiter": (changed('";"', '";;"'), "document.unfit", (11, 1)),
    "no YAML": ("a: [", "document.not_yaml", None),
}


@pytest.mark.parametrize(("text", "code", "place"), MAPPING_FAULTS.values(), ids=MAPPING_FAULTS.keys())
def test_a_faulty_mapping_is_refused_with_line_and_column(
    tmp_path: Path, text: str, code: str, place: tuple[int, int] | None
) -> None:
    fault = mapping_fault(tmp_path, text)
    assert fault.code == code
    assert place is None or (fault.values["line"], fault.values["column"]) == place


def test_a_mapping_that_leaves_a_needed_field_out_is_refused(tmp_path: Path) -> None:
    text = changed("kind: Art, ", "").replace("values: {kind: {Festgeld: term_deposit}}\n", "")
    fault = mapping_fault(tmp_path, text)
    assert (fault.code, fault.values["field"]) == ("import.mapping_missing_field", "kind")


def test_a_mapped_type_that_is_unknown_is_refused_at_its_word(tmp_path: Path) -> None:
    text = changed("type: holding.opened/1", "type: {column: Art}").replace(
        "values: {kind: {Festgeld: term_deposit}}", "values: {type: {Festgeld: holding.opned/1}}"
    )
    fault = mapping_fault(tmp_path, text)
    assert (fault.code, fault.values["line"]) == ("import.mapping_type_near", 8)
