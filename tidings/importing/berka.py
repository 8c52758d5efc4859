"""The Berka bank's records as facts: all tables are read and checked before the first fact is made.

A customer is a client who owns an account; whoever may only dispose of one is not.
"""

from collections.abc import Iterator
from datetime import date, time
from pathlib import Path

from domain import catalogue as facts
from domain.catalogue import Envelope, Fact
from domain.clock import at_local, month_number
from domain.errors import InputRefused
from stores.inbox import Told
from tidings.importing.berka_bank import Account, Bank, Record, read_bank

ZONE = "Europe/Prague"
NOON = time(12)
CURRENCY = "CZK"


def read_berka(folder: Path, *, assume_consent: bool) -> list[Told]:
    """All facts of the tables in ``folder``, customers first; with consent to marketing if it is assumed.

    Raises InputRefused for the first fault in any table, with its line; then nothing can have been taken.
    """
    if not folder.exists():
        raise InputRefused("import.missing_folder", path=str(folder))
    if not folder.is_dir():
        raise InputRefused("import.not_a_folder", path=str(folder))
    bank = read_bank(folder)
    return [
        *_registrations(bank, assume_consent=assume_consent),
        *_accounts(bank),
        *_cards(bank),
        *_loans(bank),
        *_transactions(bank),
    ]


def _registrations(bank: Bank, *, assume_consent: bool) -> Iterator[Told]:
    for subject, account in _first_accounts(bank).items():
        client = bank.clients[subject]
        yield _told(
            client,
            "customer.registered/1",
            facts.CustomerRegistered(
                source="/berka/client",
                id=f"client-{subject}",
                birth_date=client.born,
                language="en",
                zone=ZONE,
                zone_source="import",
                region=client.region,
                email=f"client-{subject}@example.com",
            ),
            subject=subject,
            day=account.opened,
        )
        if assume_consent:
            consent = facts.ConsentGranted(
                source="/berka/client",
                id=f"consent-{subject}",
                purpose="marketing",
                provenance="assumed at import",
            )
            yield _told(client, "consent.granted/1", consent, subject=subject, day=account.opened)


def _first_accounts(bank: Bank) -> dict[str, Account]:
    """The earliest account of each owner, in the order of the accounts' table."""
    first: dict[str, Account] = {}
    for account in bank.accounts.values():
        owner = bank.owners[account.key]
        if owner not in first or account.opened < first[owner].opened:
            first[owner] = account
    return first


def _accounts(bank: Bank) -> Iterator[Told]:
    for account in bank.accounts.values():
        fact = facts.AccountOpened(
            source="/berka/account",
            id=f"account-{account.key}",
            account=account.key,
            product=account.frequency,
        )
        yield _told(account, "account.opened/1", fact, subject=bank.owners[account.key], day=account.opened)


def _cards(bank: Bank) -> Iterator[Told]:
    for card in bank.cards.values():
        holder = bank.dispositions[card.disposition]
        if holder.owns:
            name = f"card-{card.key}"
            fact = facts.HoldingOpened(
                source="/berka/card", id=name, holding=name, kind="card", product=card.product
            )
            yield _told(card, "holding.opened/1", fact, subject=holder.client, day=card.issued)


def _loans(bank: Bank) -> Iterator[Told]:
    for loan in bank.loans.values():
        name = f"loan-{loan.key}"
        fact = facts.HoldingOpened(
            source="/berka/loan",
            id=name,
            holding=name,
            kind="loan",
            amount=loan.amount,
            currency=CURRENCY,
            matures_on=loan.matures,
        )
        yield _told(loan, "holding.opened/1", fact, subject=bank.owners[loan.account], day=loan.opened)


def _transactions(bank: Bank) -> Iterator[Told]:
    """Each transaction, and the balance after an account's last one (by the file) in a month."""
    last = {(posted.account, month_number(posted.day)): posted for posted in bank.transactions.values()}
    for posted in bank.transactions.values():
        subject = bank.owners[posted.account]
        fact = facts.TransactionPosted(
            source="/berka/trans",
            id=f"trans-{posted.key}",
            account=posted.account,
            amount=posted.amount,
            currency=CURRENCY,
            category=posted.category,
        )
        yield _told(posted, "transaction.posted/1", fact, subject=subject, day=posted.day)
        if last[posted.account, month_number(posted.day)] is posted:
            balance = facts.BalanceRecorded(
                source="/berka/trans",
                id=f"balance-{posted.account}-{posted.day:%Y-%m}",
                account=posted.account,
                amount=posted.balance,
                currency=CURRENCY,
            )
            yield _told(posted, "balance.recorded/1", balance, subject=subject, day=posted.day)


def _told(record: Record, kind: str, fact: Fact, *, subject: str, day: date) -> Told:
    envelope = Envelope(kind, subject, at_local(day, NOON, ZONE), fact)
    return Told(envelope, record.row.place, record.row.raw)
