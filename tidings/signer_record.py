"""Which keys sign the log's tree and since when: an authored object, so that the tree itself holds it."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

_NAMESPACE = UUID("0a3f4f0e-3c55-5d0b-9a53-3e6f1d1f7c55")


class SignerRecord(Aggregate):
    """The keys of one log by its origin; ``keys`` are those that sign now, the newest last."""

    TOPIC = "signer/1"

    class Created(Aggregate.Created):
        """A log was begun."""

        TOPIC = "signer.begun/1"
        origin: str

    class Introduced(Aggregate.Event):
        """A key signs from now on, beside those before it."""

        TOPIC = "signer.introduced/1"
        vkey: str

        def apply(self, aggregate: Any) -> None:
            """Fold the key in."""
            aggregate.keys.append(self.vkey)

    class Retired(Aggregate.Event):
        """A key signs no more."""

        TOPIC = "signer.retired/1"
        vkey: str

        def apply(self, aggregate: Any) -> None:
            """Fold the key out."""
            aggregate.keys.remove(self.vkey)

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.keys: list[str] = []

    @classmethod
    def create_id(cls, origin: str) -> UUID:
        """The only id that the record of this log can have."""
        return uuid5(_NAMESPACE, origin)

    @classmethod
    def begin(cls, origin: str, *, at: datetime) -> "SignerRecord":
        """The record of a log that no key has signed yet, begun at ``at`` (aware UTC)."""
        return cls._create(event_class=cls.Created, id=cls.create_id(origin), origin=origin, timestamp=at)

    def sign_with(self, vkeys: list[str], *, at: datetime) -> None:
        """From ``at`` (aware UTC) on exactly these keys sign."""
        for vkey in vkeys:
            if vkey not in self.keys:
                self.trigger_event(self.Introduced, vkey=vkey, timestamp=at)
        for vkey in [known for known in self.keys if known not in vkeys]:
            self.trigger_event(self.Retired, vkey=vkey, timestamp=at)
