"""The settings of channels that the pages show are settings that are read."""

import re
from pathlib import Path

import pytest

from domain.errors import InputRefused
from tidings.providers import read_channels

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
SHOWN = re.findall(r"```toml\n(.*?)```", (PAGES / "serve.md").read_text(), re.DOTALL)


def test_the_file_of_the_page_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    path.write_text(SHOWN[0])
    file = read_channels(path)
    assert file.routes["email"] == ("relay", "relay-two")
    assert file.providers["relay"].pace.domains == {"gmail.com": 10}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('sms = ["twilio"]', 'sms = ["twillio"]'), r"routes\.sms: no provider 'twillio'"),
        (('sms = ["twilio"]', 'sms = ["relay"]'), "'relay' is of the kind smtp, which sends no sms"),
        (("/callbacks/twilio", "/callbacks/twillio"), "must end in /callbacks/twilio"),
        (('sms = ["twilio"]', "sms = []"), r"routes\.sms names no provider"),
        (('["relay", "relay-two"]', '["relay", "relay"]'), "names a provider twice"),
        (('kind = "twilio"', 'kind = "twillio"'), r"providers.*kind"),
        (('host = "smtp.bank.example"\n', ""), "host"),
        (('host = "smtp.bank.example"', 'hots = "smtp.bank.example"'), "hots"),
        (
            ('https://care.bank.example"  ', 'http://care.bank.example"  '),
            "public_url must be an https address",
        ),
        (('link_keys = [{ env = "LINK_KEY" }]', "link_keys = []"), "link_keys is empty"),
        (("[routes]", "[routes"), "TOML|toml|Expected|expected"),
        (("per_second = 50", "per_second = 0"), "per_second"),
        (('brand = "Example Bank"', 'brnad = "x"'), "brnad"),
        (('host = "smtp.backup.example"', "host = 1"), r"^providers\.relay-two\.host: Expected `str`"),
        (('sms = ["twilio"]', 'sms = "twilio"'), r"^routes\.sms: Expected `array`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    assert change[0] in SHOWN[0]
    path.write_text(SHOWN[0].replace(*change))
    with pytest.raises(InputRefused, match=r"channels\.invalid") as refused:
        read_channels(path)
    assert re.search(told, str(refused.value.values["reason"]))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"channels\.missing"):
        read_channels(tmp_path / "none.toml")
