"""What must be withstood is tested, or it is said why not; and no test names what is not listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.withstood import ROOT, Rows, contradictions, references, tables

WORD = "SECURITY"  # apart from its number, which would be a reference


def test_each_number_has_a_test_that_names_it_or_a_reason() -> None:
    assert contradictions(tables(), references()) == []


@pytest.mark.parametrize(
    ("row", "named", "wrong"),
    [
        ({}, {}, "1.1 has neither a test that names it nor a reason"),
        ({"reason": "Later."}, {"1.1": ["a.py"]}, "1.1 has tests, and a reason why it has none"),
        ({}, {"1.1": ["a.py"], "1.2": ["b.py"]}, "1.2 is named in b.py and is not in the list"),
        ({"reason": "x", "later": "y"}, {}, "1.1 says what is still to come"),
    ],
    ids=["neither", "both", "not listed", "later without tests"],
)
def test_contradictions_are_reported(
    row: dict[str, str], named: dict[str, list[str]], wrong: str
) -> None:
    listed: dict[str, Rows] = {"1": {"1.1": {"is": "something", **row}}}
    found = contradictions(listed, named)
    assert len(found) == 1
    assert found[0].startswith(wrong)


def test_a_row_with_a_test_or_with_a_reason_is_as_it_should_be() -> None:
    listed: dict[str, Rows] = {"1": {"1.1": {"is": "a"}, "1.2": {"is": "b", "reason": "Later."}}}
    assert contradictions(listed, {"1.1": ["a.py"]}) == []


def test_references_are_found_in_docstrings_and_comments(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "test_a.py").write_text(f'"""About it. {WORD} 1.3, F9."""\n')
    (tmp_path / "test_b.py").write_text(f"# {WORD} 1.3: cases, and 1.4 said in passing\n")
    assert references(tmp_path) == {
        "1.3": ["inner/test_a.py", "test_b.py"],
        "F9": ["inner/test_a.py"],
    }


def test_every_reference_is_written_so_that_it_is_found() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for text in re.findall(rf"{WORD} (.*)", path.read_text()):
            assert re.match(r"((\d\.|F)\d+(, |$|[.:)]))+", text), (path, text)


def test_the_numbers_of_each_table_follow_each_other() -> None:
    sizes = {name: len(rows) for name, rows in tables().items()}
    assert sizes == {"1": 44, "2": 58, "F": 16}
    for name, rows in tables().items():
        numbers = [int(re.sub(r"\d\.|F", "", number)) for number in rows]
        assert numbers == list(range(1, len(rows) + 1)), name


def commands() -> list[tuple[str, str]]:
    """The file and the part of a name that each command of the page's figures runs."""
    page = (ROOT / "docs" / "reliability.md").read_text().partition("## Figures")[2]
    return re.findall(r"`python -m pytest -m long -s (tests/\S+)(?: -k (\w+))?` \|", page)


def long_tests() -> list[tuple[str, str]]:
    """The file and the name of each test that is run with `-m long` alone."""
    marked = re.compile(r"^@pytest\.mark\.long\n(?:@.*\n)*def (test_\w+)", re.MULTILINE)
    return [
        (path.relative_to(ROOT).as_posix(), name)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in marked.findall(path.read_text())
    ]


def test_the_page_has_a_command_for_each_long_test_and_none_for_nothing() -> None:
    listed, found = commands(), long_tests()
    assert found
    for path, name in found:
        assert any(path == file and part in name for file, part in listed), name
    for file, part in listed:
        assert any(path == file and part in name for path, name in found), (file, part)
