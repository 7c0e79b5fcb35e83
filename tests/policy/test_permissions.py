"""Permission and PermissionSet: their syntax, and what covers what."""

import dataclasses
from itertools import product
from random import Random
from typing import Any

import pytest

from jwt_authz import AuthzError, MisuseError, Permission
from jwt_authz.policy.permissions import PermissionSet
from tests.model import covered
from tests.steps import steps_of

PARTS = ("article", "comment", "read", "*")
EVERY = [f"{resource}:{action}" for resource, action in product(PARTS, PARTS)]

NO_PERMISSIONS = [
    "",
    ":",
    "article",
    "article:",
    ":read",
    "article:read:now",
    "article::read",
    "article read",
    "article :read",
    " article:read",
    "article:read ",
    "article:read\n",
    "\ufeffarticle:read",
    "article:re*",
    "art*cle:read",
    "**:read",
    "article:**",
    "article:read,write",
    "article:read|write",
    "art\u00edcle:read",
    "article:\u0661",
    "article\uff1aread",
    "article:read\0",
    "a{1}:b",
    ".*:(read)",
]


@pytest.mark.parametrize("text", NO_PERMISSIONS, ids=ascii)
def test_an_invalid_permission_raises_with_the_expected_form(text: str) -> None:
    with pytest.raises(MisuseError, match=r"Invalid permission .*: expected 'resource:action'"):
        Permission.parse(text)


@pytest.mark.parametrize("value", [None, 1, b"article:read", ["article:read"], ("a", "b"), object])
def test_a_value_that_is_not_a_string_is_not_a_permission(value: Any) -> None:
    with pytest.raises(MisuseError):
        Permission.parse(value)


@pytest.mark.parametrize(
    ("resource", "action"),
    [(1, "read"), ("article", None), ("a:b", "c"), ("a", "b:c"), ("", "read"), ("a b", "c")],
)
def test_invalid_parts_of_a_permission_raise(resource: Any, action: Any) -> None:
    with pytest.raises(MisuseError):
        Permission(resource, action)


@pytest.mark.parametrize(
    "text",
    ["a:b", "A-1:b_2", "v1.articles/drafts:read", "-:-", ".:/", "*:read", "a:*", "*:*", "0:0"],
)
def test_parsing_the_text_of_a_permission_returns_it(text: str) -> None:
    permission = Permission.parse(text)
    assert str(permission) == text
    assert (permission.resource, permission.action) == tuple(text.split(":"))
    assert Permission(*text.split(":")) == permission


def test_permissions_are_equal_by_content_and_usable_as_keys() -> None:
    assert Permission("a", "b") == Permission.parse("a:b")
    assert hash(Permission("a", "b")) == hash(Permission.parse("a:b"))
    assert len({Permission("a", "b"), Permission("b", "a"), Permission.parse("a:b")}) == 2
    assert Permission("a", "b") != "a:b"
    assert repr(Permission("a", "b")) == "Permission(resource='a', action='b')"


def test_a_permission_cannot_be_changed() -> None:
    permission = Permission("a", "b")
    for attribute in ("resource", "action", "covered_by"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(permission, attribute, "*")


@pytest.mark.parametrize("seed", range(5))
def test_a_set_covers_what_the_reference_rule_covers(seed: int) -> None:
    random = Random(seed)
    for _ in range(200):
        held = random.sample(EVERY, random.randint(0, 4))
        for wanted in EVERY:
            assert (wanted in PermissionSet(held)) is covered(held, wanted), (held, wanted)
            assert (Permission.parse(wanted) in PermissionSet(held)) is covered(held, wanted)


def test_each_permission_covers_what_the_reference_rule_covers() -> None:
    for held, wanted in product(EVERY, EVERY):
        assert (wanted in PermissionSet([held])) is covered([held], wanted), (held, wanted)


def test_a_wildcard_is_not_covered_by_single_permissions() -> None:
    single = [text for text in EVERY if "*" not in text]
    assert "*:*" not in PermissionSet(single)
    assert "article:*" not in PermissionSet(single)
    assert "article:*" in PermissionSet(["article:*"])


def test_only_equal_letters_match() -> None:
    held = PermissionSet(["article:read"])
    for other in ("Article:read", "article:READ", "articles:read", "article:rea", "rticle:read"):
        assert other not in held


@pytest.mark.parametrize("junk", ["", "*", "article", "article:read:*", ":", "*:*:*", "* : *"])
def test_an_invalid_permission_in_a_set_covers_nothing(junk: str) -> None:
    held = PermissionSet([junk])
    assert len(held) == 1
    for wanted in EVERY:
        assert wanted not in held


def test_asking_a_set_for_an_invalid_permission_is_a_misuse() -> None:
    with pytest.raises(MisuseError):
        "article" in PermissionSet(["*:*"])  # noqa: B015 the question is what raises


@pytest.mark.parametrize("other", [None, 1, ("article", "read"), b"article:read"])
def test_other_types_are_in_no_set(other: Any) -> None:
    assert other not in PermissionSet(["*:*"])


def test_a_string_instead_of_a_list_of_permissions_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match=r"write \['article:read'\]"):
        PermissionSet("article:read")


def test_a_set_accepts_strings_permissions_and_generators() -> None:
    texts = ["a:b", "c:*"]
    same = [
        PermissionSet(texts),
        PermissionSet(map(Permission.parse, texts)),
        PermissionSet(frozenset(texts)),
        PermissionSet(text for text in [*texts, *texts]),
    ]
    for held in same:
        assert held == same[0]
        assert hash(held) == hash(same[0])
        assert sorted(held) == texts
        assert len(held) == 2
        assert repr(held) == "PermissionSet(['a:b', 'c:*'])"
    assert PermissionSet(["a:b"]) != same[0]
    assert PermissionSet(texts) != frozenset(texts)


def test_a_frozenset_of_permissions_becomes_their_texts() -> None:
    held = PermissionSet(frozenset({Permission("a", "*")}))  # type: ignore[arg-type]
    assert "a:b" in held
    assert list(held) == ["a:*"]


def test_changing_the_list_afterwards_does_not_change_the_set() -> None:
    texts = ["a:b"]
    held = PermissionSet(texts)
    texts.append("*:*")
    assert "c:d" not in held
    assert len(held) == 1


def test_a_set_has_no_methods_that_add() -> None:
    held = PermissionSet(["a:b"])
    for name in ("add", "update", "discard", "clear"):
        assert not hasattr(held, name)
    joined = held | PermissionSet(["c:d"])
    assert sorted(joined) == ["a:b", "c:d"]
    assert list(held) == ["a:b"]
    with pytest.raises(TypeError):
        held | {"c:d"}  # type: ignore[operator]


def test_misuse_is_an_error_of_the_library() -> None:
    assert issubclass(MisuseError, AuthzError)
    assert not issubclass(MisuseError, ValueError | TypeError)


def test_asking_costs_the_same_for_ten_and_for_a_hundred_thousand_permissions_held() -> None:
    """SECURITY 2.53, F12."""

    def steps(count: int) -> int:
        held = PermissionSet(f"thing{number}:read" for number in range(count))
        wanted = [Permission.parse(f"thing{number}:read") for number in range(count, count + 10)]

        def ask() -> None:
            for permission in wanted:
                assert permission not in held

        return steps_of(ask)

    assert steps(100_000) < 1.5 * steps(10)
