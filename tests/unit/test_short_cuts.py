"""Where the hot path takes a shorter way, it arrives where the long one does."""

import tempfile
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope
from domain.ids import derived_id
from journeys import engine
from support.bank import Bank
from support.strategies import END, lives
from tidings import process

NAMESPACE = UUID("6d1f0c1e-7f5b-5c8e-9a53-0d8f5e5b7a11")
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(texts))
def test_a_derived_id_is_the_uuid_of_version_5_of_its_parts(parts: list[str]) -> None:
    assert derived_id(*parts) == str(uuid5(NAMESPACE, "\x1f".join(parts)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives())
def test_what_is_told_by_its_kind_to_have_no_consequence_has_none(told: list[Envelope]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        short = Bank(Path(folder), name="short")
        short.take(told)
        short.run(END)
        patch.setattr(engine, "nothing_follows", lambda *_: False)
        patch.setattr(process, "passes_by", lambda *_: False)
        long = Bank(Path(folder), name="long")
        long.take(told)
        long.run(END)
        assert long.histories() == short.histories()
