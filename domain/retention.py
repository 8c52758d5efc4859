"""Which facts may lose their bodies when they are old, and which the record cannot do without."""

from domain.catalogue import FACTS, fact_type

# Who somebody is, what they allowed and where they can be reached; what stands against a message; what became
# of a task or of a message that nobody knew of.
_CONCEPTS = frozenset(("customer", "consent", "care_hold", "device"))
_KINDS = frozenset(
    (
        "contact.bounced/1",
        "contact.complained/1",
        "contact.opted_out/1",
        "contact.opted_in/1",
        "message.settled/1",
        "task.done/1",
    )
)


def is_fact(kind: str) -> bool:
    """Whether facts can have this name."""
    return fact_type(kind) is not None


def may_go(kind: str) -> bool:
    """Whether the bodies of such facts may be removed when they are old."""
    return is_fact(kind) and kind.partition(".")[0] not in _CONCEPTS and kind not in _KINDS


def removable() -> list[str]:
    """The kinds of the catalogue of which that is so, in order."""
    return sorted(kind for kind in FACTS if may_go(kind))
