"""The sender's name in front of a text, as Chinese networks demand it: 【您的银行】."""

from collections.abc import Mapping

# One for Chinese texts, or one for each language ("zh-CN", "zh", "en"); the more exact name counts.
Signature = str | dict[str, str]


def signed(text: str, language: str, signature: Signature) -> str:
    """The text as it leaves: without blank ends, which would be paid for, and signed unless it is already."""
    text = text.strip()
    mark = _mark(language, signature if isinstance(signature, Mapping) else {"zh": signature})
    if not mark or not text or text.startswith(("【", mark)) or text.endswith(("】", mark)):
        return text
    return mark + text


def _mark(language: str, signatures: Mapping[str, str]) -> str:
    return signatures.get(language) or signatures.get(language.partition("-")[0]) or ""
