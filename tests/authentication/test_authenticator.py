"""A request to its identity: the cache, the clock, and that nobody is taken for another."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import (
    Flask,
    copy_current_request_context,
    current_app,
    request,
    stream_with_context,
)
from flask_jwt_extended import get_jwt, get_jwt_identity, jwt_required
from werkzeug.local import LocalProxy

from jwt_authz import (
    Authz,
    Identity,
    InvalidToken,
    MisuseError,
    Role,
    Roles,
    allowed,
    current_identity,
    requires,
)
from jwt_authz.application import KEY
from jwt_authz.authentication import authenticator as authentication
from jwt_authz.authentication import snapshot, verification
from jwt_authz.jwt_extended.slots import SLOTS
from jwt_authz.tokens import Verifier
from tests import hostile
from tests.edge import (
    OTHER_SECRET,
    TYPE,
    bare_app,
    bearer,
    catalog,
    claims_of,
    get,
    guarded_app,
    key_settings,
    token_for,
    turn_clock,
)


def who() -> dict[str, Any]:
    """What a view knows of its caller, from both sides."""
    return {
        "identity": current_identity.subject,
        "jwt": get_jwt_identity(),
        "claims": get_jwt()["sub"],
    }


def same(subject: str) -> dict[str, Any]:
    return {"identity": subject, "jwt": subject, "claims": subject}


@pytest.fixture
def app() -> Flask:
    made = guarded_app()
    made.add_url_rule("/", "view", requires()(lambda: "in"))
    made.add_url_rule("/who", "who", requires()(who))
    return made


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was looked at, in order."""
    seen: list[str] = []
    verify = Verifier.verify

    def counted(self: Verifier, token: str, *rest: Any) -> Any:
        seen.append(token)
        return verify(self, token, *rest)

    monkeypatch.setattr(Verifier, "verify", counted)
    return seen


def cache_of(app: Flask) -> Any:
    return app.extensions[KEY]._authenticator.verification.cache


def refusal(app: Flask, token: str | None, path: str = "/") -> str:
    response = get(app.test_client(), path, token)
    assert response.status_code == 401, response.data
    return response.get_json()["type"].removeprefix(TYPE)


# --- who is calling ------------------------------------------------------------------------------


def test_the_identity_tells_what_the_token_says() -> None:
    app = guarded_app()

    @app.route("/")
    @requires()
    def view() -> Any:
        me = current_identity
        return {
            "subject": me.subject,
            "issuer": me.issuer,
            "tenant": me.tenant,
            "roles": sorted(me.roles),
            "permissions": sorted(me.permissions),
            "scopes": sorted(me.scopes),
            "level": me.level,
            "claims": dict(me.claims),
            "frozen": _refuses_change(me._get_current_object()),
        }

    claims = claims_of("alice", iss="edge", tenant="t1", scope="read write", roles=["editor"])
    token = hostile.token(claims)
    for _ in ("cold", "warm"):
        found = get(app.test_client(), "/", token).get_json()
        assert found == {
            "subject": "alice",
            "issuer": "edge",
            "tenant": "t1",
            "roles": ["editor"],
            "permissions": ["article:read"],
            "scopes": ["read", "write"],
            "level": 1,
            "claims": claims,
            "frozen": True,
        }


@pytest.mark.parametrize("name", ["iss", "aud"])
def test_the_log_names_the_setting_if_an_issuer_or_audience_is_not_ours(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = guarded_app()
    app.add_url_rule("/", view_func=requires()(lambda: "in"))
    response = get(app.test_client(), "/", hostile.token(claims_of(**{name: "orders.example"})))
    assert response.status_code == 401
    setting = {"iss": "AUTHZ_ISSUER", "aud": "AUTHZ_AUDIENCE"}[name]
    assert f"see {setting} and JWT_DECODE_" in caplog.text
    assert setting not in response.get_data(as_text=True)
    assert "orders.example" not in caplog.text + response.get_data(as_text=True)


def _refuses_change(identity: Identity) -> bool:
    try:
        identity.subject = "mallory"  # type: ignore[misc]
    except AttributeError:
        return True
    return False


def test_the_identity_is_falsy_without_a_token_with_a_bad_one_and_without_a_request() -> None:
    app = guarded_app()

    @app.route("/")
    def view() -> Any:
        return {"known": bool(current_identity), "none": current_identity == None}  # noqa: E711

    client = app.test_client()
    assert get(client, "/", token_for(app)).get_json() == {"known": True, "none": False}
    for token in (None, "x.y.z", hostile.token(claims_of(exp=1))):
        assert get(client, "/", token).get_json() == {"known": False, "none": True}
    assert not current_identity
    with app.app_context():
        assert not current_identity


def test_the_identity_without_an_authz_is_a_misuse_and_never_nobody() -> None:
    app = bare_app()
    with app.test_request_context(), pytest.raises(MisuseError, match="has no Authz"):
        bool(current_identity)


def test_with_the_encoding_roles_the_catalog_gives_the_permissions() -> None:
    app = guarded_app(AUTHZ_ENCODING="roles")
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "edited"))
    app.add_url_rule("/delete", "delete", requires("article:delete")(lambda: "deleted"))
    token = hostile.token(claims_of(roles=["editor"], permissions=["article:delete"]))
    for _ in ("cold", "warm"):
        assert get(app.test_client(), "/edit", token).status_code == 200
        assert get(app.test_client(), "/delete", token).status_code == 403


# --- an identity loader --------------------------------------------------------------------------


def test_the_applications_own_loader_gets_subject_and_claims_on_every_request(app: Flask) -> None:
    asked: list[Any] = []

    @app.extensions["jwt_authz"].identity_loader
    def load(subject: str, claims: dict) -> Identity:
        asked.append((subject, claims["jti"], type(claims)))
        claims["roles"].append("admin")  # the loader's own copy
        return Identity(f"user-{subject}", permissions=["article:edit"])

    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: current_identity.subject))
    token = hostile.token()
    for _ in ("cold", "warm", "warm"):
        assert get(app.test_client(), "/edit", token).get_data(as_text=True) == "user-alice"
    assert asked == [("alice", "jti-alice", dict)] * 3
    assert get(app.test_client(), "/edit").status_code == 401
    assert len(asked) == 3


def test_a_loader_set_later_counts_at_once_though_tokens_are_cached(app: Flask) -> None:
    app.add_url_rule("/subject", "subject", requires()(lambda: current_identity.subject))
    client, token = app.test_client(), token_for(app)
    assert [get(client, "/subject", token).get_data(as_text=True) for _ in range(2)] == [
        "alice"
    ] * 2
    authz = app.extensions["jwt_authz"]
    authz.identity_loader(lambda subject, claims: Identity("first"))
    assert get(client, "/subject", token).get_data(as_text=True) == "first"
    authz.identity_loader(lambda subject, claims: Identity("second"))
    assert get(client, "/subject", token).get_data(as_text=True) == "second"


def test_a_loader_that_answers_nobody_is_401(app: Flask) -> None:
    app.extensions["jwt_authz"].identity_loader(lambda subject, claims: None)
    assert get(app.test_client(), "/", token_for(app)).status_code == 401


def test_a_loader_without_parameters_takes_the_identity_from_elsewhere(app: Flask) -> None:
    caller: list[Any] = [None]
    app.extensions["jwt_authz"].identity_loader(lambda: caller[0])
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "edited"))
    client = app.test_client()
    assert client.get("/edit").status_code == 401
    caller[0] = Identity("session", permissions=["article:read"])
    assert client.get("/edit").status_code == 403
    caller[0] = LocalProxy(lambda: Identity("session", permissions=["article:edit"]))
    assert client.get("/edit").status_code == 200
    caller[0] = LocalProxy(lambda: None)
    assert client.get("/edit").status_code == 401


def test_a_loader_with_other_parameters_is_a_misuse_at_once(app: Flask) -> None:
    for loader in (lambda one: None, lambda a, b, c: None):
        with pytest.raises(MisuseError, match=r"takes \(subject, claims\), or nothing"):
            app.extensions["jwt_authz"].identity_loader(loader)


def test_an_identity_of_another_kind_meets_no_requirement_that_looks_at_it(app: Flask) -> None:
    app.extensions["jwt_authz"].identity_loader(lambda subject, claims: {"is_admin": True})
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "edited"))
    app.add_url_rule("/not", "not", requires(~(requires("article:edit").requirement))(lambda: "x"))
    app.add_url_rule("/own", "own", requires(lambda me: me["is_admin"])(lambda: "own"))
    client, token = app.test_client(), token_for(app)
    assert get(client, "/edit", token).status_code == 403
    assert get(client, "/not", token).status_code == 403
    assert get(client, "/own", token).status_code == 200


# --- the cache -----------------------------------------------------------------------------------


def test_a_good_token_is_verified_once_and_known_afterwards(
    app: Flask, verified: list[str]
) -> None:
    token, client = token_for(app), app.test_client()
    assert {get(client, "/", token).status_code for _ in range(5)} == {200}
    assert verified == [token]


def test_without_a_cache_a_token_is_verified_at_each_request(verified: list[str]) -> None:
    app = guarded_app(AUTHZ_CACHE_BYTES=0)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    token, client = token_for(app), app.test_client()
    assert {get(client, "/", token).status_code for _ in range(3)} == {200}
    assert verified == [token] * 3


def test_a_refused_token_is_not_kept(app: Flask, verified: list[str]) -> None:
    client = app.test_client()
    get(client, "/", token_for(app))
    kept = len(cache_of(app))
    for token in ("x.y.z", hostile.token(claims_of(exp=1)), hostile.token(secret=OTHER_SECRET)):
        for _ in range(2):
            assert get(client, "/", token).status_code == 401
    assert len(cache_of(app)) == kept == 1


@pytest.mark.parametrize(
    "spelling", ["Bearer {}", "bearer {}", "Bearer  {}", "Bearer {} ", "BEARER\t{}"]
)
def test_a_known_token_is_known_however_its_header_is_spelled(
    app: Flask, verified: list[str], spelling: str
) -> None:
    token, client = token_for(app), app.test_client()
    for _ in range(2):
        environ = {"HTTP_AUTHORIZATION": spelling.format(token)}
        assert client.get("/", environ_overrides=environ).status_code == 200
    assert get(client, "/", token).status_code == 200
    assert verified == [token]


@pytest.mark.parametrize(
    "blank", ["\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\x1f", " \xa0", "\t\x1d"]
)
def test_only_spaces_and_tabs_separate_the_scheme_from_the_token(app: Flask, blank: str) -> None:
    header = f"Bearer{blank}{token_for(app)}"
    answer = app.test_client().get("/", environ_overrides={"HTTP_AUTHORIZATION": header})
    assert answer.status_code == 401
    assert answer.json["type"] == f"{TYPE}token-malformed"


def test_one_token_on_two_routes_meets_the_needs_of_each_in_both_orders(app: Flask) -> None:
    """SECURITY 1.18."""
    app.add_url_rule("/read", "read", requires("article:read")(lambda: "read"))
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "edited"))
    client = app.test_client()
    for order in (["/read", "/edit"], ["/edit", "/read"]):
        token = token_for(app, "alice", "viewer")
        for _ in range(3):
            found = {path: get(client, path, token).status_code for path in order}
            assert found == {"/read": 200, "/edit": 403}


def test_the_short_path_of_a_cached_token_gives_the_same_as_the_long_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The identity, the claims, the header and the user: by the one function, and without it."""
    app = guarded_app()

    @app.route("/all")
    @requires()
    def everything() -> Any:
        me = current_identity._get_current_object()
        slots = {name: _g().get(name, "missing") for name in SLOTS}
        return {"repr": repr(me), "claims": dict(me.claims), "slots": slots}

    tokens = [
        token_for(app, "alice", "editor"),
        token_for(app, "bob", claims={"x": {"deep": [1, {"y": None}]}}),
        hostile.token(header=hostile.header_of(x=[1, {"y": 2}])),
        hostile.token(claims_of(type=..., fresh=..., jti=...)),
    ]
    client = app.test_client()
    short = [[get(client, "/all", t).get_json() for _ in range(3)] for t in tokens]
    monkeypatch.setattr(verification.Verification, "known", lambda *given: None)
    long = [[get(client, "/all", t).get_json() for _ in range(3)] for t in tokens]
    assert short == long
    assert all(answer["claims"] for answers in short for answer in answers)
    assert len({str(answer) for answer in short[0]}) == 1


def _g() -> Any:
    from flask import g

    return g._get_current_object()


# --- the clock -----------------------------------------------------------------------------------


def test_a_cached_token_dies_when_its_time_is_over(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F13."""
    token = hostile.token(claims_of(exp=int(time.time()) + 1_000))
    client = app.test_client()
    assert [get(client, "/", token).status_code for _ in range(3)] == [200] * 3
    turn_clock(monkeypatch, 990)
    assert get(client, "/", token).status_code == 200
    turn_clock(monkeypatch, 1_001)
    assert refusal(app, token) == "token-expired"
    turn_clock(monkeypatch, 0)
    assert get(client, "/", token).status_code == 200


def test_the_clock_test_would_notice_a_cache_that_never_looks_at_the_time(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: an entry that says it lives for ever outlives its token."""
    token = hostile.token(claims_of(exp=int(time.time()) + 100))
    assert get(app.test_client(), "/", token).status_code == 200
    (entry,) = cache_of(app)._entries.values()
    entry.expires = float("inf")
    turn_clock(monkeypatch, 10_000)
    assert get(app.test_client(), "/", token).status_code == 200


def test_a_cached_token_is_refused_when_the_clock_steps_back_before_its_start(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F13."""
    token = hostile.token()
    assert get(app.test_client(), "/", token).status_code == 200
    turn_clock(monkeypatch, -3_600)
    assert refusal(app, token) == "token-not-yet-valid"
    turn_clock(monkeypatch, 3_600)
    assert refusal(app, token) == "token-expired"


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "cold"])
def test_exp_nbf_and_leeway_count_to_the_second(
    cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token's own times are whole seconds; the clock is set around them. SECURITY 2.14."""
    app = guarded_app(JWT_DECODE_LEEWAY=10)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    real = time.time
    base = int(real()) + 1_000
    token = hostile.token(claims_of(iat=base, nbf=base, exp=base + 100))
    client = app.test_client()

    def at(moment: float) -> int:
        turn_clock(monkeypatch, moment - real())
        return get(client, "/", token).status_code

    if cached:
        assert at(base + 50) == 200
    # Half a second off the edges, for the time that a request takes.
    assert at(base - 10.5) == 401
    assert at(base - 10) == 200
    assert at(base + 109.5) == 200
    assert at(base + 110) == 401


@pytest.mark.parametrize("year", [2038, 2106, 9999])
def test_a_token_that_lives_long_is_good(app: Flask, year: int) -> None:
    seconds = (year - 1970) * 31_556_952
    token = hostile.token(claims_of(exp=seconds))
    assert [get(app.test_client(), "/", token).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("offset", [0.9, 0.5, 0.001])
def test_an_expiry_with_a_fraction_counts_as_its_whole_second(app: Flask, offset: float) -> None:
    """As in Flask-JWT-Extended; the hostile table holds the other side."""
    now = int(time.time())
    assert (
        get(app.test_client(), "/", hostile.token(claims_of(exp=now + 5 + offset))).status_code
        == 200
    )


# --- two requests in one place -------------------------------------------------------------------


def test_two_requests_in_one_application_context_are_two_callers(app: Flask) -> None:
    alice, bob, client = token_for(app, "alice"), token_for(app, "bob"), app.test_client()
    with app.app_context():
        for _ in ("cold", "warm"):
            assert get(client, "/who", alice).get_json() == same("alice")
            assert get(client, "/who", bob).get_json() == same("bob")
            assert get(client, "/who").status_code == 401
            assert get(client, "/who", alice).get_json() == same("alice")


def test_a_request_without_a_token_inherits_none_from_the_application_context() -> None:
    app = guarded_app()

    @app.route("/optional")
    @requires(optional=True)
    def optional() -> Any:
        return {"identity": bool(current_identity), "jwt": get_jwt()}

    @app.route("/asks")
    def asks() -> Any:
        return {"allowed": allowed(), "identity": bool(current_identity)}

    app.add_url_rule("/who", "who", requires()(who))
    client, alice = app.test_client(), token_for(app, "alice")
    with app.app_context():
        assert get(client, "/who", alice).get_json() == same("alice")
        assert get(client, "/optional").get_json() == {"identity": False, "jwt": {}}
        assert get(client, "/who", alice).get_json() == same("alice")
        for token in (None, "x.y.z"):
            found = get(client, "/asks", token).get_json()
            assert found == {"allowed": False, "identity": False}


def test_a_request_with_a_bad_token_does_not_read_the_claims_of_the_one_before() -> None:
    """`allowed()` said no, and then `get_jwt()` must not return another caller."""
    app = guarded_app()
    payloads: list[Any] = []

    @app.route("/asks")
    def asks() -> str:
        assert not allowed()
        try:
            payloads.append(get_jwt())
        except RuntimeError:  # what FJE raises where nothing was verified
            payloads.append({})
        return ""

    app.add_url_rule("/who", "who", requires()(who))
    client, alice = app.test_client(), token_for(app, "alice")
    with app.app_context():
        assert get(client, "/who", alice).get_json() == same("alice")
        for token in (None, "x.y.z", hostile.token(claims_of("bob", exp=1))):
            get(client, "/asks", token)
    assert payloads == [{}, {}, {}]


OUTER_GUARDS: dict[str, Callable[[Any], Any]] = {
    "requires": requires(),
    "jwt_required": jwt_required(),
    "both": lambda view: requires()(jwt_required()(view)),
}


@pytest.mark.parametrize("outer", OUTER_GUARDS)
@pytest.mark.parametrize("inner", ["good", "bad", "none", "refused", "crashed", "deep"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_request_made_inside_a_view_leaves_the_outer_caller_alone(
    outer: str, inner: str, warm: bool
) -> None:
    app = guarded_app()
    client = app.test_client()
    tokens = {"good": token_for(app, "bob"), "bad": "x.y.z", "none": None}
    tokens |= dict.fromkeys(("refused", "crashed", "deep"), tokens["good"])
    paths = {"refused": "/delete", "crashed": "/crash", "deep": "/deep"}
    app.add_url_rule("/who", "who", requires()(who))
    app.add_url_rule("/delete", "delete", requires("article:delete")(lambda: "deleted"))

    @app.route("/crash")
    @requires()
    def crash() -> str:
        raise ZeroDivisionError

    @app.route("/deep")
    @requires()
    def deep() -> Any:
        return [who(), get(client, "/who", token_for(app, "carol")).get_json(), who()]

    def before_and_after() -> Any:
        known = outer != "jwt_required"
        before = who() if known else get_jwt_identity()
        inside = get(client, paths.get(inner, "/who"), tokens[inner])
        after = who() if known else get_jwt_identity()
        return {"before": before, "after": after, "inside": inside.get_data(as_text=True)}

    app.add_url_rule("/outer", "outer", OUTER_GUARDS[outer](before_and_after))
    alice = token_for(app, "alice")
    if warm:
        get(client, "/who", alice)
        get(client, "/who", tokens["good"])
    app.logger.disabled = True
    found = get(client, "/outer", alice).get_json()
    expected = same("alice") if outer != "jwt_required" else "alice"
    assert (found["before"], found["after"]) == (expected, expected)
    if inner in ("good", "deep"):
        assert '"bob"' in found["inside"]


@pytest.mark.parametrize("location", ["cookies", "query_string", "json"])
def test_a_request_inside_a_view_with_its_token_elsewhere_leaves_the_outer_caller_alone(
    location: str,
) -> None:
    app = guarded_app(JWT_TOKEN_LOCATION=["headers", location], JWT_COOKIE_CSRF_PROTECT=False)
    app.add_url_rule("/who", "who", requires()(who), methods=["GET", "POST"])
    alice, bob = token_for(app, "alice"), token_for(app, "bob")

    @app.route("/outer")
    @requires()
    def outer() -> Any:
        client = app.test_client()
        options: dict[str, Any] = {}
        if location == "cookies":
            client.set_cookie("access_token_cookie", bob)
        elif location == "query_string":
            options["query_string"] = {"jwt": bob}
        else:
            options["json"] = {"access_token": bob}
        inside = client.post("/who", **options).get_json()
        return [inside, who()]

    found = get(app.test_client(), "/outer", alice).get_json()
    assert found == [same("bob"), same("alice")]


def test_an_inner_request_that_raises_through_leaves_the_outer_caller_alone() -> None:
    """Under TESTING an exception goes through the client, and no after_request runs."""
    app = guarded_app(TESTING=True)
    bob = token_for(app, "bob")

    @app.route("/crash")
    @requires()
    def crash() -> str:
        raise ZeroDivisionError

    @app.route("/outer")
    @requires()
    def outer() -> Any:
        with pytest.raises(ZeroDivisionError):
            get(app.test_client(), "/crash", bob)
        return who()

    assert get(app.test_client(), "/outer", token_for(app)).get_json() == same("alice")


def test_the_test_of_inner_requests_would_notice_slots_that_are_not_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: with the way back taken out, the outer view reads bob's claims."""
    monkeypatch.setattr("jwt_authz.jwt_extended.slots._restore", lambda app, **keywords: None)
    app = guarded_app()
    app.add_url_rule("/who", "who", requires()(who))
    bob = token_for(app, "bob")

    @app.route("/outer")
    @requires()
    def outer() -> Any:
        get(app.test_client(), "/who", bob)
        return get_jwt_identity()

    assert get(app.test_client(), "/outer", token_for(app)).get_data(as_text=True) == "bob"


def test_the_caller_is_known_until_the_answer_is_written() -> None:
    """In a stream, in what runs after the view, and in the teardown."""
    app = guarded_app()
    seen: list[Any] = []

    @app.after_request
    def after(response: Any) -> Any:
        seen.append(current_identity.subject if current_identity else None)
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        seen.append(current_identity.subject if current_identity else None)

    @app.route("/stream")
    @requires()
    def stream() -> Any:
        def stream_parts() -> Iterator[str]:
            yield current_identity.subject
            yield get_jwt_identity()
            yield str(allowed("article:edit"))

        return stream_with_context(stream_parts())

    client = app.test_client()
    for subject, role in (("alice", "editor"), ("bob", "viewer"), ("alice", "editor")):
        seen.clear()
        text = get(client, "/stream", token_for(app, subject, role)).text
        assert text == f"{subject}{subject}{role == 'editor'}"
        assert set(seen) == {subject}  # Flask tears a stream down twice
    seen.clear()
    assert client.get("/nowhere").status_code == 404
    assert set(seen) == {None}


def test_a_thread_that_a_view_starts_knows_the_caller_of_the_request_it_was_given() -> None:
    app = guarded_app()

    @app.route("/thread")
    @requires()
    def start() -> str:
        @copy_current_request_context
        def work() -> str:
            return current_identity.subject

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result()

    for subject in ("alice", "bob"):
        assert get(app.test_client(), "/thread", token_for(app, subject)).text == subject


# --- many at once --------------------------------------------------------------------------------


def bleeding_app(**config: Any) -> Flask:
    """Each view waits in its middle, so that callers overlap."""
    app = guarded_app(**config)

    @app.route("/who")
    @requires()
    def view() -> Any:
        before = who()
        time.sleep(random.random() / 500)
        return [before, who(), allowed("article:edit")]

    @app.route("/edit")
    @requires("article:edit")
    def edit() -> Any:
        time.sleep(random.random() / 1_000)
        return who()

    return app


def callers(app: Flask, count: int) -> dict[str, tuple[str, bool]]:
    """Subjects with their tokens; every second one is an editor."""
    return {
        f"user-{n}": (token_for(app, f"user-{n}", "editor" if n % 2 else "viewer"), bool(n % 2))
        for n in range(count)
    }


def mistakes_of(client: Any, subject: str, token: str, editor: bool) -> list[Any]:
    wrong: list[Any] = []
    found = get(client, "/who", token).get_json()
    if found != [same(subject), same(subject), editor]:
        wrong.append((subject, found))
    edited = get(client, "/edit", token)
    expected = (200, same(subject)) if editor else (403, None)
    answer = (edited.status_code, edited.get_json() if editor else None)
    if answer != expected:
        wrong.append((subject, answer))
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("cache_bytes", [24 * 2**20, 40_000, 0], ids=["cache", "small", "none"])
def test_sixteen_threads_see_each_their_own_identity(cache_bytes: int) -> None:
    """SECURITY 2.52, F14."""
    app = bleeding_app(AUTHZ_CACHE_BYTES=cache_bytes)
    known = callers(app, 40)
    start = threading.Barrier(16)

    def work(seed: int) -> list[Any]:
        client, order = app.test_client(), list(known.items())
        random.Random(seed).shuffle(order)
        start.wait()
        return [
            mistake
            for subject, (token, editor) in order[:20]
            for mistake in mistakes_of(client, subject, token, editor)
        ]

    with ThreadPoolExecutor(16) as pool:
        wrong = [mistake for found in pool.map(work, range(16)) for mistake in found]
    assert wrong == []


def test_the_thread_test_would_notice_an_identity_kept_in_one_place_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: what was found out is kept for the process, not for the request."""
    kept: dict[str, Any] = {}
    authenticate = authentication.Authenticator.authenticate

    def forgetful(self: Any, asking: Any, manager: Any) -> Any:
        last = kept.get("found")
        if last is not None and random.random() < 0.3:
            return last
        kept["found"] = authenticate(self, asking, manager)
        return kept["found"]

    monkeypatch.setattr(authentication.Authenticator, "authenticate", forgetful)
    app = bleeding_app()
    known = callers(app, 20)

    def work(item: Any) -> list[Any]:
        subject, (token, editor) = item
        return mistakes_of(app.test_client(), subject, token, editor)

    with ThreadPoolExecutor(16) as pool:
        wrong = [mistake for found in pool.map(work, known.items()) for mistake in found]
    assert wrong != []


@pytest.mark.long
def test_a_hundred_thousand_answers_carry_each_their_own_subject() -> None:
    """SECURITY F14."""
    app = bleeding_app()
    known = list(callers(app, 500).items())

    def work(seed: int) -> list[Any]:
        client, rng = app.test_client(), random.Random(seed)
        wrong: list[Any] = []
        for _ in range(100_000 // 16 // 2):
            subject, (token, editor) = rng.choice(known)
            wrong += mistakes_of(client, subject, token, editor)
        return wrong

    with ThreadPoolExecutor(16) as pool:
        wrong = [mistake for found in pool.map(work, range(16)) for mistake in found]
    assert wrong == []


@pytest.mark.long
def test_no_two_of_a_million_texts_share_a_place_in_the_cache() -> None:
    """SECURITY 1.20."""
    digests = {verification._digest(f"{number:x}.{number * 7919:x}.sig") for number in range(10**6)}
    assert len(digests) == 10**6


GREENLETS = """
import gevent.monkey
gevent.monkey.patch_all()
import random, sys, time
import gevent
from tests.authentication import test_authenticator as tests

app = tests.bleeding_app()
known = tests.callers(app, 200)

def work(item):
    subject, (token, editor) = item
    client = app.test_client()
    return [m for _ in range(2) for m in tests.mistakes_of(client, subject, token, editor)]

jobs = [gevent.spawn(work, item) for item in known.items()]
gevent.joinall(jobs, timeout=60, raise_error=True)
wrong = [mistake for job in jobs for mistake in job.value]
print(len(jobs), len(wrong), wrong[:3])
sys.exit(bool(wrong))
"""


@pytest.mark.slow
def test_two_hundred_greenlets_see_each_their_own_identity() -> None:
    """SECURITY 2.52, F14."""
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("200 0")


def test_two_hundred_tasks_see_each_their_own_identity() -> None:
    """Async views of one event loop, called as an ASGI server would: a task a request.

    SECURITY 2.52, F14.
    """
    app = guarded_app()
    known = callers(app, 200)

    async def one(subject: str, token: str, editor: bool) -> list[Any]:
        wrong: list[Any] = []
        with app.test_request_context("/who", headers=bearer(token)):
            await asyncio.sleep(random.random() / 100)
            before = (current_identity.subject, allowed("article:edit"))
            await asyncio.sleep(random.random() / 100)
            after = (get_jwt_identity(), allowed("article:edit"))
            if not before == after == (subject, editor):
                wrong.append((subject, before, after))
        return wrong

    async def all_of_them() -> list[Any]:
        tasks = [one(subject, token, editor) for subject, (token, editor) in known.items()]
        return [mistake for found in await asyncio.gather(*tasks) for mistake in found]

    assert asyncio.run(all_of_them()) == []


# --- two applications ----------------------------------------------------------------------------


def two_applications() -> dict[str, Flask]:
    """Other key, other issuer, other catalog; and one Authz shared by a third and a fourth."""
    apps = {}
    for name, secret, grants in (
        ("one", OTHER_SECRET, "article:read"),
        ("two", OTHER_SECRET[::-1], "article:edit"),
    ):
        app = bare_app(name=name, JWT_SECRET_KEY=secret, JWT_DECODE_ISSUER=f"https://{name}")
        app.config["JWT_ENCODE_ISSUER"] = f"https://{name}"
        Authz(app, roles=Roles(Role("clerk", grants), Role("all", "article:*")))
        app.add_url_rule("/", "view", requires()(who))
        app.add_url_rule("/edit", "edit", requires("article:edit")(who))
        apps[name] = app
    return apps


def test_two_applications_share_neither_keys_nor_catalog_nor_cache() -> None:
    apps = two_applications()
    tokens = {name: token_for(app, name, "clerk") for name, app in apps.items()}
    for _ in ("cold", "warm", "warm"):
        for mine, app in apps.items():
            for other, token in tokens.items():
                response = get(app.test_client(), "/", token)
                assert response.status_code == (200 if mine == other else 401)
    assert get(apps["one"].test_client(), "/edit", tokens["one"]).status_code == 403
    assert get(apps["two"].test_client(), "/edit", tokens["two"]).status_code == 200


def test_two_applications_with_one_key_and_two_issuers_share_no_token() -> None:
    """SECURITY 1.19."""
    apps = two_applications()
    for app in apps.values():
        app.config["JWT_SECRET_KEY"] = OTHER_SECRET
    tokens = {name: token_for(app, name, "clerk") for name, app in apps.items()}
    for _ in range(3):
        for mine, app in apps.items():
            found = {o: get(app.test_client(), "/", t).status_code for o, t in tokens.items()}
            assert found == {other: 200 if other == mine else 401 for other in tokens}


def test_one_authz_for_two_applications_keeps_their_tokens_apart() -> None:
    """SECURITY 1.19."""
    authz = Authz(roles=catalog())
    apps = {}
    for name, secret in (("one", OTHER_SECRET), ("two", OTHER_SECRET[::-1])):
        apps[name] = bare_app(name=name, JWT_SECRET_KEY=secret)
        authz.init_app(apps[name])
        apps[name].add_url_rule("/", "view", requires()(who))
    tokens = {name: token_for(app, name) for name, app in apps.items()}
    for _ in range(3):
        for mine, app in apps.items():
            found = {o: get(app.test_client(), "/", t).status_code for o, t in tokens.items()}
            assert found == {other: 200 if other == mine else 401 for other in tokens}


def test_the_test_of_two_applications_would_notice_a_cache_that_they_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: one cache for all, and a token of one passes in the other."""
    from jwt_authz.tokens.cache import VerifiedCache

    shared = VerifiedCache(2**20)
    monkeypatch.setattr(snapshot, "VerifiedCache", lambda limit: shared)
    apps = two_applications()
    token = token_for(apps["one"], "one", "clerk")
    assert get(apps["one"].test_client(), "/", token).status_code == 200
    assert get(apps["two"].test_client(), "/", token).status_code == 200


def test_a_request_to_one_application_inside_a_view_of_another_leaves_both_alone() -> None:
    apps = two_applications()
    inner = token_for(apps["two"], "bob", "clerk")

    @apps["one"].route("/outer")
    @requires()
    def outer() -> Any:
        inside = get(apps["two"].test_client(), "/", inner).get_json()
        return [who(), inside, who(), current_app.name]

    token = token_for(apps["one"], "alice", "clerk")
    found = get(apps["one"].test_client(), "/outer", token).get_json()
    assert found == [same("alice"), same("bob"), same("alice"), "one"]


def test_concurrent_first_calls_of_two_applications_give_each_its_own_verdict() -> None:
    """SECURITY 1.19, 2.52."""
    for _ in range(5):
        apps = two_applications()
        tokens = {name: token_for(app, name, "clerk") for name, app in apps.items()}
        start = threading.Barrier(16)

        def call(
            number: int,
            apps: dict[str, Flask] = apps,
            tokens: dict[str, str] = tokens,
            start: threading.Barrier = start,
        ) -> bool:
            mine, theirs = [("one", "two"), ("two", "one")][number % 2]
            token = tokens[mine if number % 4 < 2 else theirs]
            start.wait()
            status = get(apps[mine].test_client(), "/", token).status_code
            return status == (200 if number % 4 < 2 else 401)

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(call, range(16)))


# --- faults --------------------------------------------------------------------------------------


class Fault(Exception):
    """Something that nobody expected."""


FAULTS: dict[str, Callable[[Flask, Exception], Any]] = {
    "user lookup": lambda app, error: _manager(app).user_lookup_loader(_raising(error)),
    "blocklist": lambda app, error: _manager(app).token_in_blocklist_loader(_raising(error)),
    "verification": lambda app, error: _manager(app).token_verification_loader(_raising(error)),
    "key loader": lambda app, error: _manager(app).decode_key_loader(_raising(error)),
    "identity loader": lambda app, error: _authz(app).identity_loader(_raising_two(error)),
    "session loader": lambda app, error: _authz(app).identity_loader(_raising_none(error)),
}


def _manager(app: Flask) -> Any:
    return app.extensions["flask-jwt-extended"]


def _authz(app: Flask) -> Authz:
    return app.extensions["jwt_authz"]


def _raising(error: Exception) -> Callable[..., Any]:
    def callback(*arguments: Any) -> Any:
        raise error

    return callback


def _raising_two(error: Exception) -> Callable[[str, dict], Any]:
    def load(subject: str, claims: dict) -> Any:
        raise error

    return load


def _raising_none(error: Exception) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


ERRORS = [
    Fault("eyJ-secret"),
    KeyError("x"),
    TypeError("x"),
    ValueError("x"),
    RecursionError("x"),
    MemoryError("x"),
    TimeoutError("x"),
    StopIteration("x"),
    AttributeError("x"),
    InvalidToken("x"),
]


@pytest.mark.parametrize("where", FAULTS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_whatever_a_callback_raises_the_view_does_not_run(
    where: str, error: Exception, warm: bool
) -> None:
    """SECURITY 1.28, 2.49."""
    app = guarded_app()
    app.logger.disabled = True
    ran: list[str] = []

    def view() -> str:
        ran.append("view")
        return "in"

    def asks() -> tuple[str, int]:
        open_to = allowed()
        ran.append("asked")
        return ("in", 200) if open_to else ("out", 403)

    def negated() -> tuple[str, int]:
        closed = not allowed()
        ran.append("asked")
        return ("in", 200) if closed else ("out", 403)

    app.add_url_rule("/view", "view", requires()(view))
    app.add_url_rule("/optional", "optional", requires(optional=True)(view))
    app.add_url_rule("/asks", "asks", asks)
    app.add_url_rule("/negated", "negated", negated)
    client, token = app.test_client(), token_for(app)
    if warm:
        assert get(client, "/view", token).status_code == 200
        ran.clear()
    FAULTS[where](app, error)
    for path in ("/view", "/optional", "/asks"):
        assert get(client, path, token).status_code in (401, 403, 500, 503), path
    assert "view" not in ran
    ran.clear()
    # A token that is not good is False to `allowed`; any other error goes through.
    lookup = where == "key loader" and isinstance(error, LookupError)
    expected = 200 if isinstance(error, InvalidToken) or lookup else 500
    assert get(client, "/negated", token).status_code == expected
    assert get(client, "/view").status_code in (401, 500)


@pytest.mark.parametrize(
    "attribute",
    ["verify", "read"],
)
def test_a_crash_inside_the_verifier_lets_no_one_in(
    app: Flask, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    """SECURITY 1.28, 2.49."""
    app.logger.disabled = True
    monkeypatch.setattr(Verifier, attribute, _raising(Fault()))
    assert get(app.test_client(), "/", token_for(app)).status_code == 500


@pytest.mark.parametrize("attribute", ["get", "put"])
def test_a_crash_inside_the_cache_lets_no_one_in(
    app: Flask, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    """SECURITY 1.28, 2.49."""
    from jwt_authz.tokens.cache import VerifiedCache

    app.logger.disabled = True
    monkeypatch.setattr(VerifiedCache, attribute, _raising(Fault()))
    for token in (token_for(app), "x.y.z"):
        assert get(app.test_client(), "/", token).status_code in (401, 500)


def test_an_error_in_one_request_leaves_nothing_behind_for_the_next(app: Flask) -> None:
    app.logger.disabled = True
    failing = [True]

    @_manager(app).token_verification_loader
    def verify(header: dict, payload: dict) -> bool:
        if failing[0]:
            raise Fault
        return True

    alice, bob, client = token_for(app, "alice"), token_for(app, "bob"), app.test_client()
    assert get(client, "/who", alice).status_code == 500
    failing[0] = False
    assert get(client, "/who", bob).get_json() == same("bob")
    assert get(client, "/who").status_code == 401


def test_the_settings_of_each_algorithm_make_an_application_that_passes_its_own_check() -> None:
    for algorithm in ("HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"):
        app = Flask("checked")
        app.config.update(key_settings(algorithm))
        authz = Authz(app)
        with app.app_context():
            assert authz.check() == []


def test_the_request_is_looked_at_and_not_the_context_it_runs_in(app: Flask) -> None:
    """Two request contexts pushed one inside the other, and asked in turn."""
    alice, bob = token_for(app, "alice"), token_for(app, "bob")
    with app.test_request_context(headers=bearer(alice)):
        assert current_identity.subject == "alice"
        with app.test_request_context(headers=bearer(bob)):
            assert current_identity.subject == "bob"
            assert request.headers["Authorization"].endswith(bob)
        assert current_identity.subject == "alice"
        with app.test_request_context():
            assert not current_identity
        assert current_identity.subject == "alice"


@pytest.mark.parametrize("answer", [None, False, "", 0, {}, ()], ids=repr)
def test_an_identity_loader_that_answers_nobody_lets_nobody_in(answer: Any) -> None:
    app = guarded_app()
    app.extensions["jwt_authz"].identity_loader(lambda: answer)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    app.add_url_rule("/open", "open", requires(lambda identity: True)(lambda: "in"))
    assert app.test_client().get("/").status_code == 401
    assert app.test_client().get("/open").status_code == 401


def test_an_identity_loader_that_answers_later_is_reported_when_it_is_set() -> None:
    authz = guarded_app().extensions["jwt_authz"]

    async def later() -> None:
        return None

    def generating() -> Any:
        yield None

    for loader in (later, generating):
        with pytest.raises(MisuseError, match="is async or a generator"):
            authz.identity_loader(loader)


def test_a_coroutine_or_a_function_as_an_identity_lets_nobody_in() -> None:
    async def later() -> None:
        return None

    waiting: list[Any] = []

    def answer_later() -> Any:
        waiting.append(later())
        return waiting[-1]

    app = guarded_app()
    app.logger.disabled = True
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    for loader in (answer_later, lambda: later):
        app.extensions["jwt_authz"].identity_loader(loader)
        assert app.test_client().get("/").status_code == 500
    for coroutine in waiting:
        coroutine.close()
    with pytest.raises(MisuseError, match="Invalid identity"):
        requires(identity=later)


def test_a_verdict_of_another_application_is_not_believed() -> None:
    """Asked within the first's request, in the second's context: keys of its own, and answers.

    SECURITY 1.19.
    """
    one, other = guarded_app(), guarded_app(JWT_SECRET_KEY="o" * 64)

    @one.before_request
    def ask_the_other() -> None:
        with other.app_context():
            bool(current_identity)

    one.add_url_rule("/", "view", requires()(lambda: "in"))
    assert get(one.test_client(), "/", token_for(other)).status_code == 401
    assert get(one.test_client(), "/", token_for(one)).status_code == 200
