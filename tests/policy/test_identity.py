"""Identity and Claims: immutable values that share nothing with their arguments."""

import copy
import dataclasses
import json
import pickle
import sys
from typing import Any

import pytest

from jwt_authz import Identity, MisuseError, Permission, Role, Roles
from jwt_authz.policy.identity import Claims
from jwt_authz.policy.permissions import PermissionSet

CATALOG = Roles(
    Role("clerk", "orders:read", level=1),
    Role("manager", "orders:*", includes="clerk", level=3),
    Role("deputy", includes="manager"),
)


def make(**given: Any) -> Identity:
    """Return an identity; the subject has a default."""
    return Identity(**{"subject": "u1", **given})


# Construction


def test_an_identity_of_only_a_subject_has_nothing_else() -> None:
    identity = Identity("u1")
    assert identity.subject == "u1"
    assert identity.issuer is None
    assert identity.tenant is None
    assert identity.roles == frozenset()
    assert identity.permissions == PermissionSet()
    assert identity.scopes == frozenset()
    assert identity.level == 0
    assert dict(identity.claims) == {}
    assert identity


def test_an_identity_has_the_values_it_was_given() -> None:
    identity = make(
        issuer="https://id.example",
        tenant="t1",
        roles=["clerk"],
        permissions=["a:b", Permission("c", "*")],
        scopes={"profile"},
        level=7,
        claims={"plan": "gold"},
    )
    assert identity.issuer == "https://id.example"
    assert identity.tenant == "t1"
    assert identity.roles == frozenset({"clerk"})
    assert identity.permissions == PermissionSet(["a:b", "c:*"])
    assert identity.scopes == frozenset({"profile"})
    assert identity.level == 7
    assert identity.claims["plan"] == "gold"


@pytest.mark.parametrize("subject", [None, "", 1, True, b"u1", ["u1"], {"sub": "u1"}])
def test_a_subject_is_a_string_that_is_not_empty(subject: Any) -> None:
    with pytest.raises(MisuseError, match=r"write Identity\(str\(id\)\)"):
        Identity(subject)


@pytest.mark.parametrize("what", ["roles", "scopes"])
def test_a_string_instead_of_a_list_of_names_is_a_misuse(what: str) -> None:
    with pytest.raises(
        MisuseError, match=rf"{what} must be a list of names: write {what}=\['admin'\]"
    ):
        make(**{what: "admin"})


def test_a_string_instead_of_a_list_of_permissions_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match=r"write \['orders:read'\]"):
        make(permissions="orders:read")


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}.__iter__(), print, Identity("x")],
    ids=lambda value: type(value).__name__,
)
def test_claims_accept_only_json_values(value: Any) -> None:
    with pytest.raises(MisuseError, match="Claims must be JSON values"):
        make(claims={"odd": value})


# Immutability


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Identity)])
def test_no_attribute_of_an_identity_can_be_set(field: str) -> None:
    identity = make(roles=["clerk"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(identity, field, "admin")
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(identity, field)


def test_an_identity_accepts_no_new_attribute() -> None:
    with pytest.raises((AttributeError, TypeError)):
        make().is_admin = True  # type: ignore[attr-defined]


def test_claims_cannot_be_set_or_deleted() -> None:
    claims = make(claims={"plan": "free"}).claims
    with pytest.raises(TypeError):
        claims["plan"] = "gold"  # type: ignore[index]
    with pytest.raises(TypeError):
        del claims["plan"]  # type: ignore[attr-defined]
    for name in ("update", "pop", "setdefault", "clear", "popitem"):
        assert not hasattr(claims, name)


def test_changing_the_arguments_does_not_change_an_identity() -> None:
    roles, permissions, scopes = ["clerk"], ["a:b"], {"profile"}
    payload: dict[str, Any] = {"groups": ["g1"], "deep": {"list": [1]}}
    identity = make(roles=roles, permissions=permissions, scopes=scopes, claims=payload)
    roles.append("manager")
    permissions.append("*:*")
    scopes.add("payments")
    payload["groups"].append("g2")
    payload["deep"]["list"].append(2)
    payload["plan"] = "gold"
    assert identity.roles == {"clerk"}
    assert not identity.has_permission("c:d")
    assert identity.scopes == {"profile"}
    assert dict(identity.claims) == {"groups": ["g1"], "deep": {"list": [1]}}


def test_changing_a_value_read_from_the_claims_does_not_change_them() -> None:
    claims = make(claims={"groups": ["g1"], "deep": {"list": [1]}}).claims
    claims["groups"].append("g2")
    claims["deep"]["list"].clear()
    dict(claims)["groups"].append("g3")
    claims.copy()["deep"].clear()
    for value in claims.values():
        value.clear()
    assert claims.copy() == {"groups": ["g1"], "deep": {"list": [1]}}


# Claims as a mapping


def test_claims_are_a_mapping_that_json_can_dump() -> None:
    payload = {"a": 1, "b": [True, None, 1.5, "\u00e9\U0001f600"], "c": {"d": {}}}
    claims = Claims(payload)
    assert dict(claims) == claims.copy() == {**claims} == payload
    assert json.loads(json.dumps(claims.copy())) == payload
    assert len(claims) == 3
    assert list(claims) == ["a", "b", "c"]
    assert "a" in claims and "z" not in claims
    assert claims.get("z", 5) == 5
    with pytest.raises(KeyError):
        claims["z"]


def test_claims_keep_the_json_types_apart() -> None:
    claims = Claims({"yes": True, "one": 1, "real": 1.0, "text": "1", "none": None, "big": 2**80})
    assert claims["yes"] is True
    assert type(claims["one"]) is int
    assert type(claims["real"]) is float
    assert claims["text"] == "1"
    assert claims["none"] is None
    assert claims["big"] == 2**80


def test_the_repr_of_claims_shows_names_but_no_values() -> None:
    claims = Claims({"email": "alice@example.org", "sub": "u1"})
    assert repr(claims) == "Claims(<email, sub>)"


def test_the_repr_of_an_identity_shows_no_claims() -> None:
    identity = make(claims={"email": "alice@example.org"}, catalogue=CATALOG)
    assert "alice" not in repr(identity)
    assert "alice" not in str(identity)
    assert "u1" in repr(identity)


@pytest.mark.parametrize("depth", [1, 10, 100, 400, 900])
def test_claims_that_are_accepted_can_be_read_however_deep_they_are(depth: int) -> None:
    deep: Any = "bottom"
    for level in range(depth):
        deep = [deep] if level % 2 else {"x": deep}
    try:
        claims = Claims({"deep": deep})
    except MisuseError:
        return  # measured once, not on each request
    for copied in (claims.copy()["deep"], claims["deep"], dict(claims)["deep"]):
        for _ in range(depth):
            copied = copied[0] if isinstance(copied, list) else copied["x"]
        assert copied == "bottom"


def test_the_size_of_claims_grows_with_their_content() -> None:
    assert Claims({"text": "x" * 1_000}).size >= Claims({"text": "x"}).size + 990


# Equality and hash


def test_identities_are_equal_by_content() -> None:
    one = make(roles=["clerk"], permissions=["a:b"], scopes=["s"], claims={"x": [1]})
    same = make(roles={"clerk"}, permissions={"a:b"}, scopes=("s",), claims={"x": [1]})
    assert one == same
    assert (one != same) is False


@pytest.mark.parametrize(
    "other",
    [
        {"subject": "u2"},
        {"issuer": "https://other.example"},
        {"tenant": "t2"},
        {"roles": ["manager"]},
        {"permissions": ["a:c"]},
        {"scopes": ["t"]},
        {"level": 5},
        {"claims": {"x": 2}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_identities_that_differ_in_one_thing_are_not_equal(other: dict[str, Any]) -> None:
    given = {"issuer": "https://id.example", "tenant": "t1", "roles": ["clerk"], "level": 1}
    given |= {"permissions": ["a:b"], "scopes": ["s"], "claims": {"x": 1}}
    assert make(**given) != make(**{**given, **other})


def test_equal_identities_have_equal_hashes_and_are_one_key() -> None:
    one = make(roles=["clerk"], claims={"x": [1]})
    same = make(roles=["clerk"], claims={"x": [1]})
    assert hash(one) == hash(same)
    assert {one: 1}[same] == 1
    assert len({one, same, make()}) == 2


def test_the_same_subject_of_another_issuer_is_someone_else() -> None:
    """SECURITY 1.40."""
    assert make(issuer="https://a.example") != make(issuer="https://b.example")


def test_the_same_caller_with_a_token_from_before_a_change_is_the_same_caller() -> None:
    before, after = make(is_outdated=True), make()
    assert (before.is_outdated, after.is_outdated) == (True, False)
    assert before == after
    assert hash(before) == hash(after)
    assert repr(before) == repr(after)
    with pytest.raises(TypeError):
        Identity("u1", None, None, (), (), (), 0, {}, None, True)  # type: ignore[misc]


# Copies


@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), dataclasses.replace],
    ids=["copy", "deepcopy", "pickle", "replace"],
)
def test_a_copy_is_equal_and_frozen(clone: Any) -> None:
    identity = make(
        roles=["clerk"], permissions=["a:b"], level=2, claims={"x": [1]}, is_outdated=True
    )
    other = clone(identity)
    assert other == identity
    assert other.is_outdated
    assert other.claims["x"] == [1]
    assert other.has_permission("a:b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        other.level = 9


def test_a_copy_of_an_identity_keeps_its_catalog() -> None:
    identity = make(roles=["manager"], catalogue=CATALOG)
    for clone in (copy.copy(identity), dataclasses.replace(identity, tenant="t")):
        assert clone.has_role("clerk")
        assert clone.level == 3


# Questions


def test_a_role_is_held_directly_or_through_one_that_includes_it() -> None:
    identity = make(roles=["manager"], catalogue=CATALOG)
    assert identity.has_role("manager")
    assert identity.has_role("clerk")
    assert not identity.has_role("deputy")
    assert not identity.has_role("Manager")
    assert make(roles=["deputy"], catalogue=CATALOG).has_role("clerk")


def test_without_a_catalog_only_direct_roles_are_held() -> None:
    identity = make(roles=["manager"])
    assert identity.has_role("manager")
    assert not identity.has_role("clerk")


def test_an_unknown_role_stays_among_the_roles_and_grants_nothing() -> None:
    identity = make(roles=["ghost"], catalogue=CATALOG)
    assert identity.roles == {"ghost"}
    assert identity.level == 0
    assert not identity.has_role("clerk")


def test_permissions_and_scopes_are_never_mixed_up() -> None:
    identity = make(scopes=["orders:read"], permissions=["books:read"])
    assert not identity.has_permission("orders:read")
    assert not identity.has_scope("books:read")
    assert identity.has_permission("books:read")
    assert identity.has_permission(Permission("books", "read"))
    assert identity.has_scope("orders:read")
    assert not identity.has_scope("orders")


def test_given_permissions_replace_those_of_the_roles() -> None:
    identity = make(roles=["manager"], permissions=["books:read"], catalogue=CATALOG)
    assert not identity.has_permission("orders:read")


@pytest.mark.parametrize(
    ("roles", "level"), [([], 0), (["clerk"], 1), (["manager"], 3), (["deputy"], 3), (["x"], 0)]
)
def test_the_level_is_computed_from_the_roles(roles: list[str], level: int) -> None:
    identity = make(roles=roles, catalogue=CATALOG)
    assert identity.level == level
    assert identity.has_level(level)
    assert not identity.has_level(level + 1)
    assert identity.has_level("clerk") is (level >= 1)
    assert identity.has_level("manager") is (level >= 3)


def test_a_given_level_replaces_that_of_the_roles() -> None:
    assert make(roles=["manager"], level=0, catalogue=CATALOG).level == 0
    assert make(roles=["clerk"], level=9, catalogue=CATALOG).has_level("manager")


def test_a_named_level_without_a_catalog_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="or give the level as a number"):
        make().has_level("clerk")
    for name in ("ghost", "deputy"):
        with pytest.raises(MisuseError):
            make(catalogue=CATALOG).has_level(name)


def test_an_identity_is_small() -> None:
    identity = make()
    assert not hasattr(identity, "__dict__")
    assert sys.getsizeof(identity) < 200
