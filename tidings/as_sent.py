"""A message as its customer got it: made again from the record, and held against the digest in it."""

from audit.replay import replay
from channels.base import Outgoing
from domain.customer import Customer
from domain.errors import NotFound, StoreCorrupt
from domain.events import MessageSending
from domain.fold import folded
from tidings.bootstrap import Tidings
from tidings.sending import again, is_lost


def as_sent(tidings: Tidings, customer: str, message: str) -> Outgoing:
    """The words and pictures of the last intent to send this message, links as placeholders.

    Raises NotFound where it never was to leave, StoreCorrupt where the words are not those recorded.
    """
    history = replay(tidings.history, customer).history
    known = enumerate(event.body for event in history)
    sent = [at for at, body in known if isinstance(body, MessageSending) and body.message == message]
    if not sent:
        raise NotFound("message.unknown", message=message)
    # The name may have changed since: it is the state of that moment that the words were made from.
    then = folded(Customer(customer), history[: sent[-1] + 1])
    in_force = tidings.in_force()
    found = again(then, message, rules=in_force.rules, templates=in_force.templates)
    if is_lost(found):
        raise StoreCorrupt("store.content_differs", message=message)
    return found
