"""The threats that must be withstood, by number, with the test files that name each number."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Rows = dict[str, dict[str, str]]

_NUMBER = r"(?:\d\.\d+|F\d+)"
_REFERENCE = re.compile(rf"SECURITY ({_NUMBER}(?:, {_NUMBER})*)")


def tables() -> dict[str, Rows]:
    """Return the rows of each table of `docs/reliability.toml` by full number: "1.3", "F9"."""
    data: dict[str, dict[str, Any]] = tomllib.loads(
        (ROOT / "docs" / "reliability.toml").read_text()
    )
    return {
        name: {full_number(name, number): row for number, row in rows.items()}
        for name, rows in data.items()
    }


def full_number(table: str, number: str) -> str:
    return f"{table}.{number}" if table.isdigit() else f"{table}{number}"


def references(folder: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Return the numbers that tests name, each with the files, as paths below the folder."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        named = {n for match in _REFERENCE.findall(path.read_text()) for n in match.split(", ")}
        for number in named:
            found.setdefault(number, []).append(path.relative_to(folder).as_posix())
    return found


def table(name: str) -> str:
    """Return one table in Markdown: number, threat, and tests, or the reason for having none."""
    named = references()
    head = ["| number | what | tests |", "| --- | --- | --- |"]
    return "\n".join(head + [line(n, row, named.get(n, [])) for n, row in tables()[name].items()])


def line(number: str, row: dict[str, str], files: list[str]) -> str:
    what = f"{row['is']} ({row['from']})" if "from" in row else row["is"]
    proof = [", ".join(f"`{file}`" for file in files)] if files else []
    proof += [row["reason"]] if "reason" in row else []
    proof += [f"Still to come: {row['later']}."] if "later" in row else []
    return f"| {number} | {what} | {'. '.join(proof)} |"


def contradictions(listed: dict[str, Rows], named: dict[str, list[str]]) -> list[str]:
    """Return the contradictions between the list and the tests, as sentences."""
    rows = {number: row for table_rows in listed.values() for number, row in table_rows.items()}
    wrong = [
        f"{number} is named in {', '.join(files)} and is not in the list"
        for number, files in named.items()
        if number not in rows
    ]
    for number, row in rows.items():
        if number in named and "reason" in row:
            wrong.append(f"{number} has tests, and a reason why it has none: remove the reason")
        if number not in named and "reason" not in row:
            wrong.append(f"{number} has neither a test that names it nor a reason")
        if number not in named and "later" in row:
            wrong.append(f"{number} says what is still to come, but has no tests")
    return wrong
