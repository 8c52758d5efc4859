"""The Berka tables become facts as they are mapped; a fault in any table refuses all, with its line."""

import shutil
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.errors import InputRefused
from stores.database import create_store
from stores.inbox import Inbox, Told
from tidings.importing.berka import read_berka
from tidings.importing.reading import take_in
from tidings.wording import catalogue

REAL = Path(__file__).parents[2] / "../shared/data/berka"
TABLES = {
    "district": "A1;A2;A3;A4;A5;A6;A7;A8;A9;A10;A11;A12;A13;A14;A15;A16\n"
    '1;"Hl.m. Praha";"Prague";1204953;0;0;0;1;1;100.0;12541;0.29;0.43;167;85677;99107\n'
    '2;"Jesenik";"north Moravia";42821;4;13;5;1;3;48.4;8173;?;7.01;124;?;1358\n',
    "client": '"client_id";"birth_number";"district_id"\n1;"706213";1\n2;"450204";2\n3;"401009";2\n',
    "account": '"account_id";"district_id";"frequency";"date"\n'
    '7;1;"POPLATEK MESICNE";930101\n8;2;"POPLATEK TYDNE";930226\n',
    "disp": '"disp_id";"client_id";"account_id";"type"\n71;1;7;"OWNER"\n72;2;8;"OWNER"\n73;3;8;"DISPONENT"\n',
    "card": '"card_id";"disp_id";"type";"issued"\n'
    '5;71;"gold";931107 00:00:00\n6;73;"junior";940119 00:00:00\n',
    "loan": '"loan_id";"account_id";"date";"amount";"duration";"payments";"status"\n'
    '9;8;930831;96396;18;8033.00;"B"\n',
    "order": '"order_id";"account_id";"bank_to";"account_to";"amount";"k_symbol"\n'
    '4;7;"YZ";"87144583";2452.00;" "\n',
    "trans": '"trans_id";"account_id";"date";"type";"operation";'
    '"amount";"balance";"k_symbol";"bank";"account"\n'
    '21;7;930105;"PRIJEM";"VKLAD";700.00;700.00;"";;\n'
    '22;7;930131;"VYDAJ";"VYBER";100.50;599.50;"SIPO";;\n'
    '23;8;930131;"VYBER";"VYBER";30.00;-30.00;" ";;\n'
    '24;7;930131;"PRIJEM";"";0.50;600.00;"UROK";"AB";41403269\n'
    '25;7;930701;"PRIJEM";"";1.00;601.00;"UROK";;\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny bank of two customers, with the line ends of the real files."""
    for name, text in TABLES.items():
        (tmp_path / f"{name}.asc").write_bytes(text.replace("\n", "\r\n").encode())
    return tmp_path


def change(folder: Path, table: str, old: str, new: str) -> None:
    path = folder / f"{table}.asc"
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def refusal(folder: Path) -> InputRefused:
    """The refusal of all; it must have a sentence whose every gap is filled."""
    with pytest.raises(InputRefused) as caught:
        read_berka(folder, assume_consent=True)
    catalogue("en")[caught.value.code].format(**caught.value.values)
    return caught.value


def by_id(told: list[Told]) -> dict[str, Told]:
    return {item.envelope.fact.id: item for item in told}


def fact(folder: Path, name: str) -> Fact:
    return by_id(read_berka(folder, assume_consent=True))[name].envelope.fact


def test_an_owner_is_a_customer_from_the_opening_of_the_account(folder: Path) -> None:
    envelope = by_id(read_berka(folder, assume_consent=False))["client-1"].envelope
    assert (envelope.subject, envelope.occurred_at) == ("1", datetime(1993, 1, 1, 11, tzinfo=UTC))
    assert envelope.fact == facts.CustomerRegistered(
        source="/berka/client",
        id="client-1",
        birth_date=date(1970, 12, 13),
        language="en",
        zone="Europe/Prague",
        zone_source="import",
        region="Hl.m. Praha",
        email="client-1@example.com",
    )


def test_men_have_the_month_of_their_birth_number_and_others_are_no_customers(folder: Path) -> None:
    born = fact(folder, "client-2")
    assert isinstance(born, facts.CustomerRegistered)
    assert born.birth_date == date(1945, 2, 4)
    assert "client-3" not in by_id(read_berka(folder, assume_consent=True))


def test_consent_is_granted_only_if_it_is_assumed(folder: Path) -> None:
    assert fact(folder, "consent-1") == facts.ConsentGranted(
        source="/berka/client", id="consent-1", purpose="marketing", provenance="assumed at import"
    )
    kinds = {item.envelope.kind for item in read_berka(folder, assume_consent=False)}
    assert "consent.granted/1" not in kinds


def test_accounts_cards_of_owners_and_loans_become_facts(folder: Path) -> None:
    assert fact(folder, "account-8") == facts.AccountOpened(
        source="/berka/account", id="account-8", account="8", product="POPLATEK TYDNE"
    )
    assert fact(folder, "card-5") == facts.HoldingOpened(
        source="/berka/card", id="card-5", holding="card-5", kind="card", product="gold"
    )
    assert fact(folder, "loan-9") == facts.HoldingOpened(
        source="/berka/loan",
        id="loan-9",
        holding="loan-9",
        kind="loan",
        amount=Decimal("96396"),
        currency="CZK",
        matures_on=date(1995, 2, 28),
    )
    assert "card-6" not in by_id(read_berka(folder, assume_consent=True))


def test_money_that_leaves_is_negative_and_summer_noon_is_an_hour_earlier(folder: Path) -> None:
    told = by_id(read_berka(folder, assume_consent=True))
    assert told["trans-22"].envelope.fact == facts.TransactionPosted(
        source="/berka/trans",
        id="trans-22",
        account="7",
        amount=Decimal("-100.50"),
        currency="CZK",
        category="SIPO",
    )
    drawn = told["trans-23"].envelope.fact
    assert isinstance(drawn, facts.TransactionPosted)
    assert (drawn.amount, drawn.category) == (Decimal("-30.00"), None)
    assert told["trans-25"].envelope.occurred_at == datetime(1993, 7, 1, 10, tzinfo=UTC)


def test_the_last_balance_of_an_account_in_a_month_is_recorded(folder: Path) -> None:
    told = by_id(read_berka(folder, assume_consent=True))
    balances = {name: item for name, item in told.items() if name.startswith("balance-")}
    assert list(balances) == ["balance-8-1993-01", "balance-7-1993-01", "balance-7-1993-07"]
    item = balances["balance-7-1993-01"]
    assert item.envelope.occurred_at == datetime(1993, 1, 31, 11, tzinfo=UTC)
    assert (item.place, item.raw[:6]) == ("trans.asc line 5", b"24;7;9")
    assert item.envelope.fact == facts.BalanceRecorded(
        source="/berka/trans", id="balance-7-1993-01", account="7", amount=Decimal("600.00"), currency="CZK"
    )


def test_customers_come_first_then_accounts_holdings_and_transactions(folder: Path) -> None:
    kinds = [item.envelope.kind for item in read_berka(folder, assume_consent=True)]
    assert kinds[:4] == ["customer.registered/1", "consent.granted/1"] * 2
    order = [kind for kind, _ in groupby(kinds[4:])]
    assert order[:3] == ["account.opened/1", "holding.opened/1", "transaction.posted/1"]


def test_who_owns_two_accounts_is_registered_once_with_the_earlier(folder: Path) -> None:
    change(folder, "disp", "72;2;8", "72;1;8")
    change(folder, "account", "930226", "921231")
    told = read_berka(folder, assume_consent=False)
    registered = [item.envelope for item in told if item.envelope.kind == "customer.registered/1"]
    assert [(item.subject, item.occurred_at.year) for item in registered] == [("1", 1992)]


FAULTS = {
    "wrong headings": ("loan", '"duration"', '"term"', "import.berka_headings", "loan.asc line 1"),
    "too few fields": ("trans", ";-30.00", "", "import.berka_fields", "trans.asc line 4"),
    "too many fields": ("card", '"gold"', '"gold";1', "import.berka_fields", "card.asc line 2"),
    "an impossible date": ("trans", "930105", "930230", "import.berka_date", "trans.asc line 2"),
    "a cut date": ("account", "930226", "93022", "import.berka_date", "account.asc line 3"),
    "a card issued at another hour": ("card", "00:00:00", "09:00:00", "import.berka_date", "card.asc line 2"),
    "an impossible birth": ("client", "450204", "451304", "import.berka_birth_number", "client.asc line 3"),
    "no birth": ("client", "450204", "4502x4", "import.berka_birth_number", "client.asc line 3"),
    "a negative term": ("loan", ";18;", ";-18;", "import.berka_duration", "loan.asc line 2"),
    "no term": ("loan", ";18;", ";0;", "import.berka_duration", "loan.asc line 2"),
    "an endless term": ("loan", ";18;", ";99999;", "import.berka_duration", "loan.asc line 2"),
    "an unknown account": ("trans", "21;7", "21;17", "import.berka_unknown", "trans.asc line 2"),
    "an unknown account of an order": ("order", "4;7", "4;17", "import.berka_unknown", "order.asc line 2"),
    "an unknown account of a loan": ("loan", "9;8", "9;18", "import.berka_unknown", "loan.asc line 2"),
    "an unknown client": ("disp", "73;3", "73;13", "import.berka_unknown", "disp.asc line 4"),
    "an unknown disposition": ("card", "5;71", "5;17", "import.berka_unknown", "card.asc line 2"),
    "an unknown district": ("client", ";1\n", ";3\n", "import.berka_unknown", "client.asc line 2"),
    "no number": ("trans", "700.00;700.00", "7OO.00;700.00", "import.berka_number", "trans.asc line 2"),
    "no key": ("disp", "73;3", "x;3", "import.berka_number", "disp.asc line 4"),
    "no statistic": ("district", "1204953", "many", "import.berka_number", "district.asc line 2"),
    "a negative amount": ("trans", ";30.00", ";-30.00", "import.berka_negative", "trans.asc line 4"),
    "a blank text": ("account", '"POPLATEK MESICNE"', '""', "import.berka_text", "account.asc line 2"),
    "an unknown transaction type": (
        "trans",
        '"VYBER";"VYBER"',
        '"X";""',
        "import.berka_word",
        "trans.asc line 4",
    ),
    "an unknown disposition type": ("disp", "DISPONENT", "HEIR", "import.berka_word", "disp.asc line 4"),
    "a key twice": ("trans", "22;7", "21;7", "import.berka_duplicate", "trans.asc line 3"),
    "a district twice": ("district", '2;"J', '1;"J', "import.berka_duplicate", "district.asc line 3"),
    "a second owner": ("disp", "DISPONENT", "OWNER", "import.berka_second_owner", "disp.asc line 4"),
    "no owner": ("disp", '7;"OWNER"', '7;"DISPONENT"', "import.berka_no_owner", "account.asc line 2"),
    "an open quote": ("card", '"gold"', '"gold', "import.berka_quotes", "card.asc line 2"),
}


@pytest.mark.parametrize(("table", "old", "new", "code", "place"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_line_refuses_all_and_is_named(
    folder: Path, table: str, old: str, new: str, code: str, place: str
) -> None:
    change(folder, table, old, new)
    fault = refusal(folder)
    assert (fault.code, fault.values["place"]) == (code, place)


def test_a_fault_tells_what_was_found_and_expected(folder: Path) -> None:
    change(folder, "trans", ";-30.00", "")
    fault = refusal(folder)
    assert (fault.values["expected"], fault.values["found"]) == (10, 9)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_must_be_there_and_hold_something(folder: Path, table: str) -> None:
    path = folder / f"{table}.asc"
    path.write_bytes(b"\r\n")
    fault = refusal(folder)
    assert (fault.code, fault.values["path"]) == ("import.empty_file", str(path))
    path.unlink()
    fault = refusal(folder)
    assert (fault.code, fault.values["table"]) == ("import.berka_missing_table", f"{table}.asc")


def test_tables_without_any_account_are_refused_as_empty(folder: Path) -> None:
    for name in ("account", "disp", "card", "loan", "order", "trans"):
        (folder / f"{name}.asc").write_text(TABLES[name].partition("\n")[0] + "\n")
    assert refusal(folder).code == "import.empty_file"


def test_foreign_bytes_are_refused_with_their_line(folder: Path) -> None:
    (folder / "district.asc").write_bytes(TABLES["district"].replace("Jesenik", "Jeseník").encode("cp1250"))
    fault = refusal(folder)
    assert (fault.code, fault.values["place"]) == ("import.berka_undecodable", "district.asc line 3")


def test_the_folder_must_be_a_folder(folder: Path) -> None:
    assert refusal(folder / "none").code == "import.missing_folder"
    assert refusal(folder / "loan.asc").code == "import.not_a_folder"
    (folder / "loan.asc").unlink()
    (folder / "loan.asc").mkdir()
    assert refusal(folder).code == "import.unreadable"
    shutil.rmtree(folder / "loan.asc")


def test_importing_again_counts_everything_as_repeated(folder: Path, tmp_path: Path) -> None:
    engine, _ = create_store(f"sqlite:///{tmp_path / 'store.db'}", customer_partitions=2)
    inbox, told = Inbox(engine, limit=1_000_000), read_berka(folder, assume_consent=True)
    now = datetime(2024, 6, 1, tzinfo=UTC)
    first = take_in(told, inbox, origin="berka", at=now, progress=lambda _: None)
    again = take_in(told, inbox, origin="berka", at=now, progress=lambda _: None)
    assert (first.accepted, first.refused) == (len(told), 0)
    assert (again.accepted, again.repeated) == (0, len(told))


@pytest.mark.skipif(not REAL.is_dir(), reason="the Berka records are not beside the project")
def test_the_real_records_give_the_known_number_of_facts() -> None:
    told = read_berka(REAL, assume_consent=True)
    assert Counter(item.envelope.kind for item in told) == {
        "customer.registered/1": 4500,
        "consent.granted/1": 4500,
        "account.opened/1": 4500,
        "holding.opened/1": 1574,
        "transaction.posted/1": 49102,
        "balance.recorded/1": 10950,
    }
    identities = {(item.envelope.fact.source, item.envelope.fact.id) for item in told}
    assert len(identities) == len(told)
