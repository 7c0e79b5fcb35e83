"""Encodings: roles and permissions written into claims, and read out of them."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from jwt_authz import Identity, MisuseError, Permission, Role, Roles
from jwt_authz.claims import ENCODINGS, IdentityReader, write_claims
from jwt_authz.errors import ClaimInvalid
from jwt_authz.identity import Claims
from jwt_authz.permissions import PermissionSet
from tests.cases import Dice, library_roles

SHOP = Roles(
    Role("clerk", "orders:read", level=1),
    Role("manager", "orders:*", includes="clerk", level=2),
    Role("auditor", "books:read"),
)
SECRET = "alice@example.org"


def read(
    payload: dict[str, Any], encoding: Any = "full", catalogue: Roles | None = SHOP
) -> Identity:
    return IdentityReader(encoding, catalogue).read("u1", payload)


# Round trips


def test_both_encodings_give_the_same_identity_for_the_same_roles() -> None:
    for seed in range(300):
        dice = Dice(seed)
        plain = dice.catalogue()
        roles = library_roles(plain)
        names = dice.some(plain.roles, 3)
        found = []
        for encoding in ENCODINGS:
            claims = write_claims(encoding, roles, names, tenant="t", scope=["b", "a"])
            identity = IdentityReader(encoding, roles).read("u1", claims)
            found.append(replace(identity, claims=Claims()))
            assert set(identity.permissions) == plain.granted(names)
            assert identity.level == plain.level(names)
        assert found[0] == found[1]
        assert found[0].roles == set(names)
        assert found[0].tenant == "t"
        assert found[0].scopes == {"a", "b"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_written_has_the_names_and_the_json_types_of_rfc_9068(encoding: Any) -> None:
    claims = write_claims(encoding, SHOP, {"manager", "auditor"}, tenant="t1", scope="b a")
    expected = {"roles": ["auditor", "manager"], "tenant": "t1", "scope": "b a"}
    if encoding == "full":
        expected["permissions"] = ["books:read", "orders:*", "orders:read"]
    assert claims == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_not_set_is_not_written(encoding: Any) -> None:
    claims = write_claims(encoding, SHOP)
    assert set(claims) <= {"roles", "permissions"}
    assert not any(claims.values())


def test_the_full_encoding_carries_permissions_of_a_tokens_own() -> None:
    claims = write_claims("full", SHOP, ["clerk"], ["b:c", Permission("a", "*"), "b:c"])
    assert claims["permissions"] == ["a:*", "b:c"]
    identity = read(claims)
    assert identity.has_permission("a:anything")
    assert not identity.has_permission("orders:read")


def test_no_permissions_at_all_can_be_written() -> None:
    claims = write_claims("full", SHOP, ["manager"], [])
    assert claims["permissions"] == []
    assert len(read(claims).permissions) == 0


def test_without_a_catalogue_roles_are_written_as_they_are_and_grant_nothing() -> None:
    for encoding in ENCODINGS:
        claims = write_claims(encoding, None, ["anything"])
        identity = read(claims, encoding, None)
        assert identity.roles == {"anything"}
        assert len(identity.permissions) == 0
        assert identity.level == 0


def test_scopes_are_written_with_blanks_between() -> None:
    assert write_claims("full", SHOP, scope={"c", "a", "b"})["scope"] == "a b c"
    assert read(write_claims("full", SHOP, scope=["c", "a"])).scopes == {"a", "c"}


# Misuse of the writer


def test_a_role_that_the_catalogue_lacks_is_not_written() -> None:
    for encoding in ENCODINGS:
        with pytest.raises(MisuseError, match=r"has no role 'ghost': add Role\('ghost'"):
            write_claims(encoding, SHOP, ["clerk", "ghost"])


def test_permissions_of_ones_own_do_not_go_into_an_encoding_without_them() -> None:
    for permissions in (["a:b"], []):
        with pytest.raises(MisuseError, match="or set AUTHZ_ENCODING='full'"):
            write_claims("roles", SHOP, ["clerk"], permissions)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"roles": "clerk"}, r"roles is a list of names: write roles=\['clerk'\]"),
        ({"permissions": "a:b"}, r"permissions is a list: write permissions=\['a:b'\]"),
        ({"permissions": ["junk"]}, "'junk' is no permission"),
        ({"permissions": [1]}, "is no permission"),
    ],
    ids=repr,
)
def test_what_cannot_be_written_is_told_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        write_claims("full", SHOP, **given)


# Reading


def test_an_identity_has_what_the_payload_says() -> None:
    payload = {
        "iss": "https://id.example",
        "sub": "u1",
        "roles": ["clerk"],
        "permissions": ["a:b", "c:*"],
        "scope": "profile  payments ",
        "tenant": "t1",
        "plan": "gold",
        "exp": 1,
    }
    identity = read(payload)
    assert identity.subject == "u1"
    assert identity.issuer == "https://id.example"
    assert identity.tenant == "t1"
    assert identity.roles == {"clerk"}
    assert identity.permissions == PermissionSet(["a:b", "c:*"])
    assert identity.scopes == {"profile", "payments"}
    assert identity.level == 1
    assert dict(identity.claims) == payload
    assert identity.catalogue is SHOP


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_payload_without_any_of_them_gives_an_identity_without_rights(encoding: Any) -> None:
    identity = read({}, encoding)
    assert identity.roles == frozenset()
    assert len(identity.permissions) == 0
    assert identity.scopes == frozenset()
    assert identity.level == 0
    assert identity.tenant is None
    assert identity.issuer is None


def test_in_the_full_encoding_the_permissions_are_those_of_the_token_alone() -> None:
    assert not read({"roles": ["manager"]}).has_permission("orders:read")
    assert not read({"roles": ["manager"], "permissions": []}).has_permission("orders:read")
    assert read({"roles": [], "permissions": ["orders:read"]}).has_permission("orders:read")


def test_in_the_roles_encoding_the_permissions_are_those_of_the_roles_alone() -> None:
    identity = read({"roles": ["clerk"], "permissions": ["*:*"]}, "roles")
    assert identity.has_permission("orders:read")
    assert not identity.has_permission("vault:open")


def test_a_permission_in_a_token_that_is_none_grants_nothing() -> None:
    identity = read({"permissions": ["", "*", "orders", "orders:*:*", "orders:read", "* :*"]})
    assert identity.has_permission("orders:read")
    assert not identity.has_permission("orders:write")
    assert not identity.has_permission("*:*")


@pytest.mark.parametrize(
    "name", ["Roles", "ROLES", "role", "roles ", " roles", "r\u043eles", "ro\u2113es"]
)
def test_only_the_exact_names_of_claims_count(name: str) -> None:
    for encoding in ENCODINGS:
        identity = read({name: ["manager"], "Permissions": ["*:*"], "Scope": "all"}, encoding)
        assert identity.roles == frozenset()
        assert not identity.has_permission("orders:read")
        assert identity.scopes == frozenset()
        assert identity.level == 0


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("", set()),
        (" ", set()),
        ("a", {"a"}),
        ("a b", {"a", "b"}),
        ("a a", {"a"}),
        ("a,b", {"a,b"}),
        # RFC 6749 section 3.3: a blank, and no other white space, parts two scopes.
        ("a\u00a0b", {"a\u00a0b"}),
        ("a\u2003b", {"a\u2003b"}),
        ("a\tb", {"a\tb"}),
        ("a\x1cb", {"a\x1cb"}),
    ],
    ids=ascii,
)
def test_a_scope_is_parted_at_blanks_alone(scope: str, scopes: set[str]) -> None:
    assert read({"scope": scope}).scopes == scopes


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("roles", value) for value in (None, "admin", 1, True, 1.5, {"admin": 1}, [1], [["a"]])),
        *(("permissions", value) for value in (None, "a:b", 1, False, {}, ["a:b", None])),
        *(("scope", value) for value in (None, 1, True, ["a"], {"a": 1})),
        *(("tenant", value) for value in (None, 1, True, ["t"], {"t": 1})),
    ],
    ids=repr,
)
def test_a_claim_of_the_wrong_json_type_is_an_invalid_token(
    encoding: Any, name: str, value: Any
) -> None:
    good = {"roles": ["clerk"], "permissions": ["a:b"], "scope": "a", "tenant": "t"}
    with pytest.raises(ClaimInvalid, match=name):
        read({**good, name: value}, encoding)


def test_what_happens_to_the_payload_afterwards_does_not_reach_the_identity() -> None:
    payload: dict[str, Any] = {"roles": ["clerk"], "permissions": ["a:b"], "deep": {"list": [1]}}
    identity = read(payload)
    payload["roles"].append("manager")
    payload["permissions"].append("*:*")
    payload["deep"]["list"].append(2)
    assert identity.roles == {"clerk"}
    assert not identity.has_permission("c:d")
    assert identity.claims["deep"] == {"list": [1]}
    assert identity.claims["roles"] == ["clerk"]


def test_two_payloads_of_different_permissions_never_share_them() -> None:
    reader = IdentityReader("full", SHOP)
    for _ in range(2):
        few = reader.read("u1", {"permissions": ["a:b"]})
        many = reader.read("u2", {"permissions": ["a:b", "c:d"]})
        none = reader.read("u3", {})
        assert list(few.permissions) == ["a:b"]
        assert len(many.permissions) == 2
        assert len(none.permissions) == 0


def test_tokens_of_equal_permissions_share_one_set() -> None:
    for encoding in ENCODINGS:
        reader = IdentityReader(encoding, SHOP)
        payload = {"roles": ["manager", "auditor"], "permissions": ["a:b", "c:d"]}
        backwards = {name: names[::-1] for name, names in payload.items()}
        one, other = reader.read("u1", payload), reader.read("u2", backwards)
        assert one.permissions is other.permissions


# Roles that the catalogue lacks


def test_a_role_that_the_catalogue_lacks_stays_grants_nothing_and_takes_nothing() -> None:
    for encoding in ENCODINGS:
        payload = {"roles": ["ghost", "clerk"], "permissions": ["orders:read"]}
        identity = read(payload, encoding)
        assert identity.roles == {"ghost", "clerk"}
        assert set(identity.permissions) == {"orders:read"}
        assert identity.level == 1
        assert identity.has_role("clerk")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_role_that_the_catalogue_lacks_is_logged_once_and_without_its_name(
    encoding: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reader = IdentityReader(encoding, SHOP)
    with caplog.at_level(logging.DEBUG):
        reader.read("u1", {"roles": ["clerk"]})
        assert caplog.records == []
        for number in range(20):
            reader.read("u1", {"roles": [f"{SECRET}\r\n{number}"]})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name.startswith("jwt_authz")
    assert "role" in record.getMessage()
    assert SECRET not in record.getMessage()
    assert SECRET not in str(vars(record))


def test_without_a_catalogue_no_role_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        read({"roles": ["anything"]}, catalogue=None)
    assert caplog.records == []
