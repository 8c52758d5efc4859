"""The published JSON Schema: it accepts and refuses the documents that decoding does."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from journeys.definition import End, EnterOnBirthday, Journey, Segment
from support.documents import condition
from support.strategies import conditions
from tidings.cli import commands
from tidings.documents import SCHEMAS, decode, json_schema, shipped, shipped_segments

SHIPPED: dict[str, list[Any]] = {
    "journey": shipped().journeys,
    "template": shipped().templates,
    "policy": [shipped().policy],
    "segment": [decode(document, Segment) for document in shipped_segments()],
    "condition": [condition("holds, kinds: [loan]"), condition("not, of: {is: care_held}")],
}
VALIDATORS = {kind: Draft202012Validator(json_schema(kind)) for kind in SCHEMAS}


def accepted(kind: str, document: Any) -> bool:
    """Whether the schema accepts the document; it must be of one mind with decoding."""
    found: bool = VALIDATORS[kind].is_valid(document)
    assert found is decoded(kind, document), document
    return found


def decoded(kind: str, document: Any) -> bool:
    try:
        msgspec.convert(document, SCHEMAS[kind])
    except msgspec.ValidationError:
        return False
    return True


def plain(document: Any) -> Any:
    return json.loads(msgspec.json.encode(document))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_is_one_of_its_draft_and_names_no_place(kind: str) -> None:
    described = json_schema(kind)
    Draft202012Validator.check_schema(described)
    assert described["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    text = json.dumps(described)
    assert '"$id"' not in text
    assert "discriminator" not in text
    assert "\\n    " not in text


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_shipped_document_is_accepted(kind: str) -> None:
    assert SHIPPED[kind]
    for document in SHIPPED[kind]:
        assert accepted(kind, plain(document))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("journey", {"steps": []}),
        ("journey", {"version": 0}),
        ("journey", {"version": "1"}),
        ("journey", {"journey": "Upper Case"}),
        ("journey", {"colour": "red"}),
        ("journey", {"purpose": "fun"}),
        ("journey", {"enter": {"by": "birthday", "at": "24:00"}}),
        ("journey", {"enter": {"by": "magic"}}),
        ("journey", {"enter": {"at": "09:00"}}),
        ("journey", {"steps": [{"step": "a", "do": "wait", "days": -1, "at": "09:00", "next": "a"}]}),
        ("template", {"version": 1.5}),
        ("template", {"languages": {}}),
        ("segment", {"classes": []}),
        ("segment", {"classes": [{"name": "a", "title": {"en": "A"}}]}),
        ("policy", {"consent": {"fun": "granted"}}),
        ("policy", {"valid_hours": {"marketing": 0}}),
        ("policy", {"quiet_hours": [{"name": "night"}]}),
        ("condition", {"is": "magic"}),
        ("condition", {"kinds": []}),
        ("condition", {"colour": "red"}),
    ],
)
def test_a_wrong_document_is_refused(kind: str, change: dict[str, Any]) -> None:
    assert not accepted(kind, {**plain(SHIPPED[kind][0]), **change})


@pytest.mark.parametrize("kind", sorted(SCHEMAS.keys() - {"condition"}))
def test_a_document_without_a_required_field_is_refused(kind: str) -> None:
    whole = plain(SHIPPED[kind][0])
    required: Any = json_schema(kind)["$defs"]
    for name in required[SCHEMAS[kind].__name__]["required"]:
        assert not accepted(kind, {key: value for key, value in whole.items() if key != name})


def test_a_whole_number_written_with_a_fraction_is_one_to_the_schema_only() -> None:
    """JSON Schema does not tell 2.0 from 2; decoding does, and has the last word."""
    document = {**plain(SHIPPED["journey"][0]), "version": 2.0}
    assert VALIDATORS["journey"].is_valid(document)
    assert not decoded("journey", document)


STRANGE: list[Any] = [None, -1, 0, 1.5, 999, True, "", "5", "-0.50", "x", [], ["a"], ["loan"], {}]


@st.composite
def _spoiled(draw: st.DrawFn) -> Any:
    """A condition as data, with one of its values, or a value that it has not, changed as often as not."""
    tree = plain(draw(conditions))
    part = tree
    while isinstance(part.get("of"), dict | list) and part["of"] and draw(st.booleans()):
        part = part["of"] if isinstance(part["of"], dict) else part["of"][-1]
    if draw(st.booleans()):
        name = draw(st.sampled_from([*part, "at_least", "one_of", "kinds", "other"]))
        part[name] = draw(st.sampled_from(STRANGE))
    return tree


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_spoiled())
def test_schema_and_decoding_agree_on_every_condition(tree: Any) -> None:
    journey = Journey(
        journey="made-up",
        version=1,
        title={"en": "Made up"},
        purpose="care",
        topic="made-up",
        enter=EnterOnBirthday(at="09:00"),
        steps=(End(step="done"),),
    )
    branch = {"step": "b", "do": "branch", "cases": [{"when": tree, "next": "done"}], "otherwise": "done"}
    accepted("journey", {**plain(journey), "steps": [branch, {"step": "done", "do": "end"}]})
    accepted("condition", tree)


def test_the_command_gives_the_schema_without_a_store_and_always_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in SCHEMAS:
        told = CliRunner().invoke(commands, ["journeys", "schema", "--kind", kind])
        assert told.exit_code == 0
        found = json.loads(told.stdout)
        assert found == json_schema(kind)
        assert told.stdout == json.dumps(found, indent=2, sort_keys=True) + "\n"
        compact = CliRunner().invoke(commands, ["journeys", "schema", "--kind", kind, "--json"]).stdout
        assert json.loads(compact) == found
        assert compact.count("\n") == 1
    assert not [*tmp_path.iterdir()]
