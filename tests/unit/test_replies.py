"""What an inbound text means."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.replies import Words, meaning, normalised

OUT = (
    *(
        "STOP",
        "stopall",
        "UNSUBSCRIBE",
        "Cancel",
        "END",
        "quit",
        "OPTOUT",
        "opt-out",
        "Opt out",
        "STOP ALL",
        "REVOKE",
    ),
    *("退订", "T", "t", "TD", "td", "TD0000", "td1", "R", "N", "取消", "停止", "拒收"),
    *("退订回T", "退订回复TD", "回T退订", "回复TD退订", "拒收请回复R", "回复TD", "TD退订", "退订T"),
)
IN = ("START", "UNSTOP", "开通", "恢复", "订阅")
HELP = ("HELP", "info", "帮助")
ANSWERS = (
    *("please don't stop", "stop it", "Stop please", "not the end", "td bank", "t-shirt", "no", "Y", "yes"),
    *(
        "我不想退订",
        "怎么退订？谢谢",
        "取消我的预约",
        "不要停止",
        "请帮助我",
        "TDX",
        "T1",
        "",
        "。",
        "🙂",
        "stopp",
        "stöp",
    ),
)


@pytest.mark.parametrize("text", OUT)
def test_a_whole_text_that_says_no_more_opts_out(text: str) -> None:
    assert meaning(text) == "opted_out"


@pytest.mark.parametrize("text", IN)
def test_a_whole_text_that_says_again_opts_in(text: str) -> None:
    assert meaning(text) == "opted_in"


@pytest.mark.parametrize("text", HELP)
def test_a_whole_text_that_asks_for_help_does_so(text: str) -> None:
    assert meaning(text) == "help"


@pytest.mark.parametrize("text", ANSWERS)
def test_anything_else_is_an_answer(text: str) -> None:
    assert meaning(text) == "replied"


@pytest.mark.parametrize(
    "text",
    [
        " Stop. ", "STOP!", "ＳＴＯＰ", "「stop」", "stop\n", "\u200bstop\ufeff", "STOP 🛑",
        "【退订】", "退 订", "退订。", "【您的银行】退订", "退订【您的银行】",
        "ＴＤ", "“T”", "T D", "ｔｄ００００",
    ],
)  # fmt: skip
def test_dress_does_not_change_the_word(text: str) -> None:
    assert meaning(text) == "opted_out"


def test_yes_takes_back_a_stop_only_where_the_settings_say_so() -> None:
    assert meaning("Yes!") == "replied"
    assert meaning("Yes!", Words(yes_opts_in=True)) == "opted_in"


def test_a_bank_has_words_of_its_own() -> None:
    words = Words(opts_out=("Nechci",), opts_in=("Chci",), answers=("N", "R"))
    assert [meaning(text, words) for text in ("NECHCI!", "chci", "n", "R", "td")] == [
        "opted_out",
        "opted_in",
        "replied",
        "replied",
        "opted_out",
    ]


@settings(deadline=None)
@given(st.sampled_from(OUT), st.sampled_from(["please", "don't", "我想", "why", "明天"]))
def test_a_word_of_it_in_a_sentence_is_an_answer(word: str, other: str) -> None:
    assert meaning(f"{other} {word} {other}") == "replied"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_whatever_makes_it_fail_and_normalising_twice_is_once(text: str) -> None:
    assert meaning(text) in {"opted_out", "opted_in", "help", "replied"}
    assert meaning(normalised(text)) == meaning(text)
