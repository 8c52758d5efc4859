"""Everything that is tried on a record, what must be found, and that its place must be named."""

from typing import NamedTuple

from support.attacks_on_ends import ON_ENDS
from support.attacks_on_entries import ON_ENTRIES
from support.attacks_on_histories import ON_HISTORIES, ONLY_BY_A_CHECKPOINT
from support.attacks_on_rules import ON_RULES
from support.tampering import Attack


class Attacked(NamedTuple):
    """An attack on a bank's SQL, which gives its place, and the code of the finding that must name it."""

    name: str
    attack: Attack
    code: str


ATTACKS = [
    Attacked(attack.__name__, attack, code)
    for told in (ON_ENTRIES, ON_HISTORIES, ON_ENDS, ON_RULES)
    for attack, code in told.items()
]
# For who keeps checkpoints elsewhere: without one, nothing of these can be found.
TRACELESS = [Attacked(attack.__name__, attack, "") for attack in ONLY_BY_A_CHECKPOINT]
