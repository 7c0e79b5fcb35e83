"""Write a table as aligned text, Markdown or CSV, with all cells escaped."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MARKUP = re.compile(r"[\\`*_\[\]<>&~#!$]|:(?=//)|(?<=[wW])\.")
# Characters that make a spreadsheet treat a cell as a formula, including their full-width forms.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


@dataclass(frozen=True, slots=True)
class Table:
    """The names of the columns, and rows with one text for each column."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """Return aligned columns for a terminal, one line for each row."""
        lines = [list(map(visible, row)) for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        )
        return "".join(f"{line.rstrip()}\n" for line in padded)

    def as_markdown(self) -> str:
        """Return a table in GitHub Flavored Markdown (section 4.10), with the cells escaped."""
        lines = [list(map(_as_markdown, line)) for line in (self.header, *self.rows)]
        lines.insert(1, ["---"] * len(self.header))
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def as_csv(self) -> str:
        """Return CSV (RFC 4180) with all cells quoted and formulas prefixed with `'`."""
        written = io.StringIO()
        writer = csv.writer(written, quoting=csv.QUOTE_ALL)
        writer.writerows(map(_as_csv, row) for row in (self.header, *self.rows))
        return written.getvalue()


FORMS: dict[str, Callable[[Table], str]] = {
    "text": Table.as_text,
    "markdown": Table.as_markdown,
    "csv": Table.as_csv,
}


def visible(text: str) -> str:
    """Escape unprintable characters such as line breaks and terminal codes: `\\n`, `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _as_markdown(cell: str) -> str:
    # Write a pipe as an entity: after a backslash in the text itself, `\|` would end the cell.
    return _MARKUP.sub(r"\\\g<0>", visible(cell)).replace("|", "&#124;")


def _as_csv(cell: str) -> str:
    text = visible(cell)
    return f"'{text}" if _FORMULA.match(text) else text
