"""Links in messages: what is signed is read back, and nothing else is."""

import string
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InputRefused
from tidings.links import Kind, LinkKeys, Links, Opened

PUBLIC = "https://care.bank.example"
OLD, NEW = "an old key of more than thirty-two characters", "a new key of more than thirty-two characters"
MESSAGE = "0b8f6f6e-6c1c-5d53-9f0a-0c5a4a3f2b11"
LINKS = Links(PUBLIC, LinkKeys([OLD]))
ALPHABET = string.ascii_letters + string.digits + "-_.=~! %/"


def token_of(link: str) -> str:
    return link.rpartition("/")[2]


def made(links: Links = LINKS) -> dict[Kind, str]:
    """One token of each kind."""
    return {
        "unsubscribe": token_of(links.unsubscribe(MESSAGE, "c-1", "email")),
        "preferences": token_of(links.preferences("c-1")),
        "tracked": token_of(links.tracked(MESSAGE, 3, "https://bank.example/offer?a=1")),
        "view": token_of(links.view(MESSAGE)),
        "undo": links.undo(Opened(MESSAGE, "c-1", "email", at=7, plan=(("care", "*", True),))),
    }


def test_what_was_signed_is_read_back() -> None:
    tokens = made()
    assert LINKS.opened("unsubscribe", tokens["unsubscribe"]) == Opened(MESSAGE, "c-1", "email")
    assert LINKS.opened("preferences", tokens["preferences"]) == Opened(customer="c-1")
    assert LINKS.opened("view", tokens["view"]) == Opened(MESSAGE)
    assert LINKS.opened("tracked", tokens["tracked"]) == Opened(
        MESSAGE, number=3, target="https://bank.example/offer?a=1"
    )
    assert LINKS.opened("undo", tokens["undo"]).plan == (("care", "*", True),)


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from(["email", "sms"]))
@settings(max_examples=200)
def test_any_ids_are_read_back(message: str, customer: str, channel: str) -> None:
    link = LINKS.unsubscribe(message, customer, channel)
    assert LINKS.opened("unsubscribe", token_of(link)) == Opened(message, customer, channel)


def test_a_link_of_one_kind_is_none_of_another() -> None:
    tokens = made()
    for kind, other in product(tokens, tokens):
        if kind == other:
            continue
        with pytest.raises(InputRefused, match=r"link\.forged"):
            LINKS.opened(kind, tokens[other])


@pytest.mark.parametrize("kind", ["unsubscribe", "preferences", "tracked"])
def test_a_token_altered_at_any_place_is_refused(kind: Kind) -> None:
    token = made()[kind]
    for place, character in product(range(len(token) + 1), ALPHABET):
        altered = [token[:place] + character + token[place:]]
        if place < len(token):
            altered.append(token[:place] + character + token[place + 1 :])
            altered.append(token[:place] + token[place + 1 :])
        for wrong in altered:
            if wrong == token:
                continue
            with pytest.raises(InputRefused, match=r"link\.forged"):
                LINKS.opened(kind, wrong)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "é." + "A" * 43, "A" * 5_000, "x." + "A" * 43])
def test_what_was_never_a_token_is_refused(token: str) -> None:
    with pytest.raises(InputRefused, match=r"link\.forged"):
        LINKS.opened("unsubscribe", token)


def test_the_newest_key_signs_and_all_are_believed() -> None:
    before, both, after = (Links(PUBLIC, LinkKeys(keys)) for keys in ([OLD], [NEW, OLD], [NEW]))
    assert both.opened("preferences", made(before)["preferences"]).customer == "c-1"
    assert after.opened("preferences", made(both)["preferences"]).customer == "c-1"
    with pytest.raises(InputRefused, match=r"link\.forged"):
        after.opened("preferences", made(before)["preferences"])


def test_the_same_link_is_always_written_alike() -> None:
    assert made() == made(Links(PUBLIC + "/", LinkKeys([OLD])))


def test_a_link_in_an_sms_is_short() -> None:
    assert len(LINKS.unsubscribe(MESSAGE, "c-1", "sms")) < 120


@pytest.mark.parametrize(
    "target", ["tel:+4312345", "mailto:a@b.example", "bankapp://offers/7", "/offers", ""]
)
def test_what_is_not_on_the_web_is_left_as_it_is(target: str) -> None:
    assert LINKS.tracked(MESSAGE, 1, target) == target


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "data:text/html,x", "//evil.example/", "https:///x"]
)
def test_nothing_but_the_web_gets_into_a_redirection(target: str) -> None:
    assert not LINKS.tracked(MESSAGE, 1, target).startswith(PUBLIC)


@pytest.mark.parametrize(
    "url", ["http://care.bank.example", "care.bank.example", "https://", "https://a/?b=1", ""]
)
def test_customers_are_led_to_https_only(url: str) -> None:
    with pytest.raises(InputRefused, match=r"link\.bad_public_url"):
        Links(url, LinkKeys([OLD]))


def test_a_trial_on_this_machine_needs_no_certificate() -> None:
    assert (
        Links("http://127.0.0.1:8000", LinkKeys([OLD]))
        .preferences("c")
        .startswith("http://127.0.0.1:8000/p/")
    )


def test_keys_that_can_be_guessed_are_refused_and_never_told() -> None:
    with pytest.raises(InputRefused, match=r"link\.short_key") as refused:
        LinkKeys([OLD, "geheim"])
    assert "geheim" not in str(refused.value)
    with pytest.raises(InputRefused, match=r"link\.no_key"):
        LinkKeys([])


def test_a_message_has_all_its_links() -> None:
    links = LINKS.for_message(MESSAGE, "c-1", "email")
    assert links.unsubscribe == LINKS.unsubscribe(MESSAGE, "c-1", "email")
    assert links.preferences == LINKS.preferences("c-1")
    assert links.view == LINKS.view(MESSAGE)
    assert links.tracked("https://bank.example/", 2) == LINKS.tracked(MESSAGE, 2, "https://bank.example/")
    assert not hasattr(links, "anything_else")


def test_a_link_of_years_ago_still_says_what_it_said() -> None:
    """Written down when links were first made: this form is read for ever."""
    written = "k8QQC49vbmwcXVOfCgxaSj8rEaNjLTGlZW1haWw.1Oy6dkmGaemeVusZWPqLGSB6AOzIw5uyoeBR0IE4gmk"
    assert LINKS.opened("unsubscribe", written) == Opened(MESSAGE, "c-1", "email")
