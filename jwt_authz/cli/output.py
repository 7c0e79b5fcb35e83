"""Print tables and findings: fitted to the terminal, in color if it shows any."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

import click

from ..findings import CHECKS, Finding
from ..inspection.tables import FORMS, Table

_COLORS = {
    "yes": "green",
    "no": "red",
    "depends": "yellow",
    "NO GUARD": "red",
    "NOT ENFORCED": "yellow",
    "UNKNOWN": "yellow",
    "disabled": "yellow",
}
_NARROWEST = 40
_SEVERITIES = {"error": "red", "warning": "yellow"}

wide_option = click.option(
    "--wide", is_flag=True, help="Do not fit the table to the width of the terminal."
)


def show(table: Table, form: str | None = None, *, wide: bool = False, repeated: int = 0) -> None:
    """Print a table in a form (see `FORMS`), by default as text that fits the terminal.

    A table that is too wide is printed in blocks, each with the first `repeated` columns, or with
    shortened cells.
    """
    if form not in (None, "text"):
        click.echo(FORMS[form](table), nl=False)
        return
    width = None if wide else _width()
    blocks = [table] if width is None else list(table.blocks(width, repeated))
    paint = None if _has_no_color() else _painted
    click.echo("\n".join(block.as_text(paint) for block in blocks), nl=False)
    if any(block.is_shortened for block in blocks):
        click.echo("some cells are shortened: add --wide to see all of them", err=True)


def show_findings(found: list[Finding]) -> None:
    """Print findings by code: warnings to the output, and errors after them to the error output."""
    codes = dict.fromkeys(one.code for one in sorted(found, key=lambda one: one.code))
    for severity in ("warning", "error"):
        for code in codes:
            group = [one for one in found if (one.code, one.severity) == (code, severity)]
            if len(group) > 1:
                heading = f"{code}: {CHECKS[code].title} ({len(group)} findings)"
                click.echo(_styled(heading, bold=True), err=severity == "error")
            for one in group:
                label = _styled(f"{severity}:", fg=_SEVERITIES[severity])
                click.echo(f"{label} {one}", err=severity == "error")


def _styled(text: str, **style: Any) -> str:
    return text if _has_no_color() else click.style(text, **style)


def _painted(cell: str) -> str:
    color = _COLORS.get(cell) or _COLORS.get(cell.partition(",")[0])
    return cell if color is None else click.style(cell, fg=color)


def _has_no_color() -> bool:
    """Return whether the user asked for no color (no-color.org); click knows about pipes."""
    return bool(os.environ.get("NO_COLOR"))


def _width() -> int | None:
    """Return the columns of the terminal; None for a pipe or file, unless COLUMNS is set."""
    if os.environ.get("COLUMNS") or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, _NARROWEST)
    return None
