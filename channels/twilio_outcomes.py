"""What Twilio's refusals mean for a message.

Sources: twilio.com/docs/api/errors, a page for each code (looked up in November 2026).
"""

from datetime import timedelta

from channels.base import Outcome, Rejected, Retry, Unknown

# The number can never get a text: not one, no mobile one, a short code, a landline. Not 21612, "the current
# combination of To and From": as a rule the sender is of a kind that the country does not allow, and one
# wrong setting must not silence the numbers of a whole country for ever.
ADDRESS = frozenset((14101, 21211, 21217, 21265, 21614, 21635))
OPTED_OUT = 21610
# Too many at once, by account, sender or day: nothing was queued.
_PACE = frozenset((14107, 20429, 21611, 63017, 63038))
# The account, its sender or its permissions: nothing was taken, an operator must mend it, another provider
# may take it meanwhile. Rejecting would lose every message of the bank for one wrong setting.
_SETTINGS = frozenset(
    (
        *(20003, 20005, 20008, 20403, 20404, 30002),
        *(21212, 21267, 21408, 21601, 21603, 21606, 21607, 21608, 21609, 21659, 21660, 21661),
        *(21701, 21703, 21704, 21705),
    )
)
_UNAVAILABLE = 20503


def refused(status: int, code: int | None, *, after: timedelta | None, provider: str) -> Outcome:
    """The outcome of a message that Twilio answered with this status and error code.

    503 is a refusal only with Twilio's own code 20503 ("temporarily unavailable, try again"). Without it a
    load balancer may be speaking that had already passed the request on, and Messages has no idempotency key:
    so that is unknown, like 500, 502 and 504, and like what else is not Twilio's own word.
    """
    reason = f"twilio.{code}" if code else f"http.{status}"
    if code == OPTED_OUT:
        return Rejected(reason, refused="opted_out", provider=provider)
    if code in ADDRESS:
        return Rejected(reason, refused="address", provider=provider)
    if status == 429 or code in _PACE or (status == 503 and code == _UNAVAILABLE):
        return Retry(reason, after, provider=provider)
    if status in (401, 403, 404, 407) or (status < 500 and code in _SETTINGS):
        return Retry(reason, after, provider=provider)
    if status == 400 or (400 < status < 500 and code):
        return Rejected(reason, provider=provider)
    return Unknown(reason, provider=provider)
