"""Write a table as aligned text, Markdown or CSV, with all cells escaped."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_MARKUP = re.compile(r"[\\`*_\[\]<>&~#!$]|:(?=//)|(?<=[wW])\.")
# Characters that make a spreadsheet treat a cell as a formula, including their full-width forms.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


_SHORTEST = 6  # characters of a shortened cell
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """The names of the columns, and rows with one text for each column."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_shortened: bool = False

    def as_text(self, paint: Callable[[str], str] | None = None) -> str:
        """Return aligned columns for a terminal, one line for each row.

        `paint` returns a cell with the codes of its color.
        """
        lines = [list(map(visible, row)) for row in (self.header, *self.rows)]
        widths = _widths(lines)
        texts = []
        for number, line in enumerate(lines):
            painted = map(paint, line) if paint is not None and number else line
            padded = (
                text + " " * (width - len(cell))
                for text, cell, width in zip(painted, line, widths, strict=True)
            )
            texts.append(f"{_GAP.join(padded).rstrip()}\n")
        return "".join(texts)

    def blocks(self, width: int, repeated: int = 0) -> Iterator[Table]:
        """Yield tables whose text is at most this wide.

        If there are more columns than the first `repeated` ones, the rest is divided among several
        tables, each with the first columns. Without `repeated`, and where a column alone is too
        wide, cells are shortened.
        """
        lines = [list(map(visible, row)) for row in (self.header, *self.rows)]
        widths = _widths(lines)
        if not repeated or _total(widths) <= width:
            yield self._shortened(lines, widths, width)
            return
        first, taken = list(range(repeated)), list[int]()
        for column in range(repeated, len(widths)):
            wanted = [widths[one] for one in (*first, *taken, column)]
            if taken and _total(wanted) > width:
                yield self._shortened(*_only(lines, widths, [*first, *taken]), width)
                taken = []
            taken.append(column)
        yield self._shortened(*_only(lines, widths, [*first, *taken]), width)

    def _shortened(self, lines: list[list[str]], widths: list[int], width: int) -> Table:
        """Return a table of these lines, the widest columns shortened until they fit."""
        limits = widths.copy()
        while _total(limits) > width and max(limits) > _SHORTEST:
            widest = limits.index(max(limits))
            limits[widest] -= 1
        cut = [
            [
                cell if len(cell) <= limit else f"{cell[: limit - 1]}…"
                for cell, limit in zip(line, limits, strict=True)
            ]
            for line in lines
        ]
        return Table(cut[0], cut[1:], limits != widths)

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


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _only(
    lines: list[list[str]], widths: list[int], columns: list[int]
) -> tuple[list[list[str]], list[int]]:
    return [[line[one] for one in columns] for line in lines], [widths[one] for one in columns]


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
