"""Snapshot: the access matrix in a Markdown file, which a change of the guards must change, too."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from flask import Flask

from ..inspection.access import AccessMatrix, Row, read_access
from ..inspection.diff import compare
from ..inspection.rows import table_of_access, table_of_changes
from ..policy.decision import Verdict

UPDATE = "UPDATE_MATRIX"
_HEAD = f"# Who may call what\n\nWritten by the tests; `{UPDATE}=1` before them writes it anew.\n\n"
_LINES = 40


def assert_matrix(app: Flask, path: str | os.PathLike[str]) -> None:
    """The file, in Markdown, is what `flask authz matrix --markdown` says of the application.

    Raises `AssertionError` where it is not, which says what access was given and taken, and where
    there is no file. With `UPDATE_MATRIX=1` in the environment the file is written instead.
    """
    file = Path(path)
    with app.app_context():
        now = _HEAD + table_of_access(read_access()).as_markdown()
    if os.environ.get(UPDATE):
        file.write_text(now, encoding="utf-8")
        return
    if not file.exists():
        raise AssertionError(
            f"there is no {file}: run the tests once with {UPDATE}=1 to write it, read it, and "
            "commit it"
        )
    then = file.read_text(encoding="utf-8")  # with line breaks of any kind
    if then != now:
        raise AssertionError(
            f"{file} is not what the guards say:\n\n{_difference(then, now)}\nWhere that is what "
            f"you want, run the tests once with {UPDATE}=1."
        )


def _difference(then: str, now: str) -> str:
    lines = difflib.unified_diff(
        then.splitlines(), now.splitlines(), "the file", "the guards", lineterm="", n=0
    )
    shown = [line for line in lines if not line.startswith("@@")]
    more = [f"... and {len(shown) - _LINES} lines more"] if len(shown) > _LINES else []
    told = "".join(f"{line}\n" for line in [*shown[:_LINES], *more])
    before, after = _read(then), _read(now)
    changes = compare(before, after) if before is not None and after is not None else []
    return f"{table_of_changes(changes).as_text()}\n{told}" if changes else told


def _read(document: str) -> AccessMatrix | None:
    """The matrix of a document that is a table as `_HEAD` says; None for another."""
    lines = [_cells(line) for line in document.splitlines() if line.startswith("| ")]
    try:
        header, _, *rows = lines
        roles = tuple(header[4:-1])
        return AccessMatrix(roles, tuple(_row(cells, roles) for cells in rows))
    except ValueError:
        return None


def _cells(line: str) -> list[str]:
    cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
    return [re.sub(r"\\(.)", r"\1", cell).replace("&#124;", "|") for cell in cells]


def _row(cells: list[str], roles: tuple[str, ...]) -> Row:
    method, rule, *answers, requirement = cells
    unidentified, without_role, *of_roles = map(Verdict, answers)
    access = dict(zip(roles, of_roles, strict=True))
    return Row("", rule, method, requirement, unidentified, without_role, access)
