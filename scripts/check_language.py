"""Fail on phrases that plain technical English avoids: `told`, `anew`, "'x' is no role", ...

    python scripts/check_language.py    # prints each place, and exits 1 if there is one

A reader stumbles over them, and each has an ordinary replacement: "log in again" for "log in
anew", "invalid" for "is no". Checked are the strings, docstrings and comments of Python files,
names of tests, templates, and the prose of Markdown files outside code and generated tables.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CHECKED = ("README.md", "CHANGELOG.md", "SECURITY.md", "docs", "examples", "jwt_authz")
CHECKED += ("pytest_jwt_authz.py", "scripts", "tests")
# This page is made from docstrings, which are checked where they are written.
GENERATED = ("docs/reference.md",)
SUFFIXES = (".html", ".md", ".py")

# Regular expressions, matched in lower case at word boundaries; a space also matches a line break.
GIVEAWAYS = (
    "and be it",
    "anew",
    "any more",
    "be it that",
    "by which alone",
    "catalogues?",
    "for want of",
    "goes? on to",
    "heed(?:s|ed|ing)?",
    "in earnest",
    "in its course",
    "lest",
    "made up",
    "mend(?:s|ed|ing)?",
    "no telling",
    "somebody(?:'s)?",
    "that (?:is|are) none",
    "there (?:is|are) none of",
    "there(?:by|from|in|of|to|upon|with)",
    "to be had",
    "told",
    "what is more",
    "where(?:by|fore|from|in|of|to|upon|with)",
    "whoever",
    r"(?<!\bthere )(?:is|are) no(?= (?!longer\b)\w)",
)
_GIVEAWAY = re.compile(rf"\b(?:{'|'.join(GIVEAWAYS)})\b".replace(" ", r"\s"))


IDENTIFIERS = ("catalogue",)
"""Strings that are the whole name of something, here of a claim, an argument and a statement."""


@dataclass(frozen=True)
class Allowed:
    """A phrase that one file may use, and why."""

    file: str
    phrase: str
    reason: str


ALLOWED: tuple[Allowed, ...] = (
    Allowed("scripts/check_language.py", "*", "It lists the phrases."),
    Allowed("tests/docs/test_language.py", "*", "It tries the phrases."),
    Allowed("jwt_authz/policy/identity.py", "catalogue", "An argument of Identity has that name."),
    Allowed("jwt_authz/revocation/statements.py", "catalogue", "A kind of statement in stores."),
    Allowed("tests/hostile.py", "catalogue", "A claim of tokens has that name."),
    Allowed("jwt_authz/testing/callers.py", "somebody", "The default subject of a caller."),
)


@dataclass(frozen=True)
class Finding:
    """A phrase in a file. In a string that is joined of several, the line is the first one's."""

    file: str
    line: int
    phrase: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.phrase!r}"


Text = tuple[int, str]
"""A line number and the text that begins there."""


def phrases(text: str) -> Iterator[tuple[int, str]]:
    """Yield the giveaways in a text, in lower case, each with its line, counted from 0."""
    text = "\n".join(line.strip() for line in text.lower().split("\n"))
    for found in _GIVEAWAY.finditer(text):
        yield text.count("\n", 0, found.start()), " ".join(found[0].split())


def python_texts(source: str) -> Iterator[Text]:
    """Yield the strings, docstrings and comments of a Python file, and the names of its tests."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value not in IDENTIFIERS:
                yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")
    yield from comments(source)


def comments(source: str) -> Iterator[Text]:
    """Yield the comments of a Python file; lines that follow each other are one text."""
    start, last, words = 0, 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1 and words:
            yield start, "\n".join(words)
            words = []
        start = start if words else token.start[0]
        last = token.start[0]
        words.append(token.string.lstrip("# "))
    if words:
        yield start, "\n".join(words)


def markdown_texts(source: str) -> Iterator[Text]:
    """Yield the paragraphs of a Markdown file, without code and generated tables."""
    for pattern in (
        r"<!-- (\w+): made by .*?<!-- end of \1 -->",
        r"^```.*?^```$",
        r"`[^`\n]+`",
    ):
        source = re.sub(pattern, _blank, source, flags=re.DOTALL | re.MULTILINE)
    yield from _paragraphs(source)


def template_texts(source: str) -> Iterator[Text]:
    """Yield the paragraphs of a template, without its tags."""
    yield from _paragraphs(re.sub(r"<[^>]*>", _blank, source))


def _blank(found: re.Match[str]) -> str:
    """What stands in for a removed text: a mark that no phrase spans, and its line breaks."""
    return f"`{found[0].count(chr(10)) * chr(10)}"


def _paragraphs(text: str) -> Iterator[Text]:
    for found in re.finditer(r"(?:.+\n?)+", text):
        yield text.count("\n", 0, found.start()) + 1, found[0]


READERS = {".py": python_texts, ".md": markdown_texts, ".html": template_texts}


def findings(file: str, source: str) -> Iterator[Finding]:
    """Yield every giveaway in a file, whose name says how to read it."""
    for line, text in READERS[Path(file).suffix](source):
        yield from (Finding(file, line + offset, phrase) for offset, phrase in phrases(text))


def files(root: Path = ROOT) -> Iterator[str]:
    """Yield the paths, relative to the root, of the files to check."""
    for name in CHECKED:
        path = root / name
        for found in sorted(path.rglob("*")) if path.is_dir() else [path]:
            relative = found.relative_to(root).as_posix()
            if found.suffix in SUFFIXES and relative not in GENERATED:
                yield relative


def disallowed(found: Iterable[Finding], allowed: Iterable[Allowed] = ALLOWED) -> list[str]:
    """Return a line for each finding that no entry allows, and for each entry without a use."""
    left, unused = list[str](), set(allowed)
    for finding in found:
        entries = {
            e for e in allowed if e.file == finding.file and e.phrase in ("*", finding.phrase)
        }
        unused -= entries
        left += [] if entries else [str(finding)]
    return left + sorted(f"{e.file}: {e.phrase!r} is allowed but not used" for e in unused)


def main() -> int:
    """Print what the check finds, and return the exit code."""
    found = [f for file in files() for f in findings(file, (ROOT / file).read_text("utf-8"))]
    lines = disallowed(found)
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
