"""Phone numbers as providers take them: E.164, ``+`` and digits only."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from channels.base import Rejected


def e164(address: str, *, region: str | None = None) -> str | None:
    """The number in E.164, None where no such number can exist.

    ``region`` (ISO 3166, "CN") is where a number without a country code is at home. One with an extension
    is refused: a text cannot reach it. Validity is of the numbering plan; whether anybody has the number only
    the network knows.
    """
    try:
        number = phonenumbers.parse(address, region)
    except NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def bad_number(provider: str) -> Rejected:
    """What becomes of a message to a number that cannot exist. The reason holds no personal data."""
    return Rejected("number.invalid", refused="address", provider=provider)
