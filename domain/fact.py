"""What every fact has, and the words that facts are told with."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct, UnsetType

OWN_FACT = r"^x\.[a-z][a-z0-9_.]*/[1-9][0-9]*$"
PERSONAL = Meta(extra={"personal": True})
Text = Annotated[str, Meta(min_length=1, max_length=200)]
PersonalText = Annotated[str, Meta(min_length=1, max_length=320), PERSONAL]
PersonalDevice = Annotated[str, Meta(min_length=1, max_length=2000), PERSONAL]
PersonalDate = Annotated[date, PERSONAL]
Value = str | int | float | bool | None
Values = dict[str, Value]
# What a bank's own facts say, and what is copied from them: nobody knows what it holds.
PersonalValues = Annotated[Values, PERSONAL]
# Fields that a name got later: where they are not told, the bytes are those from before there was the field.
LaterText = Text | None | UnsetType
LaterPersonalText = PersonalText | None | UnsetType

Purpose = Literal["marketing", "care", "service", "regulatory"]
ChannelName = Literal["email", "sms", "push", "inbox", "wechat"]
HoldingKind = Literal["term_deposit", "wealth_product", "fund", "loan", "policy", "card"]
HoldReason = Literal["bereavement", "hardship", "dispute", "fraud"]


class Fact(Struct, frozen=True, kw_only=True, gc=False):
    """What happened, told by ``source`` under its own ``id``; the pair is never used twice."""

    source: Text
    id: Text
