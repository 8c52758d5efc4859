"""What a text that a customer sends us means: no more, again, help, or an answer for a person to read.

Only a whole text counts, never a word inside a sentence: "please don't stop" is an answer.
Sources: 47 CFR 64.1200(a)(10) (the words that must be honoured) and the key words of American carriers; in
China commercial texts say how to refuse them, as a rule 退订回T, 回复TD退订 or 拒收请回复R.
"""

import re
import unicodedata
from typing import Literal

from msgspec import Struct

Meaning = Literal["opted_out", "opted_in", "help", "replied"]


class Words(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bank adds to the words that everybody knows, and what it takes for an answer instead.

    ``answers`` wins: a bank that asks "reply Y or N" lists N there. ``yes_opts_in``: YES takes back an
    earlier STOP, as some providers have it; else it is an answer, for it may answer a question of ours.
    """

    opts_out: tuple[str, ...] = ()
    opts_in: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    yes_opts_in: bool = False


_NO_MORE = frozenset((
    "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke",
    "t", "td", "r", "n",
    "退订", "退定", "我要退订", "取消", "取消订阅", "停止", "拒收",
))  # fmt: skip
_AGAIN = frozenset(("start", "unstop", "开通", "恢复", "恢复订阅", "订阅", "重新订阅"))
_HELP = frozenset(("help", "info", "帮助"))
# A code alone with the digits of one list (TD0000), or the whole offer sent back (退订回T, 回复TD退订).
_CODE = r"(?:td[0-9]*|t|r|n)"
_OFFER = re.compile(
    rf"td[0-9]+|请?回复?{_CODE}(?:退订|拒收)?|(?:退订|拒收)(?:请?回复?)?{_CODE}|{_CODE}(?:退订|拒收)"
)
_SIGNATURE = re.compile(r"^\s*【[^】]*】(?=.*\w)|(?<=\w)\s*【[^】]*】\s*$", re.DOTALL)
_SPACES = re.compile(r"\s+")


def meaning(text: str, words: Words | None = None) -> Meaning:
    """What the text says as a whole."""
    said = normalised(text)
    words = words or Words()
    if said in _normal(words.answers):
        return "replied"
    if said in _NO_MORE or _OFFER.fullmatch(said) or said in _normal(words.opts_out):
        return "opted_out"
    if said in _AGAIN or (words.yes_opts_in and said == "yes") or said in _normal(words.opts_in):
        return "opted_in"
    return "help" if said in _HELP else "replied"


def normalised(text: str) -> str:
    """The letters and digits in one case and in usual width, one after the other where they are one word.

    Punctuation, brackets, symbols and what cannot be seen are gone, a signature 【…】 before or after the
    words too; several words stay apart, so that a sentence never becomes a word.
    """
    bare = _SIGNATURE.sub("", text)
    kept = (
        " " if unicodedata.category(character)[0] in "PSZ" or character.isspace() else character
        for character in unicodedata.normalize("NFKC", bare).casefold()
        if unicodedata.category(character) not in {"Cf", "Mn", "Cc"} or character.isspace()
    )
    parts = _SPACES.sub(" ", "".join(kept)).strip().split(" ")
    # "T D", "退 订" and "opt-out" are one word that was spelt apart; "stop it" is a sentence.
    apart = all(len(part) == 1 for part in parts) or parts in (["opt", "out"], ["stop", "all"])
    return ("" if apart else " ").join(parts)


def _normal(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalised(word) for word in words)
