"""What customers can choose on our own pages."""

from domain.customer import Customer
from domain.policy import ConsentRule
from tidings.choices import Cell, Standing

REACHED = Customer("c-1", addresses={"email": "one@example.com", "sms": "+420601000001"})


def test_what_is_sent_without_asking_is_not_offered() -> None:
    """Whoever said no to it would be written to all the same."""

    def offered(care: ConsentRule) -> list[Cell]:
        rules: dict[str, ConsentRule] = {"marketing": "granted", "care": care, "service": "not_needed"}
        return Standing(REACHED, rules).cells()  # type: ignore[arg-type]

    marketing = [Cell("marketing", "email"), Cell("marketing", "sms")]
    assert offered("not_needed") == marketing
    assert offered("not_withdrawn") == [*marketing, Cell("care", "email"), Cell("care", "sms")]
