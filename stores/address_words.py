"""What was said for an address by whoever has it: STOP counts for the number, whoever gets it next.

Words are kept by digest when their facts are taken. Who is told to have such an address gets a fact of their
own, so that it stands in their history and no decision asks a table.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from sqlalchemy import Connection, select

from domain.catalogue import ChannelName, ContactOptedIn, ContactOptedOut, Envelope
from domain.clock import to_micros
from stores.addresses import digest_of, told_by
from stores.dialect import rows, upsert
from stores.schema import address_words
from stores.vault import vault_of

SOURCE = "address-word"
# Words concern the store as a whole: the same address may be of customers of several partitions.
_PARTITION = 0
_PARAMETERS = 5_000
_WORDS = frozenset({"contact.opted_out/1", "contact.opted_in/1"})
_SELECT_ANY = "SELECT said_at FROM address_words WHERE partition = 0 LIMIT 1"
_Key = tuple[ChannelName, bytes]


class AddressWords:
    """The words on the addresses that a chunk of facts speaks of; changed as its facts are accepted.

    Where it is not ``concerned`` there are none, and nothing needs to be heard.
    """

    def __init__(self, connection: Connection, told: Sequence[Envelope]) -> None:
        self._connection = connection
        self._key = vault_of(connection).digests
        # The last word on each: when it was said (microseconds since 1970), and whether it was yes.
        self._words: dict[_Key, tuple[int, bool]] = {}
        self._changed: set[_Key] = set()
        self.passed_on: list[Envelope] = []
        spoken = {self._place(envelope) for envelope in told if _is_word(envelope)}
        self.concerned = bool(spoken) or self._any_words(told)
        if self.concerned:
            addresses = {
                (channel, digest_of(channel, address, key=self._key))
                for envelope in told
                for channel, address in told_by(envelope.fact)
                if address
            }
            self._look_up(spoken | addresses)

    def hear(self, envelope: Envelope) -> None:
        """Take in an accepted fact: a word, or who has an address now."""
        if _is_word(envelope):
            self._say(envelope)
            return
        self.passed_on += self._told_to(envelope)

    def write(self) -> None:
        """Keep the words that are new."""
        changed = [
            (_PARTITION, *key, said_at, int(granted))
            for key in sorted(self._changed)
            for said_at, granted in [self._words[key]]
        ]
        upsert(self._connection, address_words, changed)

    def _say(self, envelope: Envelope) -> None:
        """The latest word counts, whatever the order in which they come; of equally late ones, the no."""
        key, said_at = self._place(envelope), to_micros(envelope.occurred_at)
        granted = isinstance(envelope.fact, ContactOptedIn)
        former = self._words.get(key)
        if former is None or (said_at, not granted) > (former[0], not former[1]):
            self._words[key] = said_at, granted
            self._changed.add(key)

    def _told_to(self, envelope: Envelope) -> Iterator[Envelope]:
        """The no of each address that the fact gives its customer, as a fact of the same instant."""
        for channel, address in told_by(envelope.fact):
            word = self._words.get((channel, digest_of(channel, address, key=self._key))) if address else None
            if word is not None and not word[1]:
                said_at, _ = word
                fact = ContactOptedOut(
                    source=SOURCE,
                    id=self._id(envelope.subject, channel, address, said_at),
                    channel=channel,
                    address=address,
                    provenance=SOURCE,
                )
                yield Envelope("contact.opted_out/1", envelope.subject, envelope.occurred_at, fact)

    def _place(self, envelope: Envelope) -> _Key:
        fact = envelope.fact
        assert isinstance(fact, ContactOptedOut | ContactOptedIn)  # noqa: S101 - only words are asked
        return fact.channel, digest_of(fact.channel, fact.address, key=self._key)

    def _id(self, customer: str, channel: str, address: str, said_at: int) -> str:
        """The same word for the same customer is the same fact, however often they get the address."""
        told = f"{customer}\x00{channel}\x00{address}\x00{said_at}".encode()
        return blake2b(told, key=self._key, digest_size=16).hexdigest()

    def _any_words(self, told: Sequence[Envelope]) -> bool:
        """Whether anything was ever said for an address, where the facts speak of addresses at all."""
        if not any(address for envelope in told for _, address in told_by(envelope.fact)):
            return False
        return bool(rows(self._connection, _SELECT_ANY))

    def _look_up(self, keys: set[_Key]) -> None:
        by_channel: dict[ChannelName, set[bytes]] = {}
        for channel, digest in keys:
            by_channel.setdefault(channel, set()).add(digest)
        for channel, digests in by_channel.items():
            self._words |= _known(self._connection, channel, sorted(digests))


def _known(
    connection: Connection, channel: ChannelName, digests: Sequence[bytes]
) -> dict[_Key, tuple[int, bool]]:
    found: dict[_Key, tuple[int, bool]] = {}
    for start in range(0, len(digests), _PARAMETERS):
        query = select(address_words.c.digest, address_words.c.said_at, address_words.c.granted).where(
            address_words.c.partition == _PARTITION,
            address_words.c.channel == channel,
            address_words.c.digest.in_(digests[start : start + _PARAMETERS]),
        )
        for digest, said_at, granted in connection.execute(query):
            found[channel, bytes(digest)] = said_at, bool(granted)
    return found


def _is_word(envelope: Envelope) -> bool:
    return envelope.kind in _WORDS
