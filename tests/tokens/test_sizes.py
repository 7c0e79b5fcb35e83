"""The size of a token in each encoding, held against tokens that are really made."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from flask import Flask
from flask_jwt_extended import create_access_token

from jwt_authz import Authz, MisuseError, Role, Roles, current_identity, requires
from jwt_authz.errors import TokenDoesNotFit
from jwt_authz.tokens.claim_names import ClaimNames
from jwt_authz.tokens.encodings import ENCODINGS, Encoding
from jwt_authz.tokens.sizes import claims_of_token, written_as
from tests.cases import Dice, library_roles
from tests.edge import bare_app, bearer

LOOSE = 60_000


def app_with(roles: Roles | None, encoding: str, **config: Any) -> tuple[Flask, Authz]:
    app = bare_app(AUTHZ_ENCODING=encoding, **{"AUTHZ_MAX_TOKEN_BYTES": LOOSE, **config})
    return app, Authz(app, roles=roles)


def issue(roles: Roles | None, encoding: str, given: dict[str, Any], **config: Any) -> str:
    app, authz = app_with(roles, encoding, **config)
    with app.app_context():
        return authz.issue("alice", **given)


def sizes_of(token: str, roles: Roles | None, names: ClaimNames) -> dict[Encoding, int]:
    written = written_as(*claims_of_token(token), roles, names)
    return {one.encoding: one.size for one in written}


def test_the_sizes_reported_are_those_of_the_tokens_that_are_made() -> None:
    compared = 0
    for seed in range(60):
        dice = Dice(seed)
        plain = dice.catalog()
        roles = library_roles(plain)
        given: dict[str, Any] = {"roles": dice.some(plain.roles, 3), "tenant": "t"}
        if seed % 3 == 0:
            given["permissions"] = dice.some(roles.ordered_permissions, 3)
        for encoding in ENCODINGS:
            try:
                token = issue(roles, encoding, given)
            except MisuseError:
                assert encoding == "roles"
                continue
            for other, size in sizes_of(token, roles, ClaimNames()).items():
                assert size == len(issue(roles, other, given)), (seed, encoding, other)
                compared += 1
    assert compared >= 300


def test_an_encoding_that_cannot_carry_the_permissions_is_not_named() -> None:
    roles = Roles(Role("clerk", "orders:read"), Role("cook", "kitchen:use"))
    names = ClaimNames()
    token = issue(roles, "full", {"roles": ["clerk"], "permissions": ["kitchen:use"]})
    assert sizes_of(token, roles, names).keys() == {"full", "compact"}
    token = issue(roles, "full", {"roles": ["clerk"], "permissions": ["orders:create"]})
    assert sizes_of(token, roles, names).keys() == {"full"}
    token = issue(None, "full", {"roles": ["clerk"], "permissions": ["orders:create"]})
    assert sizes_of(token, None, names).keys() == {"full"}


MANY = Roles(Role("many", *(f"resource-number-{n}:read" for n in range(300))))


@pytest.mark.parametrize("limit", range(350, 900, 25))
def test_an_error_names_the_encodings_that_fit_and_no_others(limit: int) -> None:
    fits = {}
    for encoding in ENCODINGS:
        size = len(issue(MANY, encoding, {"roles": ["many"]}))
        fits[encoding] = size if size <= limit else None
    with pytest.raises(MisuseError) as raised:
        issue(MANY, "full", {"roles": ["many"]}, AUTHZ_MAX_TOKEN_BYTES=limit)
    for encoding, size in fits.items():
        named = f"AUTHZ_ENCODING={encoding!r} would fit with {size} bytes"
        assert (named in str(raised.value)) == (size is not None)
    assert ("give the subject fewer roles" in str(raised.value)) == (not any(fits.values()))


def test_the_error_has_the_same_for_tokens_of_flask_jwt_extended() -> None:
    app, _ = app_with(MANY, "full", AUTHZ_MAX_TOKEN_BYTES=900)
    with app.app_context(), pytest.raises(MisuseError, match="'compact' would fit with"):
        create_access_token("alice", additional_claims={"roles": ["many"]})


@pytest.mark.parametrize(
    "claims", [{"roles": "many"}, {"roles": 1, "permissions": 7}, {"permissions": "odd"}], ids=repr
)
def test_a_token_of_odd_claims_is_too_long_like_any_other(claims: dict[str, Any]) -> None:
    app, _ = app_with(MANY, "full", AUTHZ_MAX_TOKEN_BYTES=900)
    with app.app_context(), pytest.raises(MisuseError, match="AUTHZ_MAX_TOKEN_BYTES is 900"):
        create_access_token("alice", additional_claims={**claims, "more": 1_000 * "x"})


@pytest.mark.parametrize("given", ["roles", "permissions"])
def test_a_thousand_permissions_of_two_thousand_fit_into_a_thousand_bytes(given: str) -> None:
    names = [
        f"resource-{n // 4:03}:{('create', 'read', 'update', 'delete')[n % 4]}"
        for n in range(2_000)
    ]
    roles = Roles(Role("everything", *names[::2]), Role("rest", *names[1::2]))
    token = issue(
        roles,
        "compact",
        {"roles": ["everything"]} if given == "roles" else {"permissions": names[:1_000]},
        AUTHZ_ISSUER="https://id.shop.example/",
        AUTHZ_AUDIENCE="https://api.shop.example",
        JWT_COOKIE_CSRF_PROTECT=False,
        JWT_ENCODE_NBF=False,
    )
    assert len("https://id.shop.example/") == len("https://api.shop.example") == 24
    assert len(token) <= 1_000
    full = issue(roles, "full", {"roles": ["everything"]})
    assert len(full) > 20_000


# The default encoding


def read_back(token: str) -> tuple[dict[str, Any], set[str]]:
    """The payload, and the permissions that an application of default settings reads from it."""
    app, _ = app_with(MANY, "auto")
    payload = jwt.decode(token, options={"verify_signature": False})
    app.add_url_rule("/", "view", requires()(lambda: sorted(current_identity.permissions)))
    answer = app.test_client().get("/", headers=bearer(token))
    assert answer.status_code == 200
    return payload, set(answer.json or ())


@pytest.mark.parametrize(
    ("limit", "encoding"), [(LOOSE, "full"), (700, "compact"), (500, "roles")], ids=repr
)
def test_auto_writes_the_first_encoding_that_fits_with_the_same_rights(
    limit: int, encoding: str
) -> None:
    token = issue(MANY, "auto", {"roles": ["many"]}, AUTHZ_MAX_TOKEN_BYTES=limit)
    assert len(token) == len(issue(MANY, encoding, {"roles": ["many"]})) <= limit
    payload, held = read_back(token)
    form = {list: "full", str: "compact", type(None): "roles"}[type(payload.get("permissions"))]
    assert (form, payload["roles"]) == (encoding, ["many"])
    assert held == set(MANY.ordered_permissions)


def test_auto_shortens_tokens_of_flask_jwt_extended_too() -> None:
    app, _ = app_with(MANY, "auto", AUTHZ_MAX_TOKEN_BYTES=500)
    with app.app_context():
        token = create_access_token("alice", additional_claims={"roles": ["many"], "more": 1})
    payload, held = read_back(token)
    assert (payload["more"], held) == (1, set(MANY.ordered_permissions))


def test_auto_never_drops_permissions_of_a_tokens_own() -> None:
    own = list(MANY.ordered_permissions[:200])
    token = issue(MANY, "auto", {"roles": ["many"], "permissions": own}, AUTHZ_MAX_TOKEN_BYTES=700)
    assert read_back(token)[1] == set(own)
    with pytest.raises(TokenDoesNotFit, match=r"'full'.*'compact'") as raised:
        issue(MANY, "auto", {"roles": ["many"], "permissions": own}, AUTHZ_MAX_TOKEN_BYTES=500)
    assert "'roles'" not in str(raised.value)
    foreign = [f"another-resource-{n}:read" for n in range(60)]
    with pytest.raises(TokenDoesNotFit):
        issue(MANY, "auto", {"permissions": foreign}, AUTHZ_MAX_TOKEN_BYTES=700)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_tokens_of_every_encoding_are_read_by_default(encoding: str) -> None:
    token = issue(MANY, encoding, {"roles": ["many"]}, AUTHZ_MAX_TOKEN_BYTES=16_384)
    assert read_back(token)[1] == set(MANY.ordered_permissions)


def test_a_token_that_fits_is_signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = []
    encode = jwt.encode
    monkeypatch.setattr(jwt, "encode", lambda *a, **k: signed.append(1) or encode(*a, **k))
    issue(MANY, "auto", {"roles": ["many"]})
    assert len(signed) == 1
