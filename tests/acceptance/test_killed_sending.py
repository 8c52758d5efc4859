"""The sender is killed over and over: by purpose at most once, or the same one again; nothing stays open."""

import os
from pathlib import Path

import pytest

from support.campaign import fought
from support.stream import Provider

SEED = int(os.environ.get("TIDINGS_TEST_SEED", "5"))


@pytest.mark.slow
def test_a_provider_that_can_be_asked_gets_everything_exactly_once(tmp_path: Path) -> None:
    record = tmp_path / "taken"
    provider = Provider(record)
    campaign = fought(
        tmp_path,
        "email",
        messages=800,
        kills=8,
        seed=SEED,
        ways=["--record", str(record)],
        taken=lambda: [line.split()[0] for line in provider.taken()],
    )
    campaign.check()
    assert set(campaign.taken.values()) == {1}
    assert {entry.status for entry in campaign.ledger} == {"accepted"}
