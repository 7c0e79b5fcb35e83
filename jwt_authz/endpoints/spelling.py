"""Normalize names: one form for names that look alike, or that a database may treat as equal."""

from __future__ import annotations

import re
from unicodedata import category, name, normalize, numeric

_LETTERS = re.compile(
    r"(?:COMBINING |(?:CROSSED )?NEGATIVE (?:CIRCLED|SQUARED) |SQUARED )?LATIN (?:SMALL|CAPITAL) "
    r"(?:LETTER|LIGATURE) (?:INSULAR |FLATTENED |OPEN |LONG |SIGMOID |ANGLICANA |MIDDLE-WELSH )*"
    r"([A-Z]{1,2})(?: .+)?"
)
_DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
_DIGIT = re.compile(rf".*?\b({'|'.join(_DIGITS)})\b")
_NO_LETTERS = ("M", "C", "Lm", "Sk")
_OTHER = "\ufffd"


def folded(text: str) -> str:
    """Return the same form for all spellings of a name.

    Spellings differ in case, accents, compatibility forms, invisible characters and surrounding
    spaces. Databases ignore some of these: MySQL compares `José` and `jose ` as equal by default,
    and in its older collations all characters beyond the Basic Multilingual Plane. They also treat
    some combining letters, digraphs and numerals as ASCII letters and digits. Different names can
    have the same form.
    """
    decomposed = normalize("NFKD", "".join(map(_decomposed, text)).casefold())
    letters = "".join(map(_base, decomposed)).casefold()
    return " ".join(re.sub("s+", "s", letters).split())  # one collation compares ß as one s


def _decomposed(character: str) -> str:
    found = normalize("NFKD", character)
    if len(found) > 1:  # a stand-alone accent becomes a space with an accent
        found = found.lstrip(" ")
    return found.replace("\N{COMBINING GREEK YPOGEGRAMMENI}", "")


def _base(character: str) -> str:
    """Return the replacement of a character: ASCII letters or a digit, itself, or nothing."""
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isspace() or "!" <= character <= "~":
        return character
    kind, letters = category(character), _LETTERS.fullmatch(name(character, ""))
    if letters is not None:
        return letters[1].lower()
    if kind.startswith("N"):
        return _digit(character)
    if character > "\uffff":
        return "" if kind.startswith(("M", "Cf")) else _OTHER
    return "" if kind.startswith(_NO_LETTERS) else character


def _digit(character: str) -> str:
    """Return the digits for a numeral, or else the numeral itself."""
    found = _DIGIT.match(name(character, ""))
    value = int(numeric(character, -1)) if found is None else _DIGITS.index(found[1])
    return str(value) if 0 <= value <= 99 else character


_SPECIAL = {
    **dict.fromkeys("\x1c\x1d\x1e\x1f\u00b7\u06de\u180a\u1cd3\u1cf2\u1cf3\ufe73", ""),
    **{"\u0131": "i", "\u00e6": "ae", "\u00f0": "d", "\u018d": "zw", "\u01be": "ts"},
    **{"\u1dd9": "d", "\ua79b": "a", "\ua79d": "o", "\ua79f": "u", "\ua7c1": "a"},
}
