"""Who has an address now, whatever happened before, on both databases and at any time of asking."""

from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stores.contacts
from domain import catalogue as facts
from domain.catalogue import ChannelName, Envelope
from stores.addresses import digest_of, normalised
from stores.contacts import Contacts
from stores.database import create_store, open_store
from support.bank import Bank
from support.facts import at, erased, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings.memory import Room

NEW_YEAR = at("2026-01-01 12:00")
_ids = count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    return Bank(tmp_path, partitions=3, url=fresh_database() if request.param == "postgresql" else None)


def fact(kind: Any, **given: object) -> Any:
    return kind(source="/test", id=f"contact-{next(_ids)}", **given)


def person(name: str, **given: object) -> Envelope:
    return envelope(name, NEW_YEAR, registered(**{"email": None, "phone": None, "device": None, **given}))


def happened(bank: Bank, *told: Envelope) -> None:
    assert bank.take(list(told)).refused == []
    bank.run(max(envelope.occurred_at for envelope in told))


def holders(bank: Bank, channel: ChannelName, address: str) -> list[str]:
    engine = open_store(bank.settings.store)
    try:
        return Contacts(engine).holders(channel, address)
    finally:
        engine.dispose()


def test_addresses_are_compared_as_people_mean_them() -> None:
    assert normalised("email", " Jana@Example.COM ") == "jana@example.com"
    assert normalised("sms", "+420 (601) 000-001") == "+420601000001"
    key = bytes(32)
    assert digest_of("email", "a@b", key=key) != digest_of("sms", "a@b", key=key)
    assert digest_of("email", "a@b", key=key) != digest_of("email", "a@b", key=bytes(31) + b"1")
    assert len(digest_of("email", "a@b", key=key)) == 16


def test_all_who_have_it_are_found_however_it_is_written(bank: Bank) -> None:
    happened(
        bank,
        person("c-1", phone="+420 601 000 001"),
        person("c-2", phone="+420601000001", email="Jana@example.com"),
        person("c-3", phone="+420601000002"),
    )
    assert holders(bank, "sms", "+420-601-000-001") == ["c-1", "c-2"]
    assert holders(bank, "email", "jana@EXAMPLE.com") == ["c-2"]
    assert holders(bank, "email", "+420601000001") == []


def test_who_had_it_has_it_no_more(bank: Bank) -> None:
    happened(bank, *(person(f"c-{n}", phone="+420601000001", email="one@example.com") for n in range(1, 6)))
    assert len(holders(bank, "sms", "+420601000001")) == 5
    day = NEW_YEAR + timedelta(days=1)
    happened(
        bank,
        envelope("c-1", day, fact(facts.CustomerChanged, phone="+420601000009")),
        envelope("c-2", day, fact(facts.CustomerChanged, phone="")),
        envelope("c-3", day, erased()),
        envelope("c-4", day, fact(facts.CustomerChanged, email="four@example.com")),
    )
    assert holders(bank, "sms", "+420601000001") == ["c-4", "c-5"]
    assert holders(bank, "sms", "+420601000009") == ["c-1"]
    assert holders(bank, "email", "one@example.com") == ["c-1", "c-2", "c-5"]


def test_devices_are_several_and_each_is_theirs_until_it_is_retired(bank: Bank) -> None:
    day = NEW_YEAR + timedelta(days=1)
    happened(
        bank,
        person("c-1", device="fcm:old"),
        envelope("c-1", day, fact(facts.DeviceRegistered, device="fcm:one")),
        envelope("c-1", day, fact(facts.DeviceRegistered, device="fcm:two")),
    )
    assert [holders(bank, "push", f"fcm:{name}") for name in ("one", "two")] == [["c-1"], ["c-1"]]
    happened(bank, envelope("c-1", day, fact(facts.DeviceRetired, device="fcm:one")))
    assert holders(bank, "push", "fcm:one") == []
    assert holders(bank, "push", "FCM:two") == []
    assert holders(bank, "push", "fcm:two") == ["c-1"]


def test_no_address_stands_in_the_table(bank: Bank) -> None:
    happened(bank, person("c-1", email="secret@example.com"))
    assert holders(bank, "email", "secret@example.com") == ["c-1"]
    (row,) = bank.sql("SELECT * FROM contacts")
    assert "secret" not in repr([bytes(v) if isinstance(v, memoryview) else v for v in row])


def test_it_is_made_from_states_where_the_first_events_lie_in_an_archive_only(bank: Bank) -> None:
    phones = [f"+42060100000{number}" for number in range(1, 6)]
    told = [person(f"c-{n}", phone=phone) for n, phone in enumerate(phones[:4], start=1)]
    day = NEW_YEAR + timedelta(days=1)
    told += [
        envelope("c-1", day, fact(facts.CustomerChanged, phone=phones[4])),
        envelope("c-3", day, erased()),
        envelope("c-4", day, fact(facts.DeviceRegistered, device="fcm:one")),
        envelope("c-4", day, fact(facts.DeviceRegistered, device="fcm:two")),
    ]
    assert bank.take(told).refused == []
    bank.run(day, room=Room(100, events_between_snapshots=1))

    def found() -> list[list[str]]:
        devices = [holders(bank, "push", f"fcm:{name}") for name in ("one", "two")]
        return [*(holders(bank, "sms", phone) for phone in phones), *devices]

    before = found()
    assert before == [[], ["c-2"], [], ["c-4"], ["c-1"], ["c-4"], ["c-4"]]
    engine = open_store(bank.settings.store)
    Contacts(engine).forget()
    engine.dispose()
    # As if the archive had them; snapshots have the states.
    bank.sql("DELETE FROM events WHERE partition > 0")
    bank.sql("UPDATE partitions SET removed_seq = last_seq WHERE partition > 0")
    assert found() == before


def test_who_was_slower_than_another_takes_nothing_back(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    happened(bank, person("c-1", phone="+420601000001"))
    gathered, day = stores.contacts._gathered, NEW_YEAR + timedelta(days=1)
    quick = [envelope("c-1", day, fact(facts.CustomerChanged, phone="+420601000002"))]

    def slowly(*given: Any) -> Any:
        change = gathered(*given)
        if quick and change.after:
            happened(bank, quick.pop())
            assert holders(bank, "sms", "+420601000002") == ["c-1"]
        return change

    monkeypatch.setattr(stores.contacts, "_gathered", slowly)
    assert holders(bank, "sms", "+420601000001") == []
    assert quick == []
    assert holders(bank, "sms", "+420601000002") == ["c-1"]


def test_a_store_of_the_version_before_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    import stores.migrations
    from domain.errors import StoreUnusable
    from stores.database import connect, reading, schema_version, writing

    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = connect(url)
    config = Config()
    config.set_main_option("script_location", str(Path(stores.migrations.__file__ or "").parent))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    # What it holds is in clear and chained otherwise: no migration can make it erasable and keep its proof.
    with pytest.raises(StoreUnusable, match="wrong_version"):
        create_store(url, customer_partitions=1)
    with reading(engine) as connection:
        assert schema_version(connection) == "0004"
    engine.dispose()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["c-1", "c-2", "c-3"]),
        st.sampled_from(["email", "phone", "gone", "ask"]),
        st.sampled_from(["", "+1", "+2", "+3"]),
    ),
    max_size=15,
)


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_it_says_what_the_states_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]
) -> None:
    bank = Bank(tmp_path_factory.mktemp("contacts"), partitions=2)
    happened(bank, *(person(name, phone="+1") for name in ("c-1", "c-2", "c-3")))
    theirs: dict[str, dict[str, str]] = {name: {"phone": "+1"} for name in ("c-1", "c-2", "c-3")}
    for number, (name, part, address) in enumerate(steps, start=1):
        moment = NEW_YEAR + timedelta(days=number)
        match part:
            case "ask":
                holders(bank, "sms", "+1")
            case "gone":
                theirs[name] = {"gone": "yes"}
                happened(bank, envelope(name, moment, erased()))
            case _:
                if "gone" not in theirs[name]:
                    theirs[name][part] = address
                    happened(bank, envelope(name, moment, fact(facts.CustomerChanged, **{part: address})))
    parts: tuple[tuple[ChannelName, str], ...] = (("sms", "phone"), ("email", "email"))
    for channel, part in parts:
        for address in ("+1", "+2", "+3"):
            expected = sorted(name for name, has in theirs.items() if has.get(part) == address)
            assert holders(bank, channel, address) == expected
