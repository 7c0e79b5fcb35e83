"""A snapshot test of the access matrix: a Markdown file must match what the guards say."""

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
_HEAD = f"# Who may call what\n\nWritten by the tests; run them with `{UPDATE}=1` to update it.\n\n"
_LINES = 40


def assert_matrix(app: Flask, path: str | os.PathLike[str]) -> None:
    """Assert that a file has the output of `flask authz matrix --markdown` for the application.

    Raise `AssertionError` if the file does not exist or differs; the message lists the access that
    was granted and removed. With `UPDATE_MATRIX=1` in the environment, write the file instead.
    """
    file = Path(path)
    with app.app_context():
        now = _HEAD + table_of_access(read_access()).as_markdown()
    if os.environ.get(UPDATE):
        file.write_text(now, encoding="utf-8")
        return
    if not file.exists():
        raise AssertionError(
            f"{file} does not exist: run the tests once with {UPDATE}=1 to write it, then review "
            "and commit it"
        )
    then = file.read_text(encoding="utf-8")  # accepts any kind of line break
    if then != now:
        raise AssertionError(
            f"{file} does not match the guards:\n\n{_difference(then, now)}\nIf you intended "
            f"this change, run the tests once with {UPDATE}=1."
        )


def _difference(then: str, now: str) -> str:
    lines = difflib.unified_diff(
        then.splitlines(), now.splitlines(), "the file", "the guards", lineterm="", n=0
    )
    shown = [line for line in lines if not line.startswith("@@")]
    more = [f"... and {len(shown) - _LINES} more lines"] if len(shown) > _LINES else []
    text = "".join(f"{line}\n" for line in [*shown[:_LINES], *more])
    before, after = _read(then), _read(now)
    changes = compare(before, after) if before is not None and after is not None else []
    return f"{table_of_changes(changes).as_text()}\n{text}" if changes else text


def _read(document: str) -> AccessMatrix | None:
    """Return the matrix in a document, None if its table has another form."""
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
