"""The texts avoid the phrases of `scripts/check_language.py`, and the check finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_language
from scripts.check_language import Allowed, Finding, disallowed, findings, phrases


@pytest.mark.slow
def test_the_project_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_language.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "Log in anew.",
        "The client is told so.",
        "Whoever has the token is somebody else.",
        "'x' is no algorithm.",
        "They are\n    no keys.",
        "An issuer which there is none of.",
        "Done in earnest.",
        "An identity made up for a test.",
        "Mend the catalogue.",
    ],
)
def test_a_giveaway_is_found(text: str) -> None:
    assert list(phrases(text))


@pytest.mark.parametrize(
    "text",
    [
        "The token is no longer valid.",
        "There is no role of this name.",
        "Recommend a lesson on renewal.",
        "It is not a list.",
        "Otherwise the answer is no.",
    ],
)
def test_ordinary_english_passes(text: str) -> None:
    assert list(phrases(text)) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""A module.\n\nAsked anew."""\n', 3),
        ("x = 1\nraise ValueError('log in ' 'anew')\n", 2),
        ("x = f'{x} is no role'\n", 1),
        ("x = 1  # told\n", 1),
        ("x = 1\n# which is\n# no role\n", 2),
        ("def test_the_client_is_told(): ...\n", 1),
    ],
    ids=["docstring", "joined string", "f-string", "comment", "wrapped comment", "test name"],
)
def test_strings_docstrings_comments_and_test_names_are_read(source: str, line: int) -> None:
    assert [f.line for f in findings("a.py", source)] == [line]


def test_names_in_the_code_are_not_read() -> None:
    assert list(findings("a.py", "told = anew = claims['catalogue']\n")) == []


def test_markdown_is_read_outside_code_and_generated_tables() -> None:
    page = (
        "# A page\n\n`told`, and `x` is `no`:\n\n```python\nprint('anew')\n```\n\n"
        "<!-- files: made by a script -->\n| told |\n<!-- end of files -->\n\nIt is\nno list.\n"
    )
    assert list(findings("a.md", page)) == [Finding("a.md", 13, "is no")]


def test_templates_are_read_outside_their_tags() -> None:
    page = '<p class="told">\n  Nobody is <b>told</b>.\n</p>\n'
    assert list(findings("a.html", page)) == [Finding("a.html", 2, "told")]


def test_an_allowed_phrase_passes_in_its_file_only() -> None:
    entry = Allowed("a.py", "told", "A quote.")
    found = [Finding("a.py", 1, "told"), Finding("a.py", 2, "anew"), Finding("b.py", 3, "told")]
    assert disallowed(found, [entry]) == ["a.py:2: 'anew'", "b.py:3: 'told'"]


def test_an_entry_without_a_use_is_reported() -> None:
    assert disallowed([], [Allowed("a.py", "told", "A quote.")]) == [
        "a.py: 'told' is allowed but not used"
    ]


def test_every_checked_file_is_found(tmp_path: Path) -> None:
    for name in check_language.CHECKED:
        path = tmp_path / name
        if path.suffix:
            path.touch()
        else:
            (path / "inner").mkdir(parents=True)
            (path / "inner" / "a.html").touch()
            (path / "inner" / "a.toml").touch()
    expected = {name if "." in name else f"{name}/inner/a.html" for name in check_language.CHECKED}
    assert set(check_language.files(tmp_path)) == expected
