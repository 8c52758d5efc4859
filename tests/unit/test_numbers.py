"""Phone numbers in E.164."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Rejected
from channels.phone_numbers import bad_number, e164


@pytest.mark.parametrize(
    ("address", "region", "expected"),
    [
        ("+420601000001", None, "+420601000001"),
        ("+420 601 000 001", None, "+420601000001"),
        ("601 000 001", "CZ", "+420601000001"),
        ("13800138000", "CN", "+8613800138000"),
        ("0086 138 0013 8000", "CN", "+8613800138000"),
        ("０１３８００１３８０００", "CN", "+8613800138000"),
        ("+8613800138000", "CZ", "+8613800138000"),
    ],
)
def test_a_number_is_written_in_one_way(address: str, region: str | None, expected: str) -> None:
    assert e164(address, region=region) == expected


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("", "CN"),
        ("one@example.com", "CZ"),
        ("601 000 001", None),
        ("+999123456789", None),
        ("+86138001380", None),
        ("95588", "CN"),
        ("+420601000001;ext=3", None),
        ("+420601000001\nTo: +420601000002", None),
        ("+" + "1" * 300, None),
    ],
)
def test_what_cannot_be_a_number_is_none(address: str, region: str | None) -> None:
    assert e164(address, region=region) is None


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from([None, "CN", "CZ", "GB", "US"]))
def test_no_text_whatever_makes_it_fail_and_once_is_enough(address: str, region: str | None) -> None:
    number = e164(address, region=region)
    assert number is None or e164(number) == number


@settings(deadline=None)
@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_every_country_s_example_is_taken(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is None or e164(
        f"+{example.country_code}{phonenumbers.national_significant_number(example)}"
    )


def test_a_bad_number_is_an_address_never_to_be_used_and_its_reason_does_not_hold_it() -> None:
    assert bad_number("twilio") == Rejected("number.invalid", refused="address", provider="twilio")
