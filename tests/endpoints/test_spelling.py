"""Names that look alike, or that a database may compare as equal, have one form."""

from __future__ import annotations

import pytest

from jwt_authz.endpoints.spelling import folded


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("ada", "ADA"),
        ("ada", " ada "),
        ("ada", "ada\t\n"),
        ("ada lovelace", "ada  lovelace"),
        ("ada", "\u00e1d\u00e0"),
        ("ada", "a\u0301da"),
        ("ada", "\uff41\uff44\uff41"),
        ("ada", "\U0001d41ada"),
        ("ada", "a\u200bd\u00ada"),
        ("ada", "ada\0"),
        ("ada", "\ufeffada"),
        ("mia", "m\u0131a"),
        ("strasse", "stra\u00dfe"),
        ("lodz", "\u0141\u00f3d\u017a"),
        ("bjorn", "Bj\u00f8rn"),
        ("aesir", "\u00c6sir"),
        ("user1", "user\u0661"),
        ("user1", "user\u00b9"),
        # Equal in MariaDB's uca1400_ai_ci and unicode_520_ci:
        ("victim", "v\u0365\u0368\u036di\u036b"),
        ("victim", "v\ufe70ictim"),
        ("victim", "vic\u0345tim"),
        ("victim", "vic\x1ctim"),
        ("victim", "vi\U000e0041ctim"),
        ("victim", "\U0001f165ictim"),
        ("user1", "user\u0f2a"),
        ("user1", "user\u0c7c"),
        ("user20", "user\u24f4"),
        ("oeuvre", "\u0153uvre"),
        ("katz", "ka\ua729"),
        ("paul", "p\ua737l"),
        ("noel", "noe\u0140"),
        ("sissi", "\u00dfi\u00df\u00dfi"),  # in utf8mb4_general_ci
        ("\u03c3\u03bf\u03c6\u03af\u03b1", "\u03a3\u039f\u03a6\u0399\u0391"),
        ("\U0001f363", "\U0001f37a"),  # equal in MySQL's older collations
    ],
)
def test_spellings_of_one_name_fold_to_one_form(name: str, spelling: str) -> None:
    assert folded(spelling) == folded(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "adam"),
        ("ada", "ad a"),
        ("ada", "ada1"),
        ("user1", "user2"),
        ("a.b@example.org", "ab@example.org"),
        ("\u5f20\u4f1f", "\u738b\u4f1f"),
        ("\u0430\u043d\u043d\u0430", "\u043e\u043b\u044f"),
    ],
)
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_a_name_of_the_longest_that_is_accepted_folds_whatever_it_is_made_of() -> None:
    for character in ("\ufdfa", "\ud800", "\U0010ffff", "\u0301"):
        assert isinstance(folded(255 * character), str)
