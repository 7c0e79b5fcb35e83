"""Authz: how it is made, what it issues, and the misuse that `check()` tells."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_jwt_extended as fje
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from flask import Blueprint, Flask
from flask.views import MethodView
from flask_jwt_extended import JWTManager

from jwt_authz import (
    Authz,
    MisuseError,
    Permission,
    Role,
    Roles,
    exempt,
    guard,
    has_level,
    has_permission,
    has_role,
    requires,
)
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import AppState
from jwt_authz.endpoints import token_blueprint
from jwt_authz.inspection import check as inspection
from jwt_authz.inspection.first_request import FirstRequest
from jwt_authz.settings import Settings
from jwt_authz.tokens import KeySet
from tests.edge import (
    ALGORITHMS,
    SECRET,
    TYPE,
    bare_app,
    catalog,
    get,
    guarded_app,
    private_pem,
    token_for,
)
from tests.patience import PATIENCE


def authz_of(app: Flask) -> Authz:
    return app.extensions["jwt_authz"]


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, unverified."""
    return fje.utils.get_unverified_jwt_headers(token), fje.decode_token(token)


# --- making it -----------------------------------------------------------------------------------


def test_an_authz_makes_the_manager_that_the_application_lacks_and_keeps_one_that_is_there() -> (
    None
):
    app = bare_app()
    Authz(app)
    assert isinstance(app.extensions["flask-jwt-extended"], JWTManager)
    app = bare_app()
    manager = JWTManager(app)
    Authz(app)
    assert app.extensions["flask-jwt-extended"] is manager


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": ["admin"]}, r"expected a role catalog, as in roles=Roles\(Role"),
        ({"roles": Role("admin")}, r"expected a role catalog, as in roles=Roles\(Role"),
        ({"default": "closed"}, "Invalid default 'closed': expected 'allow' or 'deny'"),
        ({"abort": 403}, "Invalid abort 403: expected a function of the problem"),
        ({"throws": 403}, "expected an exception or an exception class"),
        (
            {"accounts": object()},
            r"expected an object with the methods authenticate\(username, password\)",
        ),
    ],
)
def test_an_authz_made_of_the_wrong_things_says_so_at_once(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MisuseError, match=message):
        Authz(**options)


def test_an_authz_may_be_given_an_application_later() -> None:
    authz, app = Authz(roles=catalog()), bare_app()
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    authz.init_app(app)
    assert get(app.test_client(), "/", token_for(app, "alice", "editor")).status_code == 200


# --- tokens of our own ---------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_issued_token_has_the_shape_of_rfc_9068_and_is_accepted(algorithm: str) -> None:
    """SECURITY 2.12."""
    app = guarded_app(algorithm)
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    with app.app_context():
        token = authz_of(app).issue("alice", roles=["editor"], tenant="t1", scope=["b", "a"])
        header, payload = decoded(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", algorithm)
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= payload.keys()
    assert payload["sub"] == "alice"
    assert payload["iss"] == payload["aud"] == payload["client_id"] == app.name
    assert payload["roles"] == ["editor"]
    assert payload["permissions"] == ["article:edit", "article:read", "report:read"]
    assert (payload["tenant"], payload["scope"]) == ("t1", "a b")
    assert payload["exp"] - payload["iat"] == 900
    for _ in ("cold", "warm"):
        assert get(app.test_client(), "/", token).status_code == 200


def test_issuer_audience_and_client_come_from_the_settings() -> None:
    cases: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
        ({}, ("edge", "edge", "edge")),
        (
            {"AUTHZ_ISSUER": "i", "AUTHZ_AUDIENCE": "a", "AUTHZ_CLIENT_ID": "c"},
            ("i", "a", "c"),
        ),
        (
            {"JWT_ENCODE_ISSUER": "ji", "JWT_ENCODE_AUDIENCE": "ja", "AUTHZ_ISSUER": "i"},
            ("ji", "ja", "edge"),
        ),
        (
            {"JWT_DECODE_ISSUER": ["d1", "d2"], "JWT_DECODE_AUDIENCE": ["a1", "a2"]},
            ("d1", "a1", "edge"),
        ),
    ]
    for config, expected in cases:
        app = guarded_app(**config)
        app.add_url_rule("/", "view", requires()(lambda: "in"))
        with app.app_context():
            token = authz_of(app).issue("alice")
        status = get(app.test_client(), "/", token).status_code
        assert status == 200, config
        with app.app_context():
            _, payload = decoded(token)
        assert (payload["iss"], payload["aud"], payload["client_id"]) == expected


@pytest.mark.parametrize(
    ("encoded", "written"),
    [
        (["billing", "shop"], ["billing", "shop"]),
        (("billing", "shop"), ["billing", "shop"]),
        ({"shop", "billing"}, ["billing", "shop"]),
        (["shop", "billing", "shop"], ["shop", "billing"]),
        (["shop"], "shop"),
        ("shop", "shop"),
    ],
    ids=["list", "tuple", "set", "repeated", "one", "text"],
)
@pytest.mark.parametrize("settings", [{}, {"AUTHZ_TOKEN_PROFILE": "at+jwt"}], ids=repr)
@pytest.mark.parametrize("accepted", ["shop", ["shop", "stock"], None], ids=repr)
def test_an_issued_token_names_every_audience_and_is_accepted(
    encoded: Any, written: Any, settings: dict[str, Any], accepted: Any
) -> None:
    """RFC 7519 section 4.1.3."""
    app = guarded_app(JWT_ENCODE_AUDIENCE=encoded, JWT_DECODE_AUDIENCE=accepted, **settings)
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    with app.app_context():
        token = authz_of(app).issue("alice", roles=["editor"])
    payload = jwt.decode(token, options={"verify_signature": False})
    assert payload["aud"] == written
    for _ in ("cold", "warm"):
        assert get(app.test_client(), "/", token).status_code == 200


def test_an_issued_token_may_be_fresh_and_have_a_time_of_its_own() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(fresh=True)(lambda: "in"))
    with app.app_context():
        authz = authz_of(app)
        fresh = authz.issue("a", fresh=True)
        for_a_while = authz.issue("a", fresh=timedelta(minutes=1), expires=timedelta(hours=2))
        stale = authz.issue("a")
        _, payload = decoded(for_a_while)
    assert payload["exp"] - payload["iat"] == 7_200
    client = app.test_client()
    found = [get(client, "/", token).status_code for token in (fresh, for_a_while, stale)]
    assert found == [200, 200, 401]


@pytest.mark.slow
def test_no_two_issued_tokens_have_one_id() -> None:
    """SECURITY 2.38."""
    app = guarded_app()
    with app.app_context():
        ids = {decoded(authz_of(app).issue("a"))[1]["jti"] for _ in range(200)}
    assert len(ids) == 200
    assert min(map(len, ids)) >= 22  # 128 bits in base64


FORKS = """
import os
from flask_jwt_extended import decode_token
from tests.edge import guarded_app

app = guarded_app(JWT_DECODE_AUDIENCE="edge")
children = []
while len(children) < 3:
    children.append(os.fork())
    if not children[-1]:
        break
with app.app_context():
    for _ in range(500):
        token = app.extensions["jwt_authz"].issue("a")
        os.write(1, (decode_token(token)["jti"] + "\\n").encode())
if all(children):
    for child in children:
        os.waitpid(child, 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_processes_that_were_forked_from_one_give_no_id_twice() -> None:
    """SECURITY 2.38, F14: as a server does that loads the application before it forks."""
    root = Path(__file__).resolve().parents[1]
    run = subprocess.run(
        [sys.executable, "-c", FORKS], cwd=root, capture_output=True, text=True, check=True
    )
    ids = run.stdout.split()
    assert len(ids) == len(set(ids)) == 4 * 500


def test_permissions_of_ones_own_take_the_place_of_the_roles() -> None:
    """SECURITY 2.25."""
    app = guarded_app()
    with app.app_context():
        token = authz_of(app).issue(
            "a", roles=["viewer"], permissions=["article:edit", Permission("x", "*"), "x:*"]
        )
        _, payload = decoded(token)
    assert payload["permissions"] == ["article:edit", "x:*"]
    assert payload["roles"] == ["viewer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": ["king"]}, "The catalog has no role 'king': add"),
        ({"roles": "admin"}, r"write roles=\['admin'\]"),
        ({"permissions": "a:b"}, r"write permissions=\['a:b'\]"),
        ({"permissions": ["a"]}, "Invalid permission 'a'"),
    ],
)
def test_a_token_that_would_mean_nothing_is_not_issued(
    options: dict[str, Any], message: str
) -> None:
    app = guarded_app()
    with app.app_context(), pytest.raises(MisuseError, match=message):
        authz_of(app).issue("alice", **options)


def test_the_encoding_roles_issues_roles_alone_and_says_what_it_cannot_carry() -> None:
    app = guarded_app(AUTHZ_ENCODING="roles")
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    with app.app_context():
        token = authz_of(app).issue("alice", roles=["editor"])
        assert "permissions" not in decoded(token)[1]
        with pytest.raises(MisuseError, match="explicit permissions with AUTHZ_ENCODING='roles'"):
            authz_of(app).issue("alice", permissions=["article:edit"])
    assert get(app.test_client(), "/", token).status_code == 200


def test_the_encoding_compact_issues_and_reads_positions() -> None:
    app = guarded_app(AUTHZ_ENCODING="compact")
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "in"))
    app.add_url_rule("/read", "read", requires("article:read")(lambda: "in"))
    with app.app_context():
        authz = authz_of(app)
        issued = authz.issue("alice", roles=["editor"])
        own = authz.issue("alice", roles=["admin"], permissions=["article:read"])
        assert isinstance(decoded(issued)[1]["permissions"], str)
        with pytest.raises(MisuseError, match="cannot represent 'article:print'"):
            authz.issue("alice", permissions=["article:print"])
    plain = token_for(app, "alice", "editor")
    for path, token, status in (
        ("/edit", issued, 200),
        ("/edit", plain, 200),
        ("/edit", own, 403),
        ("/read", own, 200),
    ):
        for _ in ("cold", "warm"):
            assert get(app.test_client(), path, token).status_code == status
    richer = bare_app(AUTHZ_ENCODING="compact")
    Authz(richer, roles=Roles(*catalog().values(), Role("cook", "aaa:use")))
    richer.add_url_rule("/read", "read", requires("article:read")(lambda: "in"))
    assert get(richer.test_client(), "/read", issued).status_code == 200
    refused = get(richer.test_client(), "/read", own)
    assert (refused.status_code, refused.get_json()["type"]) == (401, f"{TYPE}claim-invalid")


def test_the_encoding_compact_without_a_catalog_is_a_misuse() -> None:
    app = guarded_app(authz={"roles": None}, AUTHZ_ENCODING="compact")
    assert misuse(app).startswith(
        "AUTHZ_ENCODING='compact' needs a role catalog: write Authz(app, "
    )


def test_a_token_too_long_is_not_issued_and_the_encoding_that_fits_is_named() -> None:
    many = Roles(Role("many", *(f"resource-number-{n}:read" for n in range(300))))
    app = bare_app(AUTHZ_ENCODING="full")
    authz = Authz(app, roles=many)
    with app.app_context():
        with pytest.raises(MisuseError, match="AUTHZ_ENCODING='roles' would fit") as raised:
            authz.issue("alice", roles=["many"])
        assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in str(raised.value)
        assert "alice" not in str(raised.value)
    app = bare_app(AUTHZ_ENCODING="roles")
    authz = Authz(app, roles=many)
    with app.app_context():
        assert len(authz.issue("alice", roles=["many"])) < 700
        with pytest.raises(MisuseError, match="give the subject fewer roles, or raise this limit"):
            authz.issue("x" * 5_000)


def test_a_longer_token_is_issued_and_accepted_where_the_limit_is_raised() -> None:
    many = Roles(Role("many", *(f"resource-number-{n}:read" for n in range(800))))
    app = bare_app(AUTHZ_MAX_TOKEN_BYTES=60_000)
    authz = Authz(app, roles=many)
    app.add_url_rule("/", "view", requires("resource-number-700:read")(lambda: "in"))
    with app.app_context():
        token = authz.issue("alice", roles=["many"])
    assert len(token) > 16_384
    for _ in ("cold", "warm"):
        assert get(app.test_client(), "/", token).status_code == 200


@pytest.mark.parametrize("subject", [7, 7.5, None, "", True, ["a"], {"id": 1}, b"a"], ids=repr)
def test_no_token_is_issued_that_this_very_application_would_refuse(subject: Any) -> None:
    """A subject is a string: any other type is reported or converted, not discovered by a 401."""
    app = guarded_app()
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    with app.app_context():
        try:
            token = authz_of(app).issue(subject)
        except (MisuseError, TypeError):
            return
    assert get(app.test_client(), "/", token).status_code == 200


def test_a_user_object_is_made_a_subject_by_fjes_loader() -> None:
    class User:
        id = 7

    app = guarded_app()
    app.extensions["flask-jwt-extended"].user_identity_loader(lambda user: str(user.id))
    with app.app_context():
        assert decoded(authz_of(app).issue(User()))[1]["sub"] == "7"


def test_the_claims_for_a_token_of_the_applications_own() -> None:
    app = guarded_app()
    with app.app_context():
        claims = authz_of(app).claims(roles=["viewer"], tenant="t", scope="b a")
    assert claims == {
        "roles": ["viewer"],
        "permissions": ["article:read"],
        "catalogue": catalog().fingerprint,
        "tenant": "t",
        "scope": "b a",
    }
    app.add_url_rule("/", "view", requires("article:read")(lambda: "in"))
    token = token_for(app, "alice", claims=claims)
    assert get(app.test_client(), "/", token).status_code == 200


def test_tokens_need_an_application() -> None:
    app = guarded_app()
    with pytest.raises(MisuseError, match="There is no application"):
        authz_of(app).issue("alice")
    with pytest.raises(MisuseError, match="There is no application"):
        authz_of(app).check()


# --- check: errors -------------------------------------------------------------------------------


def checked(app: Flask) -> list[str]:
    with app.app_context():
        return authz_of(app).check()


def misuse(app: Flask) -> str:
    with pytest.raises(MisuseError) as raised:
        checked(app)
    return str(raised.value)


def test_an_application_without_misuse_passes_without_a_warning() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    app.add_url_rule("/open", "open", lambda: "in")
    assert checked(app) == []


WEAK: dict[str, tuple[dict[str, Any], str]] = {
    "a short secret for HS256": (
        {"JWT_SECRET_KEY": "x" * 31},
        "the secret for HS256 has 31 bytes and needs 32: set JWT_SECRET_KEY to the output of "
        "secrets.token_hex(32)",
    ),
    "a short secret for HS384": (
        {"JWT_SECRET_KEY": "x" * 47, "JWT_ALGORITHM": "HS384"},
        "the secret for HS384 has 47 bytes and needs 48",
    ),
    "a short secret for HS512": (
        {"JWT_SECRET_KEY": "x" * 63, "JWT_ALGORITHM": "HS512"},
        "the secret for HS512 has 63 bytes and needs 64",
    ),
    "a secret too short for an algorithm that is accepted, too": (
        {"JWT_SECRET_KEY": "x" * 40, "JWT_DECODE_ALGORITHMS": ["HS256", "HS512"]},
        "the secret for HS512 has 40 bytes and needs 64",
    ),
    "no secret": ({"JWT_SECRET_KEY": None}, "JWT_SECRET_KEY"),
    "the algorithm none": ({"JWT_ALGORITHM": "none"}, "the algorithm none signs nothing: set"),
    "None among others": ({"JWT_DECODE_ALGORITHMS": ["HS256", "None"]}, "none signs nothing"),
    "an algorithm of no such name": ({"JWT_ALGORITHM": "HS1024"}, "JWT_ALGORITHM"),
    "tokens that never expire": (
        {"JWT_ACCESS_TOKEN_EXPIRES": False},
        "access tokens never expire: set JWT_ACCESS_TOKEN_EXPIRES to a timedelta",
    ),
    "no private key": ({"JWT_ALGORITHM": "RS256"}, "JWT_PRIVATE_KEY"),
    "a key of another kind": (
        {"JWT_ALGORITHM": "ES256", "JWT_PUBLIC_KEY": private_pem("RS256")},
        "Unsuitable key for ES256",
    ),
    "an unknown setting": ({"AUTHZ_RELAM": "x"}, "AUTHZ_RELAM is not a setting: write one of"),
    "a setting's value that is unfit": (
        {"AUTHZ_DISCLOSE": "all"},
        "AUTHZ_DISCLOSE is 'all': write none | sentence | tree",
    ),
}


@pytest.mark.parametrize("weak", WEAK)
def test_settings_that_cannot_be_meant_are_reported(weak: str) -> None:
    config, message = WEAK[weak]
    assert message in misuse(guarded_app(**config))


@pytest.mark.parametrize("size", [32, 33, 64])
def test_a_secret_that_is_long_enough_passes(size: int) -> None:
    assert checked(guarded_app(JWT_SECRET_KEY="x" * size)) == []


def test_the_length_of_a_secret_is_counted_in_bytes() -> None:
    assert checked(guarded_app(JWT_SECRET_KEY="é" * 16)) == []


def test_a_short_rsa_key_is_reported() -> None:
    key = rsa.generate_private_key(65537, 1024)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    app = bare_app(JWT_ALGORITHM="RS256", JWT_PRIVATE_KEY=pem)
    Authz(app)
    assert "2048" in misuse(app)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (has_role("king"), "view: no role is named 'king': add Role('king', ...) to Roles(...)"),
        (has_permission("article:burn"), "view: no role grants 'article:burn': add it to a Role"),
        ("article:edti", "view: no role grants 'article:edti': add it to a Role(...), or fix"),
        (has_level("king"), "view: Unknown level 'king': expected a number or the name"),
        (has_role("admin") & ~has_role("king"), "no role is named 'king'"),
        (has_role("admin") | (has_role("viewer") & "a:b"), "no role grants 'a:b'"),
        ({"GET": has_role("king")}, "no role is named 'king'"),
        ({"POST": has_role("king")}, "no role is named 'king'"),
    ],
    ids=repr,
)
def test_what_the_catalog_lacks_is_reported(asked: Any, message: str) -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(asked)(lambda: "in"), methods=["GET", "POST"])
    assert message in misuse(app)


def test_what_the_catalog_lacks_is_reported_in_every_place() -> None:
    class Item(MethodView):
        decorators = [requires(has_role("in_class"))]  # noqa: RUF012

        @requires(has_role("on_method"))
        def get(self) -> str:
            return "in"

    app = guarded_app()
    blueprint = Blueprint("b", "b")
    guard(blueprint, has_role("on_blueprint"))
    guard(app, has_role("on_application"))
    blueprint.add_url_rule("/", view_func=Item.as_view("item"))
    app.register_blueprint(blueprint)
    message = misuse(app)
    for name in ("in_class", "on_method", "on_blueprint", "on_application"):
        assert f"no role is named {name!r}" in message


@pytest.mark.parametrize("asked", ["article:*", "*:read", "*:*"])
def test_a_wildcard_that_no_role_grants_is_unknown_since_nobody_could_ever_meet_it(
    asked: str,
) -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(asked)(lambda: "in"))
    assert f"no role grants {asked!r}" in misuse(app)


def test_without_a_catalog_no_name_is_unknown() -> None:
    app = bare_app()
    Authz(app)
    app.add_url_rule("/", "view", requires(has_role("king"))(lambda: "in"))
    assert checked(app) == []


def test_a_guard_above_the_route_decorator_is_reported() -> None:
    app = guarded_app()

    @requires("article:edit")
    @app.route("/vain", methods=["GET", "POST"])
    def vain() -> str:
        return "open"

    message = misuse(app)
    for method in ("GET", "POST"):
        assert (
            f"{method} /vain (vain) is open: its guard stands above the route decorator, so write "
            "@requires(...) below @app.route(...)"
        ) in message


def test_a_guard_above_the_route_decorator_is_reported_through_a_wrapper() -> None:
    import functools

    def logged(view: Any) -> Any:
        @functools.wraps(view)
        def inner(*arguments: Any, **keywords: Any) -> Any:
            return view(*arguments, **keywords)

        return inner

    app = guarded_app()

    @requires("article:edit")
    @logged
    @app.route("/vain")
    def vain() -> str:
        return "open"

    assert "is open" in misuse(app)


def test_a_view_that_is_guarded_on_one_route_and_exempt_on_another_is_not_a_misuse() -> None:
    app = guarded_app()

    def view() -> str:
        return "in"

    app.add_url_rule("/closed", "closed", requires("article:edit")(view))
    app.add_url_rule("/open", "open", view)
    exempt("open", app)
    assert checked(app) == []


def test_bare_views_are_reported_where_the_default_is_deny() -> None:
    class Half(MethodView):
        @requires("article:read")
        def get(self) -> str:
            return "in"

        def post(self) -> str:
            return "in"

    app = guarded_app(authz={"default": "deny"})
    app.add_url_rule("/bare", "bare", lambda: "in")
    app.add_url_rule("/exempt", "exempt", exempt(lambda: "in"))
    app.add_url_rule("/guarded", "guarded", requires()(lambda: "in"))
    app.add_url_rule("/half", view_func=Half.as_view("half"))
    message = misuse(app).splitlines()
    assert len(message) == 2
    assert message[0].startswith("GET /bare (bare) has no guard: write @requires(...) on the view")
    assert message[1].startswith("POST /half (half) has no guard")


def test_an_exempt_endpoint_that_is_not_there_is_reported() -> None:
    app = guarded_app()
    exempt("nowhere", app)
    assert "exempt('nowhere') names an endpoint that the application does not have" in misuse(app)


def test_all_findings_are_reported_together_and_each_only_once() -> None:
    app = guarded_app(JWT_SECRET_KEY="short", JWT_ACCESS_TOKEN_EXPIRES=False)
    guard(app, has_role("king"))
    for number in range(5):
        app.add_url_rule(f"/{number}", str(number), lambda: "in")
    lines = misuse(app).splitlines()
    assert len(lines) == len(set(lines))
    assert len(lines) >= 3


def test_no_message_holds_the_secret() -> None:
    short = "my-own-short-secret"
    message = misuse(guarded_app(JWT_SECRET_KEY=short))
    assert short not in message
    message = misuse(
        guarded_app(JWT_ALGORITHM="RS256", JWT_PRIVATE_KEY="no PEM but a secret", JWT_PUBLIC_KEY="")
    )
    assert "no PEM" not in message


PASSWORD = "S3cretPassw0rd"


@pytest.mark.parametrize(
    "url",
    [
        f"redis+sentinel://:{PASSWORD}@one:26379/main",
        f"REDIS://:{PASSWORD}@one:6379",
        f"redis://:{PASSWORD}@one:port",
        f"redis://:{PASSWORD}@[::1",
        f"redis://one?password={PASSWORD}&port=x",
        f"postgresql+psycopg://ada:{PASSWORD}@one:port/name",
        f"nosuch://ada:{PASSWORD}@one/name",
        f"ada:{PASSWORD}@one",
        f"redis://:{PASSWORD}@one".encode(),
        [f"redis://:{PASSWORD}@one"],
    ],
)
@pytest.mark.parametrize("name", ["AUTHZ_STORE_URL", "AUTHZ_LOGIN_RATE_STORE"])
def test_no_message_holds_the_password_of_a_store(name: str, url: Any) -> None:
    app = guarded_app(**{name: url})
    with app.app_context():
        app.register_blueprint(token_blueprint())
        try:
            found = str(app.extensions["jwt_authz"].check())
        except MisuseError as error:
            found = str(error)
    assert PASSWORD not in found


def test_the_repr_of_settings_keys_and_accounts_holds_no_secret() -> None:
    secret = "c2VjcmV0IG9mIDMyIGJ5dGVzIG9yIG1vcmUsIGFuZCB0aGF0IGlzIGl0"
    keys = KeySet([{"kty": "oct", "kid": "k", "alg": "HS256", "k": secret}], "k")
    settings = Settings(store_url=f"redis://:{PASSWORD}@one", login_rate_store="redis://:pw@one")
    accounts = MemoryAccounts()
    accounts.add("ada", "correct horse battery")
    shown = repr([keys, keys.signing, keys.verifying, settings, vars(accounts)])
    assert "Key('HS256')" in shown
    for hidden in (secret, "secret of 32 bytes", PASSWORD, ":pw@", "$argon2"):
        assert hidden not in shown


# --- check: warnings -----------------------------------------------------------------------------


def test_a_method_that_a_mapping_lacks_is_a_warning() -> None:
    app = guarded_app()
    guarded = requires({"GET": "article:read"})
    app.add_url_rule("/", "view", guarded(lambda: "in"), methods=["GET", "PUT"])
    assert checked(app) == [
        "PUT / (view) is always refused: requires({...}) has no entry for PUT [AZ008]"
    ]


def test_a_head_of_the_views_own_that_a_mapping_lacks_is_a_warning() -> None:
    class Own(MethodView):
        decorators = [requires({"GET": "article:read"})]  # noqa: RUF012

        def get(self) -> str:
            return "get"

        def head(self) -> str:
            return "head"

    app = guarded_app()
    app.add_url_rule("/", view_func=Own.as_view("own"))
    assert checked(app) == [
        "HEAD / (own) is always refused: requires({...}) has no entry for HEAD [AZ008]"
    ]


def test_a_warning_is_logged_at_the_first_request_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = guarded_app()
    guarded = requires({"GET": "article:read"})
    app.add_url_rule("/", "view", guarded(lambda: "in"), methods=["GET", "PUT"])
    client, token = app.test_client(), token_for(app, "bob", "viewer")
    assert [get(client, "/", token).status_code for _ in range(3)] == [200] * 3
    records = [r for r in caplog.records if "is always refused" in r.getMessage()]
    assert [r.levelno for r in records] == [logging.WARNING]


# --- check at the first request ------------------------------------------------------------------


def misused(tmp_path: Path) -> Flask:
    (tmp_path / "style.css").write_text("body {}")
    app = Flask("misused", static_folder=str(tmp_path), static_url_path="/static")
    app.config.update(bare_app(JWT_SECRET_KEY="short").config)
    Authz(app, roles=catalog())
    app.add_url_rule("/bare", "bare", lambda: "in")
    app.add_url_rule("/guarded", "guarded", requires()(lambda: "in"))
    return app


def test_misuse_makes_every_request_a_500_but_static_ones_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = misused(tmp_path)
    client = app.test_client()
    for _ in range(3):
        with client.get("/static/style.css") as response:
            assert response.status_code == 200
        for path in ("/bare", "/guarded", "/nowhere"):
            assert client.get(path).status_code == 500
        assert client.options("/bare").status_code == 500
    messages = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert any("the secret for HS256 has 5 bytes" in message for message in messages)
    assert "secret for HS256" not in client.get("/bare").text


def test_misuse_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    check = inspection.check
    monkeypatch.setattr(inspection, "check", lambda state: asked.append(1) or check(state))
    bad, good = misused(tmp_path), guarded_app()
    good.add_url_rule("/", "view", requires()(lambda: "in"))
    for app in (bad, good):
        asked.clear()
        for _ in range(5):
            app.test_client().get("/")
        assert asked == [1]


def test_many_first_requests_at_once_check_once_and_wait_for_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    check = inspection.check
    waiting = threading.Event()

    def slow(state: AppState) -> list[str]:
        asked.append(1)
        waiting.wait(0.2)
        return check(state)

    monkeypatch.setattr(inspection, "check", slow)
    app = guarded_app(JWT_SECRET_KEY="short")
    app.add_url_rule("/", "view", lambda: "in")
    start = threading.Barrier(8)

    def call(_: int) -> int:
        start.wait()
        return app.test_client().get("/").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {500}
    assert asked == [1]


def test_the_test_of_many_first_requests_would_notice_a_check_without_its_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: without the lock several requests check, or pass unchecked."""

    asked, are_two = list[int](), threading.Event()

    def slow(state: AppState) -> list[str]:
        asked.append(1)
        if len(asked) > 1:
            are_two.set()
        are_two.wait(PATIENCE)
        return []

    monkeypatch.setattr(inspection, "check", slow)
    made = FirstRequest.__init__

    def unlocked(self: FirstRequest, *arguments: Any) -> None:
        made(self, *arguments)
        self._lock = threading.Semaphore(99)  # type: ignore[assignment]

    monkeypatch.setattr(FirstRequest, "__init__", unlocked)
    app = guarded_app()
    app.add_url_rule("/", "view", lambda: "in")
    start = threading.Barrier(8)

    def call(_: int) -> int:
        start.wait()
        return app.test_client().get("/").status_code

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))
    assert len(asked) > 1


def test_a_check_that_crashes_lets_no_request_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(state: AppState) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(inspection, "check", crash)
    app = guarded_app()
    app.logger.disabled = True
    app.add_url_rule("/", "view", lambda: "in")
    assert [app.test_client().get("/").status_code for _ in range(2)] == [500, 500]


def test_an_applications_own_handler_of_500_answers_for_misuse_too(tmp_path: Path) -> None:
    app = misused(tmp_path)
    app.register_error_handler(500, lambda error: ("sorry", 500))
    response = app.test_client().get("/bare")
    assert (response.status_code, response.text) == (500, "sorry")


def test_each_application_of_one_authz_is_checked() -> None:
    authz = Authz(roles=catalog())
    good, bad = bare_app(), bare_app(JWT_SECRET_KEY="short")
    for app in (good, bad):
        authz.init_app(app)
        app.add_url_rule("/", "view", lambda: "in")
    assert good.test_client().get("/").status_code == 200
    assert bad.test_client().get("/").status_code == 500
    assert good.test_client().get("/").status_code == 200


def test_the_check_reads_no_environment_and_leaves_no_trace() -> None:
    before = dict(os.environ)
    app = guarded_app()
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    config = dict(app.config)
    assert checked(app) == checked(app) == []
    assert dict(app.config) == config
    assert dict(os.environ) == before
    assert app.config["JWT_SECRET_KEY"] == SECRET


def test_all_that_is_wrong_with_the_settings_is_reported_at_once() -> None:
    app = guarded_app(
        AUTHZ_DISCLOSE="all",
        AUTHZ_CACHE_BYTES=-1,
        AUTHZ_RELAM="api",
        AUTHZ_REALMS="api",
        JWT_SECRET_KEY=None,
        JWT_ACCESS_TOKEN_EXPIRES=False,
    )
    message = misuse(app)
    for name in ("AUTHZ_DISCLOSE", "AUTHZ_CACHE_BYTES", "AUTHZ_RELAM", "AUTHZ_REALMS"):
        assert name in message
    assert "no secret is set: set JWT_SECRET_KEY" in message
    assert "access tokens never expire" in message


def test_a_second_authz_on_one_application_is_reported_and_changes_nothing() -> None:
    app = guarded_app()
    first = authz_of(app)
    with pytest.raises(MisuseError, match="already has an Authz"):
        Authz(app)
    with pytest.raises(MisuseError, match="already has an Authz"):
        first.init_app(app)
    assert authz_of(app) is first


def test_a_guard_is_neither_an_answer_nor_a_requirement() -> None:
    with pytest.raises(MisuseError, match=r"write if allowed\(\.\.\.\)"):
        if requires("article:read"):
            pass
    with pytest.raises(MisuseError, match="is a guard, not a requirement"):
        requires(requires("article:read"))
