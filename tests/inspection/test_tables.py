"""Tables are what they should be, whatever stands in their cells."""

from __future__ import annotations

import csv
import io
import re

import pytest

from jwt_authz.inspection.tables import FORMS, Table, visible

HOSTILE = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "  =1+1",
    "\t=1+1",
    "\uff1d1+1",
    "=HYPERLINK(\"http://x\",'y')",
    "a|b",
    "a\\|b",
    "back\\slash",
    "`code`",
    "*bold* _it_ ~no~ [a](http://x) ![i](x) <b>&amp; #1 $x$",
    "http://x.example",
    "www.x.example",
    "line\nbreak",
    "carriage\r\n| --- |",
    "\x1b[31mred\x1b[0m",
    "\u202eright to left",
    "\u2028separator",
    'quote"quote',
    "comma,semicolon;",
    "",
)


def test_a_text_has_aligned_columns_and_no_blanks_at_the_end_of_a_line() -> None:
    table = Table(("method", "rule"), [("GET", "/a"), ("DELETE", "")])
    assert table.as_text() == "method  rule\nGET     /a\nDELETE\n"


def test_markdown_has_a_line_between_header_and_rows() -> None:
    table = Table(("method", "rule"), [("GET", "/a/<int:id>")])
    assert table.as_markdown() == "| method | rule |\n| --- | --- |\n| GET | /a/\\<int:id\\> |\n"


def test_csv_ends_its_lines_as_rfc_4180_says() -> None:
    assert Table(("a", "b"), [("c", "d")]).as_csv() == '"a","b"\r\n"c","d"\r\n'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", HOSTILE)
def test_every_row_is_one_line_that_prints_whatever_a_cell_holds(cell: str, form: str) -> None:
    written = FORMS[form](Table(("first", cell), [(cell, "last"), ("x", cell)]))
    lines = written.replace("\r\n", "\n").removesuffix("\n").split("\n")
    assert len(lines) == (4 if form == "markdown" else 3)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("cell", HOSTILE)
def test_no_cell_of_a_csv_is_a_formula(cell: str) -> None:
    written = Table((cell,), [(cell,)]).as_csv()
    for (read,) in csv.reader(io.StringIO(written)):
        assert read.lstrip()[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20")
        assert read in (visible(cell), f"'{visible(cell)}")
    assert written.startswith('"')


def test_text_other_than_a_formula_stays_as_it_is() -> None:
    cells = ["/a/<int:id>", "has the permission a:b", "a-b", "a=b", "yes"]
    assert list(csv.reader(io.StringIO(Table(cells, []).as_csv()))) == [cells]


@pytest.mark.parametrize("cell", HOSTILE)
def test_markdown_has_no_markup_of_a_cell_s_making(cell: str) -> None:
    row = Table(("a",), [(cell,)]).as_markdown().split("\n")[2]
    inner = row[2:-2].replace("&#124;", "")
    assert "|" not in inner
    # Every character that could be markup has a backslash that is not escaped itself.
    assert re.fullmatch(r"(?:\\.|[^\\`*_\[\]<>&~#!$|])*", inner)
    assert not re.search(r"(?<!\\)://|\bwww\.", inner)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain <int:id> ä", "plain <int:id> ä"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
