"""A message for which a variable has no value: what its template says is done, on the customer's state."""

from datetime import timedelta

from msgspec import UNSET

from domain.catalogue import ChannelName
from domain.customer import Customer
from domain.events import MessageDeferred, MessageRequested, MessageSuppressed, Values
from domain.judgement import valid_until
from journeys.rulebook import CUSTOMER_VARIABLES, Rules
from templates.missing import Held, Skipped, completed, has_value
from templates.model import Template

RULE = "missing_data"


def words_of(
    customer: Customer, request: MessageRequested, template: Template, *, channel: ChannelName, language: str
) -> Values | Held | Skipped:
    """The values to fill into a message, or what becomes of it for want of one.

    A name that the request lacks and that the template provides for is the one that the customer has now:
    it may have come while the message waited. So the words follow from the request and the state in which
    the intent to send is recorded. Raises InputRefused for a template that is none.
    """
    values = request.variables
    if template.missing is not UNSET:
        late = {name: getattr(customer, name) for name in CUSTOMER_VARIABLES if name in template.missing}
        values = values | {name: told for name, told in late.items() if not has_value(values, name)}
    return completed(template, channel=channel, language=language, variables=values)


def for_want(
    customer: Customer, message: str, missing: Held | Skipped, *, channel: ChannelName, rules: Rules
) -> MessageDeferred | MessageSuppressed:
    """The message waits, once, till so many hours after it was asked for, or is not sent."""
    state = customer.messages[message]
    seen: Values = {"template": state.request.template, "variable": missing.variable}
    if isinstance(missing, Held):
        # It is judged again while it still makes sense, so that it is not too late that is told.
        over = state.requested_at + timedelta(hours=missing.hours)
        until = min(over, valid_until(rules.policy, state))
        if customer.clock_at < until:
            return MessageDeferred(message=message, channel=channel, until=until, rule=RULE, values=seen)
    return MessageSuppressed(message=message, channel=channel, rule=RULE, values=seen)
