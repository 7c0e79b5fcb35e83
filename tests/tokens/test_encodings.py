"""Encodings: roles and permissions written into claims, and read out of them."""

import logging
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from jwt_authz import Identity, MisuseError, Permission, Role, Roles
from jwt_authz.errors import ClaimInvalid
from jwt_authz.policy.identity import Claims, Sources
from jwt_authz.policy.permissions import PermissionSet
from jwt_authz.tokens.claim_names import CATALOG, ClaimNames
from jwt_authz.tokens.encodings import ENCODING_SETTINGS, ENCODINGS, IdentityReader, write_claims
from tests.cases import PERMISSIONS, Dice, library_roles
from tests.model import Catalog

SHOP = Roles(
    Role("clerk", "orders:read", level=1),
    Role("manager", "orders:*", includes="clerk", level=2),
    Role("auditor", "books:read"),
)
SECRET = "alice@example.org"


def read(payload: dict[str, Any], encoding: Any = "full", catalog: Roles | None = SHOP) -> Identity:
    return IdentityReader(encoding, catalog).read("u1", payload)


# Round trips


def test_the_encodings_give_one_and_the_same_identity_for_the_same_roles() -> None:
    for seed in range(300):
        dice = Dice(seed)
        plain = dice.catalog()
        roles = library_roles(plain)
        names = dice.some(plain.roles, 3)
        found = []
        for encoding in ENCODINGS:
            claims = write_claims(encoding, roles, names, tenant="t", scope=["b", "a"])
            identity = IdentityReader(encoding, roles).read("u1", claims)
            found.append(replace(identity, claims=Claims()))
            assert set(identity.permissions) == plain.granted(names)
            assert identity.level == plain.level(names)
        assert found[0] == found[1] == found[2]
        assert found[0].roles == set(names)
        assert found[0].tenant == "t"
        assert found[0].scopes == {"a", "b"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_written_has_the_names_and_the_json_types_of_rfc_9068(encoding: Any) -> None:
    """SECURITY 2.13."""
    claims = write_claims(encoding, SHOP, {"manager", "auditor"}, tenant="t1", scope="b a")
    expected: dict[str, Any] = {"roles": ["auditor", "manager"], "tenant": "t1", "scope": "b a"}
    if encoding == "full":
        expected["permissions"] = ["books:read", "orders:*", "orders:read"]
        expected["catalogue"] = SHOP.fingerprint
    if encoding == "compact":
        expected["permissions"] = f"r.{SHOP.fingerprint}.4A"
    if encoding == "roles":
        expected["catalogue"] = SHOP.fingerprint
    assert claims == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_not_set_is_not_written(encoding: Any) -> None:
    claims = write_claims(encoding, SHOP)
    assert set(claims) <= {"roles", "permissions", "catalogue"}
    assert claims["roles"] == []
    assert len(read(claims, encoding).permissions) == 0


def test_the_full_encoding_carries_permissions_of_a_tokens_own() -> None:
    claims = write_claims("full", SHOP, ["clerk"], ["b:c", Permission("a", "*"), "b:c"])
    assert claims == {"roles": ["clerk"], "permissions": ["a:*", "b:c"]}
    identity = read(claims)
    assert identity.has_permission("a:anything")
    assert not identity.has_permission("orders:read")


@pytest.mark.parametrize("encoding", ["full", "compact"])
def test_no_permissions_at_all_can_be_written(encoding: Any) -> None:
    claims = write_claims(encoding, SHOP, ["manager"], [])
    assert len(read(claims, encoding).permissions) == 0


def test_the_compact_encoding_carries_permissions_of_a_tokens_own() -> None:
    claims = write_claims("compact", SHOP, ["clerk"], ["books:read", Permission("orders", "*")])
    assert claims["permissions"].startswith("o.")
    assert set(read(claims, "compact").permissions) == {"books:read", "orders:*"}


def test_the_compact_encoding_refuses_a_permission_that_has_no_position() -> None:
    for permission in ("books:write", "orders:create", "*:*"):
        with pytest.raises(MisuseError, match="or set AUTHZ_ENCODING='full'") as raised:
            write_claims("compact", SHOP, ["manager"], ["books:read", permission])
        assert repr(permission) in str(raised.value)
    with pytest.raises(MisuseError, match="needs a role catalog"):
        write_claims("compact", None, ["manager"], [])


def test_without_a_catalog_roles_are_written_as_they_are_and_grant_nothing() -> None:
    for encoding in ENCODINGS:
        claims = write_claims(encoding, None, ["anything"])
        identity = read(claims, encoding, None)
        assert identity.roles == {"anything"}
        assert len(identity.permissions) == 0
        assert identity.level == 0


def test_scopes_are_written_with_blanks_between() -> None:
    assert write_claims("full", SHOP, scope={"c", "a", "b"})["scope"] == "a b c"
    assert read(write_claims("full", SHOP, scope=["c", "a"])).scopes == {"a", "c"}


# Catalogs that change


def changed(dice: Dice, plain: Catalog) -> Catalog:
    """The catalog after a change that may be none: other roles, inclusions or permissions."""
    later = {name: role for name, role in plain.roles.items() if dice.random.random() < 0.9}
    for name, role in later.items():
        if dice.random.random() < 0.4:
            included = tuple(other for other in role.includes if other in later)
            permissions = tuple(dice.some(PERMISSIONS, 3))
            later[name] = replace(role, permissions=permissions, includes=included)
        else:
            kept = tuple(other for other in role.includes if other in later)
            later[name] = replace(role, includes=kept)
    return Catalog(dict(dice.random.sample(list(later.items()), len(later))))


def test_after_a_change_of_the_catalog_every_encoding_says_what_the_roles_say_now() -> None:
    changes = 0
    for seed in range(1_000):
        dice = Dice(seed)
        plain = dice.catalog()
        later = changed(dice, plain)
        before, after = library_roles(plain), library_roles(later)
        names = dice.some(plain.roles, 3)
        found = {}
        for encoding in ENCODINGS:
            claims = write_claims(encoding, before, names, tenant="t", scope="s")
            identity = IdentityReader(encoding, after).read("u1", claims)
            found[encoding] = replace(identity, claims=Claims())
        assert found["full"] == found["compact"] == found["roles"], seed
        assert set(found["full"].permissions) == later.granted(names), seed
        has_changed = before.fingerprint != after.fingerprint
        outdated = {encoding: identity.is_outdated for encoding, identity in found.items()}
        assert set(outdated.values()) == {has_changed}, seed
        changes += has_changed
    assert changes >= 300


def test_without_the_fingerprint_a_full_token_would_keep_what_its_roles_have_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the test before: it would see permissions that are out of date."""
    monkeypatch.setattr(Roles, "fingerprint", 16 * "x")
    kept = 0
    for seed in range(300):
        dice = Dice(seed)
        plain = dice.catalog()
        later = changed(dice, plain)
        names = dice.some(plain.roles, 3)
        claims = write_claims("full", library_roles(plain), names)
        identity = read(claims, catalog=library_roles(later))
        kept += not set(identity.permissions) <= later.granted(names)
    assert kept >= 30


LATER = Roles(
    Role("clerk", "orders:list", level=3),
    Role("manager", "orders:*", includes="clerk"),
    Role("auditor", "books:read"),
)


@pytest.mark.parametrize("reads", ENCODING_SETTINGS)
@pytest.mark.parametrize("writes", ENCODING_SETTINGS)
def test_a_token_of_an_old_catalog_has_the_permissions_and_the_level_of_today(
    writes: Any, reads: Any
) -> None:
    identity = read(write_claims(writes, SHOP, ["clerk"]), reads, LATER)
    assert set(identity.permissions) == {"orders:list"}
    assert identity.level == 3
    assert identity.is_outdated
    assert not read(write_claims(writes, SHOP, ["clerk"]), reads).is_outdated


@pytest.mark.parametrize("own", [["vault:open"], ["orders:read"], []], ids=repr)
def test_permissions_of_a_tokens_own_outlive_a_change_of_the_catalog(own: list[str]) -> None:
    claims = write_claims("full", SHOP, ["clerk"], own)
    identity = read(claims, catalog=LATER)
    assert set(identity.permissions) == set(own)
    assert not identity.is_outdated


def test_a_role_that_is_gone_grants_nothing_to_a_token_that_has_it() -> None:
    claims = write_claims("full", SHOP, ["clerk", "auditor"])
    identity = read(claims, catalog=Roles(LATER["auditor"]))
    assert set(identity.permissions) == {"books:read"}
    assert identity.roles == {"clerk", "auditor"}


def test_a_change_of_levels_or_of_the_order_makes_no_token_out_of_date() -> None:
    later = Roles(*(Role(r.name, *r.permissions, includes=r.includes) for r in SHOP.values()))
    assert not read(write_claims("full", SHOP, ["manager"]), catalog=later).is_outdated


def test_without_a_catalog_the_permissions_are_those_of_the_claim_alone() -> None:
    claims = write_claims("full", SHOP, ["clerk"])
    identity = read(claims, catalog=None)
    assert set(identity.permissions) == {"orders:read"}
    assert not identity.is_outdated
    assert "catalogue" not in write_claims("full", None, ["clerk"])


@pytest.mark.parametrize("version", ["A" * 16, SHOP.fingerprint[::-1], "0123456789-_abcd"])
def test_any_other_version_than_todays_is_another_catalog(version: str) -> None:
    claims = {**write_claims("full", SHOP, ["clerk"]), "permissions": ["*:*"]}
    assert set(read(claims).permissions) == {"*:*"}
    identity = read({**claims, "catalogue": version})
    assert set(identity.permissions) == {"orders:read"}
    assert identity.is_outdated


@pytest.mark.parametrize("text", ["", "x", f"{SHOP.fingerprint} ", SHOP.fingerprint[:-1], "spring"])
def test_a_text_that_is_not_a_version_is_someones_own_claim(text: str) -> None:
    claims = {**write_claims("full", SHOP, ["clerk"]), "permissions": ["stock:read"]}
    identity = read({**claims, "catalogue": text})
    assert set(identity.permissions) == {"stock:read"}
    assert not identity.is_outdated


def test_compact_permissions_name_their_own_catalog_whatever_stands_beside_them() -> None:
    own = {**write_claims("compact", SHOP, ["manager"], ["books:read"]), "catalogue": "x" * 16}
    assert set(read(own).permissions) == {"books:read"}
    with pytest.raises(ClaimInvalid, match="positions in another catalog"):
        read(own, catalog=LATER)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_permissions_of_a_token_out_of_date_must_have_their_json_type(encoding: Any) -> None:
    for permissions in (None, "a:b", ["a:b", 1], {"a": "b"}):
        with pytest.raises(ClaimInvalid, match="permissions"):
            read({"roles": ["clerk"], "permissions": permissions, "catalogue": "x" * 16}, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_first_token_out_of_date_is_reported_and_nothing_of_it(
    encoding: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reader = IdentityReader(encoding, SHOP)
    with caplog.at_level(logging.DEBUG):
        reader.read("u1", write_claims("full", SHOP, ["clerk"]))
        assert caplog.records == []
        for number in range(20):
            reader.read(SECRET, {"roles": ["clerk"], "catalogue": f"{number:016}"})
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.name.startswith("jwt_authz")
    assert "another version of the catalog" in record.getMessage()
    assert SECRET not in str(vars(record))


def granted_wrongly(seed: int) -> bool | None:
    """Whether a token of its own permissions holds others in a changed catalog; None: 401."""
    dice = Dice(seed)
    plain = dice.catalog()
    before, after = library_roles(plain), library_roles(changed(dice, plain))
    own = dice.some(before.ordered_permissions, 4)
    claims = write_claims("compact", before, dice.some(plain.roles, 2), own)
    try:
        identity = IdentityReader("compact", after).read("u1", claims)
    except ClaimInvalid:
        return None
    return set(identity.permissions) != set(own)


def test_permissions_of_a_tokens_own_are_never_others_in_a_changed_catalog() -> None:
    answers = [granted_wrongly(seed) for seed in range(1_000)]
    assert True not in answers
    assert 300 <= answers.count(None) <= 900
    assert answers.count(False) >= 100


@pytest.mark.slow
def test_without_the_fingerprint_wrong_permissions_would_be_granted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the test before: it would see a catalog taken for another."""
    monkeypatch.setattr(Roles, "fingerprint", 16 * "x")
    answers = [granted_wrongly(seed) for seed in range(1_000)]
    assert answers.count(True) >= 100


def test_a_token_of_an_old_catalog_is_refused_where_its_permissions_are_its_own() -> None:
    later = Roles(*SHOP.values(), Role("cook", "kitchen:use"))
    of_roles = write_claims("compact", SHOP, ["manager"])
    own = write_claims("compact", SHOP, ["manager"], ["orders:*", "orders:read"])
    assert read(of_roles, "compact").permissions == read(own, "compact").permissions
    assert read(of_roles, "compact", later).permissions == PermissionSet(
        ["orders:*", "orders:read"]
    )
    with pytest.raises(ClaimInvalid, match="positions in another catalog"):
        read(own, "compact", later)
    for claims in (of_roles, own):
        with pytest.raises(ClaimInvalid, match="positions in another catalog"):
            read(claims, "compact", None)


def test_an_encoding_can_be_changed_while_tokens_of_the_other_are_in_use() -> None:
    for writes, reads in product(ENCODING_SETTINGS, ENCODING_SETTINGS):
        claims = write_claims(writes, SHOP, ["manager"])
        assert set(read(claims, reads).permissions) == {"orders:*", "orders:read"}


def test_roles_without_the_version_of_a_catalog_grant_nothing_where_permissions_are_read() -> None:
    for reads in ("auto", "full", "compact"):
        for version in ({}, {"catalogue": ""}, {"catalogue": "spring"}):
            assert len(read({"roles": ["manager"], **version}, reads).permissions) == 0
        own = {"roles": ["manager"], "permissions": [], "catalogue": SHOP.fingerprint}
        assert len(read(own, reads).permissions) == 0


# Names of claims

NAMES = ClaimNames("https://shop.example/roles", "entitlements", "context", "scp")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_claims_are_written_and_read_under_the_names_that_are_set(encoding: Any) -> None:
    claims = write_claims(encoding, SHOP, ["manager"], None, "t1", "a b", NAMES)
    assert set(claims) <= {NAMES.roles, NAMES.permissions, NAMES.tenant, NAMES.scope, CATALOG}
    assert set(read(claims, encoding).permissions) == set()
    identity = IdentityReader(encoding, SHOP, NAMES).read("u1", claims)
    plainly = read(write_claims(encoding, SHOP, ["manager"], None, "t1", "a b"), encoding)
    assert replace(identity, claims=Claims()) == replace(plainly, claims=Claims())
    assert identity.tenant == "t1"


@pytest.mark.parametrize(
    ("encoding", "permissions_from"), [("full", "may"), ("compact", "may"), ("roles", "groups")]
)
def test_an_identity_names_the_claims_that_it_was_read_from(
    encoding: Any, permissions_from: str
) -> None:
    names = ClaimNames("groups", "may", "customer", "scp")
    claims = write_claims(encoding, SHOP, ["clerk"], names=names)
    sources = IdentityReader(encoding, SHOP, names).read("u1", claims).sources
    assert sources == Sources(("groups",), (permissions_from,), ("scp",))


@pytest.mark.parametrize("written", ["full", "compact"])
def test_permissions_of_another_catalog_are_said_to_come_of_the_roles(written: Any) -> None:
    claims = write_claims(written, SHOP, ["clerk"])
    today = Roles(Role("clerk", "orders:read", "orders:create"))
    for encoding in ("full", "compact"):
        assert read(claims, encoding).sources.permissions == ("permissions",)
        assert read(claims, encoding, today).sources.permissions == ("roles",)


def test_permissions_of_a_tokens_own_are_said_to_come_of_their_claim_after_a_change() -> None:
    claims = write_claims("full", SHOP, ["clerk"], ["orders:create"])
    today = Roles(Role("clerk", "orders:read", "orders:create"))
    assert read(claims, "full", today).sources.permissions == ("permissions",)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_the_names_that_are_set_count(encoding: Any) -> None:
    usual = write_claims(encoding, SHOP, ["manager"], None, "t1", "a b")
    identity = IdentityReader(encoding, SHOP, NAMES).read("u1", usual)
    assert (identity.roles, identity.scopes, identity.tenant) == (frozenset(), frozenset(), None)
    assert len(identity.permissions) == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("roles", "admin"), ("permissions", "a:b"), ("tenant", ["t"]), ("scope", ["a"])],
)
def test_the_types_are_checked_under_the_names_that_are_set(
    encoding: Any, name: str, value: Any
) -> None:
    reader = IdentityReader(encoding, SHOP, NAMES)
    assert reader.read("u1", {name: value}).roles == frozenset()  # not one of ours
    with pytest.raises(ClaimInvalid) as refused:
        reader.read("u1", {getattr(NAMES, name): value})
    assert refused.value.detail == f"wrong JSON type: {getattr(NAMES, name)}"


def test_two_claims_that_swap_their_names_are_not_mixed_up() -> None:
    swapped = ClaimNames("permissions", "roles", "scope", "tenant")
    claims = write_claims("full", SHOP, ["clerk"], ["books:read"], "t1", "a", swapped)
    assert claims["roles"] == ["books:read"]
    identity = IdentityReader("full", SHOP, swapped).read("u1", claims)
    assert (identity.roles, set(identity.permissions)) == ({"clerk"}, {"books:read"})
    assert (identity.tenant, identity.scopes) == ("t1", {"a"})
    with pytest.raises(ClaimInvalid, match="permissions"):
        IdentityReader("full", SHOP, swapped).read("u1", {"permissions": [1], "roles": ["a"]})


# Misuse of the writer


def test_a_role_that_the_catalog_lacks_is_not_written() -> None:
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
        ({"roles": "clerk"}, r"roles must be a list of names: write roles=\['clerk'\]"),
        ({"permissions": "a:b"}, r"permissions must be a list: write permissions=\['a:b'\]"),
        ({"permissions": ["junk"]}, "Invalid permission 'junk'"),
        ({"permissions": [1]}, "Invalid permission"),
    ],
    ids=repr,
)
def test_what_cannot_be_written_raises_at_once(given: dict[str, Any], message: str) -> None:
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


def test_an_invalid_permission_in_a_token_grants_nothing() -> None:
    identity = read({"permissions": ["", "*", "orders", "orders:*:*", "orders:read", "* :*"]})
    assert identity.has_permission("orders:read")
    assert not identity.has_permission("orders:write")
    assert not identity.has_permission("*:*")


@pytest.mark.parametrize(
    "name", ["Roles", "ROLES", "role", "roles ", " roles", "r\u043eles", "ro\u2113es"]
)
def test_only_the_exact_names_of_claims_count(name: str) -> None:
    """SECURITY 1.14."""
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
        *(("catalogue", value) for value in (None, 1, True, ["t"], {"t": 1})),
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
    """SECURITY 1.21."""
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


# Roles that the catalog lacks


def test_a_role_that_the_catalog_lacks_stays_grants_nothing_and_takes_nothing() -> None:
    for encoding in ENCODINGS:
        payload = {"roles": ["ghost", "clerk"], "permissions": ["orders:read"]}
        identity = read(payload, encoding)
        assert identity.roles == {"ghost", "clerk"}
        assert set(identity.permissions) == {"orders:read"}
        assert identity.level == 1
        assert identity.has_role("clerk")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_role_that_the_catalog_lacks_is_logged_once_and_without_its_name(
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


def test_without_a_catalog_no_role_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        read({"roles": ["anything"]}, catalog=None)
    assert caplog.records == []
