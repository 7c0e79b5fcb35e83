"""Where a token stands: the header, and FJE's cookies, query string and JSON body."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, get_csrf_token, get_jwt_identity, jwt_required
from werkzeug.test import TestResponse

from jwt_authz import Authz, current_identity, requires
from tests import hostile
from tests.edge import TYPE, bare_app, catalog, claims_of, guarded_app, token_for

pytestmark = pytest.mark.versions

LOCATIONS = ("cookies", "query_string", "json")


def located(*locations: str, **config: Any) -> Flask:
    app = guarded_app(JWT_TOKEN_LOCATION=list(locations), **config)
    _add_views(app, requires)
    return app


def by_fje(*locations: str, **config: Any) -> Flask:
    app = bare_app(JWT_TOKEN_LOCATION=list(locations), **config)
    JWTManager(app)
    _add_views(app, jwt_required)
    return app


def _add_views(app: Flask, guard: Callable[..., Any]) -> None:
    methods = ["GET", "POST", "PUT"]
    app.add_url_rule("/", "view", guard()(get_jwt_identity), methods=methods)
    optional = guard(optional=True)(lambda: get_jwt_identity() or "anonymous")
    app.add_url_rule("/optional", "optional", optional, methods=methods)
    app.logger.disabled = True


def send(
    client: FlaskClient, location: str, token: Any, path: str = "/", **options: Any
) -> TestResponse:
    """A POST with the token in one of the locations."""
    headers = {**options.pop("headers", {})}
    if location == "cookies":
        headers["Cookie"] = f"access_token_cookie={token}"
    elif location == "query_string":
        options["query_string"] = {"jwt": token}
    elif location == "json":
        options["json"] = {"access_token": token}
    else:
        headers["Authorization"] = f"Bearer {token}"
    return client.open(path, method=options.pop("method", "POST"), headers=headers, **options)


def kind(response: TestResponse) -> str:
    assert response.status_code == 401, response.get_data(as_text=True)
    return response.get_json()["type"].removeprefix(TYPE)


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# --- each location -------------------------------------------------------------------------------


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_token_in_a_configured_location_is_accepted_cold_and_warm(location: str) -> None:
    app = located(location, JWT_COOKIE_CSRF_PROTECT=False)
    token = token_for(app)
    for _ in range(3):
        response = send(app.test_client(use_cookies=False), location, token)
        assert (response.status_code, response.text) == (200, "alice")


@pytest.mark.parametrize("configured", ("headers", *LOCATIONS))
@pytest.mark.parametrize("used", ("headers", *LOCATIONS))
def test_a_token_elsewhere_than_configured_is_ignored(configured: str, used: str) -> None:
    """SECURITY 2.15."""
    app = located(configured, JWT_COOKIE_CSRF_PROTECT=False)
    response = send(app.test_client(use_cookies=False), used, token_for(app))
    if configured == used:
        assert response.status_code == 200
    else:
        assert kind(response) == "token-missing"


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_guard_asks_for_what_the_token_grants_in_every_location(location: str) -> None:
    app = located(location, JWT_COOKIE_CSRF_PROTECT=False)
    guard = requires("article:edit")
    app.add_url_rule("/edit", "edit", guard(lambda: "edited"), methods=["POST"])
    client = app.test_client(use_cookies=False)
    assert send(client, location, token_for(app, "a", "editor"), "/edit").status_code == 200
    assert send(client, location, token_for(app, "b", "viewer"), "/edit").status_code == 403
    assert client.post("/edit").status_code == 401


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": 1}, "token-expired"),
        ({"type": "refresh"}, "kind-invalid"),
        ({"exp": ...}, "claim-missing"),
        ({"fresh": "yes"}, "claim-invalid"),
        ({"roles": "admin"}, "claim-invalid"),
        ({"cnf": {}}, "kind-invalid"),
    ],
)
def test_an_invalid_token_is_reported_as_in_the_header(
    location: str, changes: dict[str, Any], expected: str
) -> None:
    app = located(location, JWT_COOKIE_CSRF_PROTECT=False)
    token = hostile.token(claims_of(**changes))
    assert kind(send(app.test_client(use_cookies=False), location, token)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("location", LOCATIONS)
def test_each_hostile_token_is_401_in_every_location(location: str, quiet: None) -> None:
    """SECURITY 1.17, 2.3."""
    app = located(location, JWT_COOKIE_CSRF_PROTECT=False)
    client = app.test_client(use_cookies=False)
    assert send(client, location, hostile.good_token("HS256")).status_code == 200
    wrong = {}
    for attempt in hostile.ATTEMPTS:
        token = attempt.build().token if attempt.target == "HS256" else None
        if token is None or (location == "cookies" and not token.isascii()):
            continue
        status = send(client, location, token).status_code
        if status != 401:
            wrong[attempt.name] = status
    assert wrong == {}


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_refusal_in_another_location_has_a_challenge_too(location: str) -> None:
    app = located(location)
    for token in ("x.y.z", ""):
        response = send(app.test_client(use_cookies=False), location, token)
        scheme = "Cookie" if location == "cookies" else "Bearer"
        assert response.headers["WWW-Authenticate"].startswith(f"{scheme} ")


# --- cookies and CSRF ----------------------------------------------------------------------------


def csrf_of(app: Flask, token: str) -> str:
    with app.app_context():
        return get_csrf_token(token)


def test_a_cookie_needs_its_csrf_value_where_something_is_changed_also_when_known() -> None:
    app = located("cookies")
    client, token = app.test_client(use_cookies=False), token_for(app)
    good = {"X-CSRF-TOKEN": csrf_of(app, token)}
    other = {"X-CSRF-TOKEN": csrf_of(app, token_for(app))}
    for _ in ("cold", "warm", "warm"):
        assert send(client, "cookies", token, method="GET").status_code == 200
        assert send(client, "cookies", token, headers=good).status_code == 200
        assert kind(send(client, "cookies", token)) == "csrf-invalid"
        assert kind(send(client, "cookies", token, headers=other)) == "csrf-invalid"
        assert send(client, "cookies", token, method="PUT").status_code == 401


def test_the_csrf_value_of_a_form_counts_where_that_is_configured() -> None:
    app = located("cookies", JWT_CSRF_CHECK_FORM=True)
    client, token = app.test_client(use_cookies=False), token_for(app)
    form = {"csrf_token": csrf_of(app, token)}
    assert send(client, "cookies", token, data=form).status_code == 200
    assert kind(send(client, "cookies", token, data={"csrf_token": "x"})) == "csrf-invalid"


def test_a_token_without_a_csrf_claim_does_not_pass_where_one_is_wanted() -> None:
    app = located("cookies")
    token = hostile.token()
    for value in ("", "x", "None", "null"):
        response = send(
            app.test_client(use_cookies=False), "cookies", token, headers={"X-CSRF-TOKEN": value}
        )
        assert response.status_code == 401


def test_csrf_does_not_matter_for_a_token_in_the_header() -> None:
    app = located("headers", "cookies")
    assert send(app.test_client(use_cookies=False), "headers", token_for(app)).status_code == 200


def test_a_refresh_cookie_is_not_read() -> None:
    app = located("cookies", JWT_COOKIE_CSRF_PROTECT=False)
    headers = {"Cookie": f"refresh_token_cookie={token_for(app)}"}
    assert kind(app.test_client(use_cookies=False).post("/", headers=headers)) == "token-missing"


def test_the_settings_of_cookies_count_at_once() -> None:
    app = located("cookies")
    client, token = app.test_client(use_cookies=False), token_for(app)
    assert kind(send(client, "cookies", token)) == "csrf-invalid"
    app.config["JWT_COOKIE_CSRF_PROTECT"] = False
    assert send(client, "cookies", token).status_code == 200
    app.config["JWT_ACCESS_COOKIE_NAME"] = "session_token"
    assert kind(send(client, "cookies", token)) == "token-missing"


def test_a_method_that_a_view_answers_itself_is_guarded_with_cookies_too() -> None:
    """FJE looks at no OPTIONS; here a view that handles it is guarded like any method."""
    app = located("cookies")
    app.add_url_rule("/own", "own", requires()(lambda: "own"), methods=["GET", "OPTIONS"])
    client = app.test_client(use_cookies=False)
    assert client.options("/own").status_code == 401
    for bad in ("x.y.z", hostile.token(claims_of(exp=1)), hostile.token(secret="z" * 40)):
        assert send(client, "cookies", bad, "/own", method="OPTIONS").status_code == 401
    token = token_for(app)
    assert send(client, "cookies", token, "/own", method="OPTIONS").status_code == 200


# --- the query string and JSON -------------------------------------------------------------------


def test_a_prefix_in_the_query_string_is_taken_off() -> None:
    app = located("query_string", JWT_QUERY_STRING_VALUE_PREFIX="Bearer ")
    client, token = app.test_client(use_cookies=False), token_for(app)
    assert client.get("/", query_string={"jwt": f"Bearer {token}"}).status_code == 200
    assert client.get("/", query_string={"jwt": token}).status_code == 401
    assert client.get("/", query_string={"other": f"Bearer {token}"}).status_code == 401


def test_the_first_of_two_values_in_the_query_string_counts_as_in_fje() -> None:
    ours, theirs = located("query_string"), by_fje("query_string")
    good = token_for(ours)
    for values in ([good, "x.y.z"], ["x.y.z", good], ["", good], [good, ""]):
        query = "&".join(f"jwt={value}" for value in values)
        passes = theirs.test_client(use_cookies=False).get(f"/?{query}").status_code == 200
        assert (ours.test_client(use_cookies=False).get(f"/?{query}").status_code == 200) == passes


BODIES: dict[str, Callable[[str], bytes]] = {
    "nothing": lambda token: b"",
    "no JSON": lambda token: b"access_token=x",
    "cut off": lambda token: json.dumps({"access_token": token}).encode()[:-1],
    "a list": lambda token: json.dumps([token]).encode(),
    "a list of pairs": lambda token: json.dumps([["access_token", token]]).encode(),
    "a text": lambda token: json.dumps(token).encode(),
    "a number": lambda token: b"1",
    "null": lambda token: b"null",
    "true": lambda token: b"true",
    "an empty object": lambda token: b"{}",
    "a token that is a number": lambda token: b'{"access_token":1}',
    "a token that is null": lambda token: b'{"access_token":null}',
    "a token that is false": lambda token: b'{"access_token":false}',
    "a token that is true": lambda token: b'{"access_token":true}',
    "a token that is empty": lambda token: b'{"access_token":""}',
    "a token that is a list": lambda token: json.dumps({"access_token": [token]}).encode(),
    "a token that is an object": lambda token: json.dumps({"access_token": {"x": token}}).encode(),
    "another name": lambda token: json.dumps({"Access_Token": token}).encode(),
    "nested": lambda token: json.dumps({"x": {"access_token": token}}).encode(),
    "nested deep": lambda token: b"[" * 100_000,
    "objects nested deep": lambda token: b'{"x":' * 100_000,
    "a number of 100,000 digits": lambda token: b'{"access_token":' + b"9" * 100_000 + b"}",
    "no UTF-8": lambda token: b'{"access_token":"\xff"}',
    "UTF-16": lambda token: '{"access_token":"x"}'.encode("utf-16"),
    "a lone surrogate": lambda token: rb'{"access_token":"\ud800"}',
    "NaN": lambda token: b'{"access_token":NaN}',
    "a megabyte": lambda token: json.dumps({"access_token": "x" * 2**20}).encode(),
    "a token with a NUL": lambda token: json.dumps({"access_token": token + "\0"}).encode(),
    "a bad token": lambda token: b'{"access_token":"x.y.z"}',
}


def post(client: FlaskClient, body: bytes, path: str = "/") -> TestResponse:
    return client.post(path, data=body, content_type="application/json")


@pytest.mark.parametrize("body", BODIES)
def test_a_body_without_a_good_token_is_401_and_never_a_crash(body: str, quiet: None) -> None:
    app = located("json")
    response = post(app.test_client(use_cookies=False), BODIES[body](token_for(app)))
    assert response.status_code == 401


@pytest.mark.parametrize("body", BODIES)
def test_an_optional_guard_lets_no_body_pass_that_fje_refuses(body: str, quiet: None) -> None:
    ours, theirs = located("json"), by_fje("json")
    data = BODIES[body](token_for(ours))
    expected = post(theirs.test_client(use_cookies=False), data, "/optional").status_code
    found = post(ours.test_client(use_cookies=False), data, "/optional").status_code
    assert found in (200, 401)
    if expected in (401, 422):
        assert found == 401


def test_a_token_in_json_needs_the_content_type_of_json() -> None:
    app = located("json")
    body = json.dumps({"access_token": token_for(app)})
    client = app.test_client(use_cookies=False)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert client.post("/", data=body, content_type=content_type).status_code == 401
    for content_type in ("application/json", "application/json; charset=utf-8"):
        assert client.post("/", data=body, content_type=content_type).status_code == 200


QUERIES = {
    "nothing": {},
    "empty": {"jwt": ""},
    "no token": {"jwt": "x"},
    "a bad token": {"jwt": "x.y.z"},
    "a prefix of another kind": {"jwt": "Basic x"},
    "the prefix alone": {"jwt": "Bearer "},
    "the prefix in lower case": {"jwt": "bearer x.y.z"},
}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("prefix", ["", "Bearer "], ids=["plain", "prefix"])
def test_an_optional_guard_lets_no_query_pass_that_fje_refuses(query: str, prefix: str) -> None:
    ours, theirs = (
        made("query_string", JWT_QUERY_STRING_VALUE_PREFIX=prefix) for made in (located, by_fje)
    )
    expected = (
        theirs.test_client(use_cookies=False)
        .get("/optional", query_string=QUERIES[query])
        .status_code
    )
    found = (
        ours.test_client(use_cookies=False)
        .get("/optional", query_string=QUERIES[query])
        .status_code
    )
    assert found in (200, 401)
    if expected in (401, 422):
        assert found == 401


# --- several locations ---------------------------------------------------------------------------

ORDERS = [
    ("headers", "cookies"),
    ("cookies", "headers"),
    ("headers", "query_string", "json"),
    ("json", "query_string", "cookies", "headers"),
]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_of_several_locations_the_first_with_a_token_counts_as_in_fje(
    order: tuple[str, ...], quiet: None
) -> None:
    settings = {"JWT_COOKIE_CSRF_PROTECT": False}
    ours, theirs = located(*order, **settings), by_fje(*order, **settings)
    tokens = {name: token_for(ours, name) for name in ("alice", "bob")} | {"bad": "x.y.z"}
    for first in tokens:
        for second in tokens:
            environ = {"HTTP_AUTHORIZATION": f"Bearer {tokens[first]}"}
            if "cookies" in order:
                environ["HTTP_COOKIE"] = f"access_token_cookie={tokens[second]}"
            options: dict[str, Any] = {"environ_overrides": environ}
            if "json" in order:
                options["json"] = {"access_token": tokens[second]}
            if "query_string" in order:
                options["query_string"] = {"jwt": tokens[second]}
            expected = theirs.test_client(use_cookies=False).post("/", **options)
            for _ in ("cold", "warm"):
                found = ours.test_client(use_cookies=False).post("/", **options)
                if expected.status_code == 200:
                    assert (found.status_code, found.text) == (200, expected.text)
                else:
                    assert found.status_code == 401


def test_a_single_location_may_be_given_as_a_text() -> None:
    app = guarded_app(JWT_TOKEN_LOCATION="query_string")
    app.add_url_rule("/", "view", requires()(lambda: current_identity.subject))
    client, token = app.test_client(use_cookies=False), token_for(app)
    assert client.get("/", query_string={"jwt": token}).text == "alice"
    assert client.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_changed_location_counts_at_once() -> None:
    app = located("headers")
    client, token = app.test_client(use_cookies=False), token_for(app)
    assert send(client, "headers", token).status_code == 200
    app.config["JWT_TOKEN_LOCATION"].append("query_string")
    assert send(client, "query_string", token).status_code == 200
    app.config["JWT_TOKEN_LOCATION"].remove("headers")
    assert send(client, "headers", token).status_code == 401


# --- what the answer says it depends on ----------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"authorization"}),
        ({"JWT_TOKEN_LOCATION": ["cookies"]}, {"cookie"}),
        ({"JWT_TOKEN_LOCATION": ["headers", "cookies"]}, {"authorization", "cookie"}),
        ({"JWT_TOKEN_LOCATION": ["cookies", "headers"]}, {"authorization", "cookie"}),
        ({"JWT_HEADER_NAME": "X-Token"}, {"x-token"}),
    ],
    ids=["by default", "a cookie", "a header or a cookie", "a cookie or a header", "its own name"],
)
def test_a_guarded_answer_says_that_it_depends_on_where_the_token_stands(
    config: dict[str, Any], expected: set[str]
) -> None:
    """SECURITY 1.38."""
    app = guarded_app(**config)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    client, token = app.test_client(use_cookies=False), token_for(app)
    header = config.get("JWT_HEADER_NAME", "Authorization")
    good = {header: f"Bearer {token}", "Cookie": f"access_token_cookie={token}"}
    for headers in ({}, good, {header: "Bearer x"}):
        response = client.get("/", headers=headers)
        assert expected <= {name.lower() for name in response.vary}


def test_a_loader_from_the_session_leaves_the_rest_to_flask() -> None:
    app = bare_app()
    Authz(app, roles=catalog()).identity_loader(lambda: None)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    assert app.test_client(use_cookies=False).get("/").status_code == 401


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize(
    "error",
    [AttributeError, KeyError, ValueError, TypeError, RecursionError, OSError, RuntimeError],
    ids=lambda error: error.__name__,
)
@pytest.mark.parametrize(
    "callback",
    [
        "decode_key_loader",
        "token_in_blocklist_loader",
        "token_verification_loader",
        "user_lookup_loader",
    ],
)
def test_whatever_a_callback_raises_in_another_location_no_view_runs(
    location: str, error: type[Exception], callback: str
) -> None:
    app = located(location, JWT_COOKIE_CSRF_PROTECT=False)
    token = token_for(app)

    def failing(header: dict, payload: dict) -> Any:
        raise error("x")

    getattr(app.extensions["flask-jwt-extended"], callback)(failing)
    client = app.test_client(use_cookies=False)
    for path in ("/", "/optional"):
        assert send(client, location, token, path).status_code in (401, 500)
