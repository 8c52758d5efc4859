"""The tests that the page of failures names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "failures.md"


def test_every_test_that_the_page_names_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = {path.name: path for path in (ROOT / "tests").rglob("*.py")}
    for name in re.findall(r"`(tests/[\w/]+\.py)`", page):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"`(test_\w+\.py)`", page):
        assert name in files, name
    for group, name in re.findall(r"`(Test\w+)` in `(?:tests/\w+/)?(test_\w+\.py)`", page):
        assert f"class {group}" in files[name].read_text(encoding="utf-8"), (group, name)


def test_each_row_names_a_test_or_what_is_done_instead() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 60
    assert all(row.count(" | ") == 1 for row in rows)
