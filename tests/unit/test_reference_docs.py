"""The reference pages that are generated say what the code says, and say it of everything."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from msgspec import Struct

from domain.catalogue import FACTS
from domain.events import EVENTS
from journeys.definition import Condition, Enter, Step

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script, which belongs to no package."""
    path = DOCS / "generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    ["facts.md", "events.md", "journeys.md", "segments.md", "policy.md", "templates.md", "calendars.md"],
)
def test_the_page_is_as_the_code_makes_it(generator: ModuleType, name: str) -> None:
    found = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert found == generator.pages()[name], "run python docs/generate_reference.py"


def test_every_name_has_its_heading(generator: ModuleType) -> None:
    pages = generator.pages()
    for kind in FACTS:
        assert f"\n## `{kind}`\n" in pages["facts.md"]
    for kind in EVENTS:
        assert f"\n### `{kind}`\n" in pages["events.md"]
    for part in get_args(Enter) + get_args(Step) + get_args(Condition):
        assert f"\n### `{tag_of(part)}`\n" in pages["journeys.md"]


def test_a_stale_page_is_named(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "FOLDER", tmp_path)
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    (tmp_path / "events.md").write_text("Once upon a time\n", encoding="utf-8")
    (tmp_path / "facts.md").unlink()
    assert generator.main(["--check"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in told] == ["facts.md", "events.md"]


def test_another_option_is_refused(generator: ModuleType) -> None:
    assert generator.main(["--all"]) == 2


def tag_of(part: type[Struct]) -> str:
    config = part.__struct_config__
    return f"{config.tag_field}: {config.tag}"
