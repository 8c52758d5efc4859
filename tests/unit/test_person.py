"""Who gives a command: by option, by environment, or the system's user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputRefused
from tidings.cli.person import person, system_user
from tidings.sanctions import Person, same_person


def test_the_option_counts_before_the_environment_and_that_before_the_system() -> None:
    assert person("anna", None, {"TIDINGS_BY": "ben"}) == Person("anna")
    assert person(None, " why ", {"TIDINGS_BY": "ben"}) == Person("ben", "why")
    assert person(None, None, {"TIDINGS_BY": ""}).name == system_user()
    assert system_user().startswith("os:")


def test_variables_of_the_shell_do_not_say_who_the_systems_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = system_user()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert system_user() == before


@pytest.mark.parametrize(
    ("by", "reason", "code"),
    [
        ("", None, "person.name"),
        ("   ", None, "person.name"),
        ("x" * 101, None, "person.name"),
        ("an\nna", None, "person.name"),
        ("an\u202ena", None, "person.name"),
        ("os:root", None, "person.reserved"),
        ("Guard", None, "person.reserved"),
        ("tidings 0.1", None, "person.reserved"),
        ("anna", "x" * 501, "person.reason"),
        ("anna", "a\x00b", "person.reason"),
    ],
)
def test_what_cannot_be_recorded_is_refused(by: str, reason: str | None, code: str) -> None:
    with pytest.raises(InputRefused) as refused:
        person(by, reason, {})
    assert refused.value.code == code


def test_a_reason_is_asked_for_where_the_installation_wants_one() -> None:
    asked = {"TIDINGS_REASON_REQUIRED": "1"}
    for reason in (None, "", "  "):
        with pytest.raises(InputRefused) as refused:
            person("anna", reason, asked)
        assert refused.value.code == "person.reason_required"
    assert person("anna", "a complaint", asked).reason == "a complaint"


@given(name=st.text(min_size=1, max_size=20))
def test_a_name_is_its_own_however_it_is_written(name: str) -> None:
    assert same_person(name, f"  {name} ")
    assert same_person(name, name.casefold())
    assert not same_person(name, name + "x")
