"""Whatever happens when: nothing leaves at night or over a cap, and what is asked for ends once."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope, Purpose
from journeys.definition import End, EnterOnFact, Journey, Send, Wait
from support.bank import Bank
from support.promises import check_policy_kept
from support.strategies import END, lives

some = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def asking(name: str, purpose: Purpose, *, priority: int, hours: int) -> Journey:
    """Two messages for each payment, the second a day later; all hours of the day come."""
    channels = ("email", "sms")
    return Journey(
        journey=name,
        version=1,
        title={"en": name},
        purpose=purpose,
        topic="offers",
        priority=priority,
        enter=EnterOnFact(fact="transaction.posted/1"),
        steps=(
            Send(step="one", template="birthday-greeting", channels=channels, valid_hours=hours, next="wait"),  # type: ignore[arg-type]
            Wait(step="wait", days=1, at="23:30", next="two"),
            Send(step="two", template="birthday-greeting", channels=channels, next="end"),  # type: ignore[arg-type]
            End(step="end"),
        ),
    )


OWN = (
    asking("a-offer", "marketing", priority=20, hours=200),
    asking("b-offer", "marketing", priority=80, hours=30),
    asking("c-notice", "service", priority=50, hours=48),
    asking("d-duty", "regulatory", priority=50, hours=48),
)


def lived(folder: str, name: str, told: list[Envelope], *, partitions: int, batch: int) -> Bank:
    bank = Bank(Path(folder), name=name, partitions=partitions)
    bank.publish(*OWN)
    bank.take(told)
    bank.run(END + timedelta(days=30), batch=batch)
    return bank


@some
@given(lives(most=20), st.integers(1, 40))
def test_nothing_leaves_at_night_or_over_a_cap_and_all_of_it_ends_once(
    told: list[Envelope], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = lived(folder, "one", told, partitions=1, batch=batch)
        for history in bank.histories().values():
            check_policy_kept(history)
        assert bank.verify().findings == []
        other = lived(folder, "other", told, partitions=3, batch=2_000)
        assert other.histories() == bank.histories()
