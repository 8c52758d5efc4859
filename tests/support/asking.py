"""Journeys that ask for one message when they are told to, for tests of what becomes of it."""

from domain.catalogue import Purpose
from journeys.definition import End, EnterOnFact, Journey, Send
from tidings.documents import shipped

SHIPPED = shipped()


def asks(
    purpose: Purpose, *channels: str, valid_hours: int | None = None, template: str = "birthday-greeting"
) -> Journey:
    """A fact ``x.<purpose>/1`` asks for one message of this purpose."""
    return Journey(
        journey=purpose,
        version=1,
        title={"en": purpose},
        purpose=purpose,
        topic="offers",
        enter=EnterOnFact(fact=f"x.{purpose}/1"),
        steps=(
            Send(
                step="say",
                template=template,
                channels=channels or ("email",),  # type: ignore[arg-type]
                valid_hours=valid_hours,
                next="end",
            ),
            End(step="end"),
        ),
    )
