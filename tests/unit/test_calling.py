import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from channels.at_once import at_once
from channels.borrowed import Borrowed, Lent, NotLent
from channels.calling import Line, Reply, decoded, retry_after, word_of
from channels.retry_after import LONGEST
from channels.wechat import WeChatSettings
from domain.errors import InputRefused

NOW = datetime(2026, 5, 3, 7, tzinfo=UTC)


def reply(**headers: str) -> Reply:
    return Reply(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ("0", timedelta(0)),
        ("90", timedelta(seconds=90)),
        (" 90 ", timedelta(seconds=90)),
        ("99999999999999999999", LONGEST),
        ("Sun, 03 May 2026 07:10:00 GMT", timedelta(minutes=10)),
        ("Sun, 03 May 2026 06:00:00 GMT", timedelta(0)),
        ("Mon, 04 May 2026 07:00:00 GMT", LONGEST),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_what_a_server_asks_to_wait(said: str, after: timedelta | None) -> None:
    assert retry_after(reply(retry_after=said), NOW) == after


def test_a_date_is_read_beside_the_servers_own_and_not_beside_our_clock() -> None:
    told = reply(retry_after="Sun, 03 May 2026 09:00:30 GMT", date="Sun, 03 May 2026 09:00:00 GMT")
    assert retry_after(told, NOW) == timedelta(seconds=30)


def test_a_server_that_asks_for_nothing_is_not_waited_for() -> None:
    assert retry_after(reply(), NOW) is None


@pytest.mark.parametrize(
    ("said", "word"), [("Bad.Token_1", "Bad.Token_1"), ("to +44 1", ""), ("", ""), ("é", "")]
)
def test_only_codes_of_providers_are_kept(said: str, word: str) -> None:
    assert word_of(said) == word


def test_json_that_is_none_says_nothing() -> None:
    for content in (b"", b"{", b"\xff", b"[" * 50_000, b'{"a": ' + b"[" * 50_000):
        assert decoded(content, dict[str, int]) is None


def test_results_keep_their_order_and_no_more_is_under_way_than_allowed() -> None:
    under_way: list[int] = []
    most = 0

    async def one(number: int) -> int:
        nonlocal most
        under_way.append(number)
        most = max(most, len(under_way))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        under_way.remove(number)
        return -number

    assert asyncio.run(at_once(one, range(100), limit=7)) == [-number for number in range(100)]
    assert most == 7


class Lender:
    """Lends ``T1``, ``T2`` and so on for an hour, or what it is told to say."""

    def __init__(self) -> None:
        self.fetched = 0
        self.says: list[Lent | NotLent] = []
        self.now = NOW

    def clock(self) -> datetime:
        return self.now

    async def fetch(self) -> Lent | NotLent:
        self.fetched += 1
        await asyncio.sleep(0)
        return self.says.pop(0) if self.says else Lent(f"T{self.fetched}", self.now + timedelta(hours=1))

    def borrowed(self) -> Borrowed:
        return Borrowed(self.fetch, clock=self.clock, pause=timedelta(minutes=10))


def test_all_who_wait_share_one_token() -> None:
    lender = Lender()
    tokens = lender.borrowed()

    async def many() -> list[Lent | NotLent]:
        return await asyncio.gather(*(tokens.current() for _ in range(100)))

    assert {lent.token for lent in asyncio.run(many()) if isinstance(lent, Lent)} == {"T1"}
    assert lender.fetched == 1


def test_all_whose_token_was_refused_share_one_renewal() -> None:
    lender = Lender()
    tokens = lender.borrowed()

    async def many() -> list[Lent | NotLent | None]:
        await tokens.current()
        return await asyncio.gather(*(tokens.instead_of("T1") for _ in range(100)))

    assert {lent.token for lent in asyncio.run(many()) if isinstance(lent, Lent)} == {"T2"}
    assert lender.fetched == 2


def test_a_renewed_token_that_is_refused_too_is_not_renewed_before_the_pause_is_over() -> None:
    lender = Lender()
    tokens = lender.borrowed()

    async def life() -> None:
        await tokens.current()
        assert isinstance(await tokens.instead_of("T1"), Lent)
        assert await tokens.instead_of("T2") is None
        lender.now += timedelta(minutes=10)
        assert await tokens.instead_of("T2") == Lent("T3", lender.now + timedelta(hours=1))

    asyncio.run(life())
    assert lender.fetched == 3


def test_one_who_comes_late_with_the_old_token_gets_the_new_one() -> None:
    lender = Lender()
    tokens = lender.borrowed()

    async def life() -> None:
        await tokens.current()
        renewed = await tokens.instead_of("T1")
        assert await tokens.instead_of("T1") == renewed

    asyncio.run(life())
    assert lender.fetched == 2


def test_that_none_could_be_had_holds_for_five_seconds() -> None:
    lender = Lender()
    lender.says = [NotLent("down")]
    tokens = lender.borrowed()

    async def life() -> None:
        assert await tokens.current() == NotLent("down")
        assert await tokens.current() == NotLent("down")
        lender.now += timedelta(seconds=5)
        assert isinstance(await tokens.current(), Lent)

    asyncio.run(life())
    assert lender.fetched == 2


def test_one_who_stops_waiting_does_not_stop_the_fetch_of_the_others() -> None:
    lender = Lender()
    tokens = lender.borrowed()

    async def life() -> None:
        first, second = (asyncio.ensure_future(tokens.current()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert isinstance(await second, Lent)

    asyncio.run(life())
    assert lender.fetched == 1


def test_a_token_outlives_the_loop_that_fetched_it() -> None:
    lender = Lender()
    tokens = lender.borrowed()
    assert asyncio.run(tokens.current()) == asyncio.run(tokens.current())
    assert lender.fetched == 1


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_certificates_is_refused_by_its_name(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputRefused, match=r"calling\.ca_file.*ca\.pem"):
        Line(timeout_seconds=1, at_once=1, ca_file=str(file))


@pytest.mark.parametrize("url", ["api.weixin.qq.com", "ftp://x", "https://", "https://a b", ""])
def test_an_address_of_an_interface_that_is_none_is_refused_with_the_settings(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="base_url"):
        msgspec.convert({"appid": "a", "secret": {"env": "S"}, "base_url": url}, WeChatSettings)
