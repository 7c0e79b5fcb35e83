"""Spelling: one form for all names that look alike, or that a database may take for the same."""

from __future__ import annotations

import re
from unicodedata import category, digit, name, normalize

_VARIANT = re.compile(r"LATIN SMALL LETTER (?:INSULAR |OPEN )?([A-Z]) ?(?:WITH .+|ROTUNDA)?")
_NO_LETTERS = ("M", "C", "Lm", "Sk")
_OTHER = "\ufffd"


def folded(text: str) -> str:
    """Return one form for all spellings of a name.

    Spellings differ in case, accents, compatibility forms, invisible characters and surrounding
    blanks. Databases ignore some of these: MySQL compares `José` and `jose ` as equal by default,
    and in its older collations all characters beyond the Basic Multilingual Plane.
    """
    decomposed = normalize("NFKD", normalize("NFKD", text).casefold())
    return " ".join("".join(map(_base, decomposed)).casefold().split())


def _base(character: str) -> str:
    """Return what stands for a character: its letter or digit of ASCII, itself, or nothing."""
    if character.isspace() or "!" <= character <= "~":
        return character
    if character > "\uffff":
        return _OTHER
    if category(character).startswith(_NO_LETTERS):
        return ""
    value = digit(character, None)
    if value is not None:
        return str(value)
    found = _VARIANT.fullmatch(name(character, ""))
    return found[1].lower() if found else _SPECIAL.get(character, character)


_SPECIAL = {"\N{LATIN SMALL LETTER DOTLESS I}": "i", "æ": "ae", "ð": "d"}
