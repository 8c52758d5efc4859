"""The shape of the house: where packages lie, texts in step, tables as migrated, one concept a file."""

import importlib
import re
import string
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import stores
from domain.catalogue import FACTS, fact_type
from domain.events import EVENTS, KIND_OF
from stores.database import SCHEMA_VERSION, open_store, reading
from stores.schema import metadata
from support.bank import Bank
from tidings.wording import LANGUAGES, catalogue

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("domain", "journeys", "channels", "templates", "scheduler", "stores", "audit", "tidings")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_package_is_ours_and_not_one_of_the_same_name(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / room


def test_no_file_is_named_after_a_standard_module() -> None:
    import sys

    named = {path.stem for path in SOURCES} - {"__init__", "__main__"}
    # Inside a package these do no harm: nothing here is run as a script.
    assert named & (sys.stdlib_module_names - {"calendar"}) == set()


def test_no_source_file_holds_more_than_one_concept_can_fill() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 360}
    assert long == {}


def test_the_tables_are_what_the_migrations_make(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    with reading(open_store(bank.settings.store)) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_program_expects_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(stores.__file__ or "").parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_partition_leads_every_key() -> None:
    for table in metadata.tables.values():
        assert next(iter(table.primary_key.columns)).name == "partition"
        for index in table.indexes:
            assert next(iter(index.columns)).name == "partition"


def test_every_text_stands_in_every_language_with_the_same_gaps() -> None:
    def gaps(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    first, *others = (catalogue(language) for language in LANGUAGES)
    for other in others:
        assert other.keys() == first.keys()
        for code, text in first.items():
            assert gaps(other[code]) == gaps(text), code


def test_every_code_that_the_program_tells_has_a_text() -> None:
    told = re.compile(
        r"(?:InputRefused|NotFound|StoreUnusable|StoreCorrupt|LeaseLost|TidingsError|Problem|Finding|tell|_find|_end)"
        r'\(\s*"([a-z_]+\.[a-z_.]+)"'
    )
    known = catalogue(LANGUAGES[0])
    used = {code for path in SOURCES for code in told.findall(path.read_text())}
    assert len(used) > 60
    assert sorted(code for code in used if code not in known) == []


def test_event_names_are_literal_versioned_and_used_once() -> None:
    names = [*FACTS, *EVENTS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+/[0-9]+", name) for name in names)
    assert len(KIND_OF) == len(EVENTS)
    assert fact_type("x.loyalty/1") is not None
    assert fact_type("x.loyalty") is None


def test_no_machine_and_no_registry_is_named_in_the_project() -> None:
    texts = [
        path
        for path in ROOT.rglob("*")
        if path.suffix in {".py", ".toml", ".txt", ".md", ".yaml", ".cfg"} and ".venv" not in path.parts
    ]
    suspicious = re.compile(r"(?<![\w.])/(?:root|home|farm)/\w|index-url|find-links")
    own = Path(__file__)
    found = [str(p) for p in texts if p != own and suspicious.search(p.read_text(encoding="utf-8"))]
    assert found == []


def test_no_two_locks_share_a_number() -> None:
    numbers = [n for path in SOURCES for n in re.findall(r"LOCK = (7_461_\d+)", path.read_text())]
    assert len(numbers) > 5
    assert len(numbers) == len(set(numbers))
