"""Revocations under Flask-JWT-Extended's own `jwt_required`: what `requires` refuses is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_csrf_token,
    jwt_required,
    verify_jwt_in_request,
)
from werkzeug.test import TestResponse

from jwt_authz import Authz, Role, Roles, requires
from jwt_authz.application import KEY
from jwt_authz.errors import StoreUnavailable
from jwt_authz.issuers import Issuer
from jwt_authz.revocation import RevocationView
from jwt_authz.tokens.encodings import ENCODINGS

SECRET = "b" * 40
CATALOG = Roles(Role("clerk", "orders:read"), Role("manager", "orders:*", includes="clerk"))


def make(store: str | None = "memory:", **config: Any) -> Flask:
    app = Flask("blocklist")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=store, **config)
    Authz(app, roles=CATALOG)
    add_views(app)
    return app


def add_views(app: Flask) -> None:
    def verifies() -> str:
        verify_jwt_in_request()
        return "in"

    views: dict[str, Callable[[], str]] = {
        "/new": requires()(lambda: "in"),
        "/old": jwt_required()(lambda: "in"),
        "/optional": jwt_required(optional=True)(lambda: "in"),
        "/refresh": jwt_required(refresh=True)(lambda: "in"),
        "/either": jwt_required(verify_type=False)(lambda: "in"),
        "/unchecked": jwt_required(skip_revocation_check=True)(lambda: "in"),
        "/verifies": verifies,
    }
    for path, view in views.items():
        app.add_url_rule(path, path, view, methods=["GET", "POST"])


def ask(app: Flask, token: str, path: str = "/old") -> TestResponse:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {token}"})


def status(app: Flask, token: str, path: str = "/old") -> int:
    return ask(app, token, path).status_code


def authz_of(app: Flask) -> Authz:
    return app.extensions["jwt_authz"]  # type: ignore[no-any-return]


def revoke(app: Flask, **what: Any) -> None:
    with app.app_context():
        authz_of(app).revoke(**what)


def issue(app: Flask, role: str = "manager", **more: Any) -> str:
    with app.app_context():
        return authz_of(app).issue("ada", roles=[role], **more)


def signed(**claims: Any) -> str:
    now = int(time.time())
    given = {"iat": now, "exp": now + 600, "jti": "one", "sub": "ada", **claims}
    return jwt.encode(given, SECRET, "HS256")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "what",
    [{"subject": "ada"}, {"role": "clerk"}, {"tenant": "north"}, {"everything": True}, {"jti": ""}],
    ids=lambda what: next(iter(what)),
)
def test_each_revocation_ends_a_token_under_jwt_required_as_under_requires(
    what: dict[str, Any], encoding: str
) -> None:
    app = make(AUTHZ_ENCODING=encoding)
    token, other = issue(app, tenant="north"), signed(sub="bob", jti="b", iat=time.time() + 0.0)
    paths = ("/new", "/old", "/optional", "/either", "/verifies", "/unchecked")
    assert [status(app, token, path) for path in paths] == [200] * 6
    if "jti" in what:
        what = {"jti": jwt.decode(token, SECRET, ["HS256"], audience=app.name)["jti"]}
    revoke(app, **what)
    assert [status(app, token, path) for path in paths] == [401] * 5 + [200]
    assert status(app, other) == (401 if "everything" in what else 200)
    later = issue(app, tenant="north")
    assert [status(app, later, path) for path in paths] == [200] * 6


def test_a_role_that_is_included_in_a_revoked_one_goes_on() -> None:
    app = make()
    clerk, manager = issue(app, "clerk"), issue(app, "manager")
    revoke(app, role="manager")
    assert [status(app, token) for token in (clerk, manager)] == [200, 401]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({"subject": "ada"}, 401),
        ({"everything": True}, 401),
        ({"subject": "ada", "keeps_families": True}, 200),
        ({"role": "manager"}, 200),
        ({"subject": "bob"}, 200),
    ],
)
def test_a_plain_refresh_token_ends_as_a_log_in_does(what: dict[str, Any], expected: int) -> None:
    app = make()
    with app.app_context():
        token = create_refresh_token("ada", additional_claims={"roles": ["manager"]})
    assert status(app, token, "/refresh") == 200
    revoke(app, **what)
    assert [status(app, token, path) for path in ("/refresh", "/either")] == [expected] * 2


@pytest.mark.parametrize("what", [{"subject": "ada"}, {"tenant": "north"}, {"everything": True}])
def test_a_log_in_right_after_a_revocation_has_a_good_refresh_token(what: dict[str, Any]) -> None:
    app = make()
    with app.app_context():
        authz_of(app).revoke(**what)
        claims = {"tenant": "north"}
        access = create_access_token("ada", additional_claims=claims)
        refresh = create_refresh_token("ada", additional_claims=claims)
    assert (status(app, access), status(app, refresh, "/refresh")) == (200, 200)
    revoke(app, **what)
    assert (status(app, access), status(app, refresh, "/refresh")) == (401, 401)


def test_a_token_in_a_cookie_is_asked_about() -> None:
    app = make(JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_CSRF_PROTECT=True)
    token = issue(app)
    client = app.test_client()
    client.set_cookie("access_token_cookie", token)
    headers = {"X-CSRF-TOKEN": get_csrf_token(token)} if "csrf" in token else {}
    assert client.get("/old", headers=headers).status_code == 200
    revoke(app, subject="ada")
    assert client.get("/old", headers=headers).status_code == 401


@pytest.mark.parametrize("when", ["before", "after", "another manager"])
def test_the_applications_own_blocklist_is_asked_as_well(when: str) -> None:
    app = Flask("blocklist")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL="memory:")
    asked: list[str] = []

    def is_blocked(header: dict[str, Any], payload: dict[str, Any]) -> bool:
        asked.append(payload["jti"])
        return payload["sub"] == "eve"

    if when == "before":
        JWTManager(app).token_in_blocklist_loader(is_blocked)
    Authz(app, roles=CATALOG)
    if when == "after":
        app.extensions["flask-jwt-extended"].token_in_blocklist_loader(is_blocked)
    if when == "another manager":
        JWTManager(app).token_in_blocklist_loader(is_blocked)
    add_views(app)
    with app.app_context():
        ada, eve = create_access_token("ada"), create_access_token("eve")
    assert [status(app, token) for token in (ada, eve)] == [200, 401]
    assert len(asked) == 2
    revoke(app, subject="ada")
    assert [status(app, token) for token in (ada, eve)] == [401, 401]


def test_the_answer_is_that_of_the_revoked_token_loader() -> None:
    app = make()
    manager = app.extensions["flask-jwt-extended"]
    manager.revoked_token_loader(lambda header, payload: (f"{payload['sub']} is out", 410))
    token = issue(app)
    revoke(app, subject="ada")
    answer = ask(app, token)
    assert (answer.status_code, answer.text) == (410, "ada is out")


@pytest.mark.parametrize("path", ["/old", "/optional", "/verifies"])
def test_a_view_of_the_revocations_that_is_too_old_is_a_503(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make()
    token = issue(app)
    assert status(app, token, path) == 200

    def fail(view: RevocationView, max_age: float | None = None) -> None:
        raise StoreUnavailable("too old")

    with monkeypatch.context() as patch:
        patch.setattr(RevocationView, "check_age", fail)
        answer = ask(app, token, path)
        assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
        assert int(answer.headers["Retry-After"]) > 0
        assert status(app, token, "/unchecked") == 200
    assert status(app, token, path) == 200


@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_a_store_that_was_never_there_is_a_503() -> None:
    app = make("redis://127.0.0.1:1/0")
    assert status(app, signed()) == 503
    app.extensions[KEY].revocations.stop()


@pytest.mark.parametrize(
    "claims",
    [{"roles": {"admin": True}}, {"tenant": 5}, {"sid": 5}, {"auth_time": "now"}, {"iat": "5"}],
    ids=repr,
)
def test_a_claim_that_means_something_else_ends_no_token_by_itself(claims: dict[str, Any]) -> None:
    app = make()
    revoke(app, subject="bob")
    assert status(app, signed(**claims)) == 200
    revoke(app, subject="ada")
    assert status(app, signed(**claims)) == 401


def test_a_token_whose_roles_cannot_be_read_ends_with_any_role() -> None:
    app = make()
    token = signed(roles={"admin": True})
    assert status(app, token) == 200
    revoke(app, role="manager")
    assert status(app, token) == 401


def test_a_subject_that_is_a_number_is_revoked_by_its_text() -> None:
    app = make(JWT_VERIFY_SUB=False)
    token = signed(sub=5)
    assert status(app, token) == 200
    revoke(app, subject="5")
    assert status(app, token) == 401


def test_a_foreign_token_that_a_key_loader_lets_in_is_its_issuers() -> None:
    app = make(JWT_DECODE_AUDIENCE="shop")
    issuer = Issuer(
        "https://id.example",
        audience="shop",
        algorithms="HS256",
        keys=[{"kty": "oct", "alg": "HS256", "kid": "a", "k": "YmJi" * 20}],
        unsafe_shared_secret=True,
        subject_prefix="id:",
    )
    authz_of(app).trust(issuer)
    app.extensions["flask-jwt-extended"].decode_key_loader(lambda header, payload: SECRET)
    token = signed(iss="https://id.example", aud="shop", iat=int(time.time()) - 5)
    revoke(app, subject="ada")
    assert status(app, token) == 200
    revoke(app, subject="id:ada", issuer="https://id.example")
    assert status(app, token) == 401


def test_without_a_store_or_an_authz_nothing_changes() -> None:
    app = make(None)
    bare = Flask("bare")
    bare.config["JWT_SECRET_KEY"] = SECRET
    JWTManager(bare)
    add_views(bare)
    assert [status(one, signed()) for one in (app, bare)] == [200, 200]
