"""The Berka bank's records, checked against each other: every reference leads to a record."""

from collections.abc import Container, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from domain.clock import add_months
from domain.errors import InputRefused
from tidings.importing.berka_tables import Cells, Row, read_table

_OWNER = "OWNER"
_CREDIT = "PRIJEM"


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """A line of a table that others may refer to by its key."""

    row: Row
    key: str


class District(Record, frozen=True, kw_only=True, gc=False):
    name: str


class Client(Record, frozen=True, kw_only=True, gc=False):
    born: date
    region: str


class Account(Record, frozen=True, kw_only=True, gc=False):
    opened: date
    frequency: str


class Disposition(Record, frozen=True, kw_only=True, gc=False):
    client: str
    account: str
    owns: bool


class Card(Record, frozen=True, kw_only=True, gc=False):
    disposition: str
    product: str
    issued: date


class Loan(Record, frozen=True, kw_only=True, gc=False):
    account: str
    opened: date
    amount: Decimal
    matures: date


class Transaction(Record, frozen=True, kw_only=True, gc=False):
    """``amount`` is negative when money leaves the account; ``balance`` is the one after it."""

    account: str
    day: date
    amount: Decimal
    balance: Decimal
    category: str | None


class Bank(Struct, frozen=True):
    """All tables, checked against each other. ``owners`` has the client of each account."""

    clients: dict[str, Client]
    accounts: dict[str, Account]
    dispositions: dict[str, Disposition]
    owners: dict[str, str]
    cards: dict[str, Card]
    loans: dict[str, Loan]
    transactions: dict[str, Transaction]


R = TypeVar("R", bound=Record)


def read_bank(folder: Path) -> Bank:
    """The tables of the folder. Raises InputRefused for the first fault."""
    districts = _by_key(_district(cells) for cells in read_table(folder, "district"))
    clients = _by_key(_client(cells, districts) for cells in read_table(folder, "client"))
    accounts = _by_key(_account(cells, districts) for cells in read_table(folder, "account"))
    dispositions = _by_key(_disposition(cells, clients, accounts) for cells in read_table(folder, "disp"))
    bank = Bank(
        clients=clients,
        accounts=accounts,
        dispositions=dispositions,
        owners=_owners(accounts, dispositions),
        cards=_by_key(_card(cells, dispositions) for cells in read_table(folder, "card")),
        loans=_by_key(_loan(cells, accounts) for cells in read_table(folder, "loan")),
        transactions=_by_key(_transaction(cells, accounts) for cells in read_table(folder, "trans")),
    )
    _by_key(_order(cells, accounts) for cells in read_table(folder, "order"))
    if not bank.owners:
        raise InputRefused("import.empty_file", path=str(folder / "account.asc"))
    return bank


def _district(cells: Cells) -> District:
    cells.text(2)
    for column in range(3, len(cells.columns)):
        cells.statistic(column)
    return District(row=cells.row, key=cells.key(0), name=cells.text(1))


def _client(cells: Cells, districts: dict[str, District]) -> Client:
    district = _reference(cells, 2, districts, "district.asc")
    return Client(row=cells.row, key=cells.key(0), born=cells.birth_day(1), region=districts[district].name)


def _account(cells: Cells, districts: dict[str, District]) -> Account:
    _reference(cells, 1, districts, "district.asc")
    return Account(row=cells.row, key=cells.key(0), frequency=cells.text(2), opened=cells.day(3))


def _disposition(cells: Cells, clients: dict[str, Client], accounts: dict[str, Account]) -> Disposition:
    return Disposition(
        row=cells.row,
        key=cells.key(0),
        client=_reference(cells, 1, clients, "client.asc"),
        account=_reference(cells, 2, accounts, "account.asc"),
        owns=cells.word(3, (_OWNER, "DISPONENT")) == _OWNER,
    )


def _card(cells: Cells, dispositions: dict[str, Disposition]) -> Card:
    return Card(
        row=cells.row,
        key=cells.key(0),
        disposition=_reference(cells, 1, dispositions, "disp.asc"),
        product=cells.text(2),
        issued=cells.day(3),
    )


def _loan(cells: Cells, accounts: dict[str, Account]) -> Loan:
    opened, months = cells.day(2), cells.months(4)
    cells.positive(5)
    cells.text(6)
    return Loan(
        row=cells.row,
        key=cells.key(0),
        account=_reference(cells, 1, accounts, "account.asc"),
        opened=opened,
        amount=cells.positive(3),
        matures=add_months(opened, months),
    )


def _order(cells: Cells, accounts: dict[str, Account]) -> Record:
    _reference(cells, 1, accounts, "account.asc")
    cells.text(2)
    cells.key(3)
    cells.positive(4)
    return Record(row=cells.row, key=cells.key(0))


def _transaction(cells: Cells, accounts: dict[str, Account]) -> Transaction:
    credit = cells.word(3, (_CREDIT, "VYDAJ", "VYBER")) == _CREDIT
    amount = cells.positive(5)
    return Transaction(
        row=cells.row,
        key=cells.key(0),
        account=_reference(cells, 1, accounts, "account.asc"),
        day=cells.day(2),
        amount=amount if credit else -amount,
        balance=cells.money(6),
        category=cells.optional(7),
    )


def _reference(cells: Cells, column: int, records: Container[str], table: str) -> str:
    key = cells.key(column)
    if key not in records:
        raise cells.refused("import.berka_unknown", column, table=table)
    return key


def _by_key(records: Iterable[R]) -> dict[str, R]:
    found: dict[str, R] = {}
    for record in records:
        first = found.setdefault(record.key, record)
        if first is not record:
            values = {"found": record.key, "first": first.row.place}
            raise InputRefused("import.berka_duplicate", place=record.row.place, **values)
    return found


def _owners(accounts: dict[str, Account], dispositions: dict[str, Disposition]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for disposition in dispositions.values():
        if not disposition.owns:
            continue
        if disposition.account in owners:
            values = {"account": disposition.account, "client": owners[disposition.account]}
            raise InputRefused("import.berka_second_owner", place=disposition.row.place, **values)
        owners[disposition.account] = disposition.client
    for account in accounts.values():
        if account.key not in owners:
            raise InputRefused("import.berka_no_owner", place=account.row.place, account=account.key)
    return owners
