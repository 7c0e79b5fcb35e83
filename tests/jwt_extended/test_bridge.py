"""Beside Flask-JWT-Extended: its accessors, settings and callbacks mean what they always did."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import flask_jwt_extended as fje
import pytest
from flask import Flask, g, jsonify
from flask.testing import FlaskClient
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    current_user,
    get_current_user,
    get_jwt,
    get_jwt_header,
    get_jwt_identity,
    jwt_required,
)

from jwt_authz import Authz, MisuseError, Role, Roles, allowed, current_identity, requires
from jwt_authz.authentication import authenticator as authentication
from jwt_authz.authentication import snapshot, verification
from jwt_authz.jwt_extended import bridge as jwt_extended
from jwt_authz.jwt_extended.slots import SLOTS
from tests import hostile
from tests.edge import (
    ALGORITHMS,
    OTHER_SECRET,
    SECRET,
    TYPE,
    bare_app,
    catalog,
    claims_of,
    get,
    guarded_app,
    private_pem,
    public_pem,
    token_for,
    turn_clock,
)

pytestmark = pytest.mark.versions

USERS = {"alice": "Alice Adams", "bob": "Bob Brown"}


def accessors() -> Any:
    """What Flask-JWT-Extended's accessors say."""
    return jsonify(
        jwt=get_jwt(),
        identity=get_jwt_identity(),
        header=get_jwt_header(),
        user=get_current_user(),
        proxy=str(current_user),
    )


def look_up(manager: JWTManager) -> None:
    @manager.user_lookup_loader
    def find(header: dict, payload: dict) -> str | None:
        return USERS.get(payload["sub"])


def pair(algorithm: str = "HS256", **config: Any) -> tuple[FlaskClient, FlaskClient, Flask]:
    """A client of a view guarded here, one of a view guarded by FJE alone, and the first app."""
    ours, theirs = guarded_app(algorithm, **config), bare_app(algorithm, **config)
    JWTManager(theirs)
    for app, guard in ((ours, requires()), (theirs, jwt_required())):
        look_up(app.extensions["flask-jwt-extended"])
        app.add_url_rule("/seen", "seen", guard(accessors), methods=["GET", "POST"])
    return ours.test_client(), theirs.test_client(), ours


def manager_of(app: Flask) -> JWTManager:
    return app.extensions["flask-jwt-extended"]


@pytest.fixture
def app() -> Flask:
    made = guarded_app()
    made.add_url_rule("/", "view", requires()(lambda: "in"), methods=["GET", "POST"])
    return made


def status(app: Flask, token: str | None, path: str = "/") -> int:
    return get(app.test_client(), path, token).status_code


def refusal(app: Flask, token: str | None, path: str = "/") -> str:
    response = get(app.test_client(), path, token)
    assert response.status_code == 401, response.data
    return response.get_json()["type"].removeprefix(TYPE)


# --- the accessors -------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_accessors_tell_what_jwt_required_would_cold_and_warm(algorithm: str) -> None:
    ours, theirs, app = pair(algorithm)
    tokens = [
        token_for(app, "alice", "editor"),
        token_for(
            app, "bob", claims={"x": {"y": [1, 1.5, None, True, "é"]}, "aud": ["a", app.name]}
        ),
        token_for(app, "alice", fresh=True, additional_headers={"typ": "at+jwt", "x": [1]}),
        token_for(app, "alice", fresh=timedelta(minutes=5)),
        token_for(app, "bob", expires_delta=timedelta(seconds=90)),
    ]
    for token in tokens:
        expected = get(theirs, "/seen", token)
        assert expected.status_code == 200
        for _ in ("cold", "warm", "warm again"):
            assert get(ours, "/seen", token).get_json() == expected.get_json()


@pytest.mark.parametrize("missing", ["type", "fresh", "jti"])
def test_the_accessors_fill_in_what_jwt_required_fills_in(missing: str) -> None:
    ours, theirs, _ = pair()
    token = hostile.token(claims_of(**{missing: ...}))
    expected = get(theirs, "/seen", token).get_json()
    assert missing in expected["jwt"]
    for _ in ("cold", "warm"):
        assert get(ours, "/seen", token).get_json() == expected


def test_the_accessors_read_the_identity_claim_that_is_configured() -> None:
    ours, _, app = pair(JWT_IDENTITY_CLAIM="uid", JWT_VERIFY_SUB=False)
    manager_of(app).user_lookup_loader(lambda header, payload: USERS[payload["uid"]])
    token = hostile.token(claims_of("ignored", uid="alice"))
    found = get(ours, "/seen", token).get_json()
    assert (found["identity"], found["user"]) == ("alice", "Alice Adams")


def test_the_accessors_serve_a_guarded_block_and_a_question_too(app: Flask) -> None:
    @app.route("/block")
    def block() -> Any:
        with requires():
            return {"identity": get_jwt_identity()}

    @app.route("/asked")
    def asked() -> Any:
        return {"identity": get_jwt_identity() if allowed() else None}

    token = token_for(app)
    for path in ("/block", "/asked"):
        assert get(app.test_client(), path, token).get_json() == {"identity": "alice"}


def test_an_optional_guard_without_a_token_leaves_what_jwt_required_leaves() -> None:
    ours, theirs = guarded_app(), bare_app()
    JWTManager(theirs)

    def optional() -> Any:
        return {"jwt": get_jwt(), "header": get_jwt_header(), "identity": get_jwt_identity()}

    ours.add_url_rule("/", "view", requires(optional=True)(optional))
    theirs.add_url_rule("/", "view", jwt_required(optional=True)(optional))
    expected = {"jwt": {}, "header": {}, "identity": None}
    assert theirs.test_client().get("/").get_json() == expected
    assert ours.test_client().get("/").get_json() == expected


def test_current_user_is_none_without_a_token_and_an_error_without_a_look_up() -> None:
    app = guarded_app()

    @app.route("/")
    @requires(optional=True)
    def view() -> Any:
        return {"user": get_current_user()}

    assert app.test_client().get("/").get_json() == {"user": None}
    app.testing = True
    with pytest.raises(RuntimeError, match="user_lookup_loader"):
        get(app.test_client(), "/", token_for(app))


def test_what_a_view_does_to_its_claims_is_not_seen_by_the_next_request() -> None:
    app = guarded_app()

    @app.route("/")
    @requires()
    def view() -> Any:
        before = json.dumps([get_jwt(), get_jwt_header(), dict(current_identity.claims)])
        get_jwt()["roles"].append("admin")
        get_jwt()["new"] = 1
        get_jwt_header()["alg"] = "none"
        current_identity.claims["roles"].append("admin")
        return before

    client, token = app.test_client(), token_for(app, "alice", "viewer")
    answers = {get(client, "/", token).get_data(as_text=True) for _ in range(4)}
    assert len(answers) == 1
    assert "admin" not in answers.pop()


@pytest.mark.parametrize("whole", [json.dumps, dict, lambda claims: {**claims}, lambda c: c.copy()])
def test_the_claims_are_a_plain_dict_that_everything_can_read(whole: Callable[[Any], Any]) -> None:
    app = guarded_app()
    found: list[Any] = []

    @app.route("/")
    @requires()
    def view() -> str:
        found.append(whole(get_jwt()))
        return type(get_jwt()).__name__

    client, token = app.test_client(), token_for(app)
    for _ in ("cold", "warm"):
        assert get(client, "/", token).get_data(as_text=True) == "dict"
    assert found[0] == found[1]
    assert "alice" in str(found[0])


# --- the slots -----------------------------------------------------------------------------------


def test_the_slots_are_those_of_the_fje_that_is_installed() -> None:
    theirs = bare_app()
    look_up(JWTManager(theirs))
    slots: list[set[str]] = []

    @theirs.route("/")
    @jwt_required(optional=True)
    def view() -> str:
        slots.append({name for name in vars(g._get_current_object()) if "jwt" in name})
        return ""

    token = token_for(theirs)
    get(theirs.test_client(), "/", token)
    get(theirs.test_client(), "/")
    assert slots == [set(SLOTS)] * 2


def test_the_slots_are_filled_as_fje_fills_them() -> None:
    ours, theirs, app = pair()
    kept: list[dict[str, Any]] = []

    @app.after_request
    @theirs_app(theirs).after_request
    def keep(response: Any) -> Any:
        kept.append({name: vars(g._get_current_object()).get(name) for name in SLOTS})
        return response

    token = token_for(app)
    for client in (theirs, ours, ours):
        get(client, "/seen", token)
    assert kept[0] == kept[1] == kept[2]
    assert kept[0]["_jwt_extended_jwt_user"] == {"loaded_user": "Alice Adams"}


def theirs_app(client: FlaskClient) -> Any:
    return client.application


def test_each_setting_that_is_watched_is_one_of_fjes() -> None:
    app = bare_app()
    JWTManager(app)
    assert jwt_extended.read_deciding(app.config)


def test_each_callback_that_is_asked_exists_in_fje() -> None:
    manager = JWTManager(bare_app())
    for name in (
        "_token_in_blocklist_callback",
        "_token_verification_callback",
        "_user_lookup_callback",
        "_decode_key_callback",
        "_user_claims_callback",
        "_encode_jwt_from_config",
        "_decode_jwt_from_config",
    ):
        assert hasattr(manager, name), name
    assert callable(fje.view_decorators.verify_token_not_blocklisted)
    assert not jwt_extended.has_callbacks(manager)
    assert jwt_extended.key_loader(manager) is None


# --- user look-up, blocklist, verification -------------------------------------------------------


def test_a_user_look_up_that_finds_nobody_is_401_and_the_view_does_not_run(app: Flask) -> None:
    ran: list[str] = []
    app.add_url_rule("/runs", "runs", requires()(lambda: ran.append("view") or "in"))
    manager_of(app).user_lookup_loader(lambda header, payload: USERS.get(payload["sub"]))
    assert refusal(app, token_for(app, "nobody"), "/runs") == "subject-unknown"
    assert ran == []
    assert status(app, token_for(app, "alice"), "/runs") == 200


def test_a_user_who_goes_away_is_refused_though_their_token_is_cached(app: Flask) -> None:
    users = dict(USERS)
    manager_of(app).user_lookup_loader(lambda header, payload: users.get(payload["sub"]))
    token = token_for(app)
    assert [status(app, token) for _ in range(2)] == [200, 200]
    del users["alice"]
    assert refusal(app, token) == "subject-unknown"
    users["alice"] = "back"
    assert status(app, token) == 200


@pytest.mark.parametrize("user", [0, "", False, [], {}], ids=repr)
def test_a_user_who_is_falsy_is_a_user_all_the_same(user: Any) -> None:
    ours, theirs, app = pair()
    for client in (ours, theirs):
        manager_of(client.application).user_lookup_loader(lambda header, payload: user)
        found = get(client, "/seen", token_for(app)).get_json()
        assert found["user"] == user


def test_a_token_on_the_blocklist_is_refused_though_it_is_cached(app: Flask) -> None:
    blocked: set[str] = set()
    manager_of(app).token_in_blocklist_loader(lambda header, payload: payload["jti"] in blocked)
    token, other = token_for(app, "alice"), token_for(app, "bob")
    assert [status(app, token) for _ in range(3)] == [200, 200, 200]
    blocked.add(fje_claims(app, token)["jti"])
    assert refusal(app, token) == "token-revoked"
    assert status(app, other) == 200
    blocked.clear()
    assert status(app, token) == 200


def fje_claims(app: Flask, token: str) -> dict[str, Any]:
    with app.app_context():
        return fje.decode_token(token)


def test_the_blocklist_test_would_notice_a_cache_in_front_of_the_callbacks(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: with the callbacks left out, the blocked token passes."""
    monkeypatch.setattr(authentication, "has_callbacks", lambda manager: False)
    manager_of(app).token_in_blocklist_loader(lambda header, payload: True)
    assert status(app, token_for(app)) == 200


def test_a_token_that_the_application_does_not_verify_is_refused_though_it_is_cached(
    app: Flask,
) -> None:
    wanted = {"alice"}
    manager_of(app).token_verification_loader(lambda header, payload: payload["sub"] in wanted)
    token = token_for(app)
    assert [status(app, token) for _ in range(2)] == [200, 200]
    wanted.clear()
    assert refusal(app, token) == "claim-invalid"


def test_the_callbacks_are_asked_in_fjes_order_with_header_and_payload() -> None:
    ours, theirs, app = pair()
    asked: list[tuple[str, Any, Any]] = []

    def note(name: str, answer: Any) -> Callable[[dict, dict], Any]:
        def callback(header: dict, payload: dict) -> Any:
            asked.append((name, dict(header), dict(payload)))
            return answer

        return callback

    for client in (theirs, ours):
        manager = manager_of(client.application)
        manager.token_in_blocklist_loader(note("blocklist", False))
        manager.token_verification_loader(note("verification", True))
        manager.user_lookup_loader(note("user", "anyone"))
    token = token_for(app)
    for client in (theirs, ours, ours):
        get(client, "/seen", token)
    assert asked[0:3] == asked[3:6] == asked[6:9]
    assert [name for name, *_ in asked[0:3]] == ["blocklist", "verification", "user"]


def test_each_callback_is_asked_once_a_request_however_often_the_guard_asks(app: Flask) -> None:
    asked: list[str] = []
    manager = manager_of(app)
    manager.user_lookup_loader(lambda header, payload: asked.append("user") or "x")
    manager.token_in_blocklist_loader(lambda header, payload: asked.append("blocklist"))

    @app.route("/often")
    @requires()
    @requires()
    def often() -> str:
        with requires():
            return str(allowed() and bool(current_identity))

    token = token_for(app)
    for _ in ("cold", "warm"):
        asked.clear()
        assert get(app.test_client(), "/often", token).get_data(as_text=True) == "True"
        assert sorted(asked) == ["blocklist", "user"]


@pytest.mark.parametrize("location", ["cookies", "query_string", "json"])
def test_each_callback_is_asked_once_a_request_in_every_location(location: str) -> None:
    app = guarded_app(JWT_TOKEN_LOCATION=[location], JWT_COOKIE_CSRF_PROTECT=False)
    app.add_url_rule("/", "view", requires()(lambda: "in"), methods=["GET", "POST"])
    asked: list[str] = []
    manager_of(app).user_lookup_loader(lambda header, payload: asked.append("user") or "x")
    token, client = token_for(app), app.test_client()
    client.set_cookie("access_token_cookie", token)
    response = client.post("/", query_string={"jwt": token}, json={"access_token": token})
    assert (response.status_code, asked) == (200, ["user"])


def test_a_callback_sees_a_payload_of_its_own_and_not_the_cached_one(app: Flask) -> None:
    seen: list[Any] = []

    @manager_of(app).token_verification_loader
    def spoil(header: dict, payload: dict) -> bool:
        seen.append(sorted(payload["roles"]))
        payload["roles"].append("admin")
        return True

    token = token_for(app, "alice", "viewer")
    for _ in range(3):
        assert status(app, token) == 200
    assert seen == [["viewer"]] * 3


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_loader_is_asked_on_every_request_and_its_answer_counts_at_once(app: Flask) -> None:
    key, asked = [app.config["JWT_SECRET_KEY"]], []

    @manager_of(app).decode_key_loader
    def load(header: dict, payload: dict) -> str:
        asked.append((header["alg"], payload["sub"]))
        return key[0]

    token, other = token_for(app), hostile.token(secret=OTHER_SECRET)
    assert [status(app, token), status(app, token), status(app, other)] == [200, 200, 401]
    assert len(asked) == 3
    key[0] = OTHER_SECRET
    assert [status(app, token), status(app, token), status(app, other)] == [401, 401, 200]
    key[0] = app.config["JWT_SECRET_KEY"]
    assert [status(app, token), status(app, other)] == [200, 401]
    assert asked[0] == ("HS256", "alice")


def test_the_key_loader_test_would_notice_a_cache_that_forgets_the_key(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the loaded key in the cache's key, the old token passes."""
    digest = verification._digest
    secrets = (app.config["JWT_SECRET_KEY"], OTHER_SECRET)
    monkeypatch.setattr(
        verification, "_digest", lambda text: b"" if text in secrets else digest(text)
    )
    key = [app.config["JWT_SECRET_KEY"]]
    manager_of(app).decode_key_loader(lambda header, payload: key[0])
    token = token_for(app)
    assert status(app, token) == 200
    key[0] = OTHER_SECRET
    assert status(app, token) == 200


def test_a_key_loader_that_comes_or_goes_counts_at_once(app: Flask) -> None:
    token, other, manager = token_for(app), hostile.token(secret=OTHER_SECRET), manager_of(app)
    default = manager._decode_key_callback
    assert [status(app, token), status(app, other)] == [200, 401]
    manager.decode_key_loader(lambda header, payload: OTHER_SECRET)
    assert [status(app, token), status(app, other)] == [401, 200]
    manager.decode_key_loader(default)
    assert [status(app, token), status(app, other)] == [200, 401]


def test_a_key_loader_may_tell_keys_apart_by_kid(app: Flask) -> None:
    keys = {"2023": app.config["JWT_SECRET_KEY"], "2024": OTHER_SECRET}
    manager_of(app).decode_key_loader(lambda header, payload: keys[header.get("kid")])
    with_kid = {
        kid: hostile.token(header=hostile.header_of(kid=kid), secret=secret)
        for kid, secret in keys.items()
    }
    for _ in ("cold", "warm"):
        assert [status(app, token) for token in with_kid.values()] == [200, 200]
    swapped = hostile.token(header=hostile.header_of(kid="2023"), secret=OTHER_SECRET)
    assert refusal(app, swapped) == "signature-invalid"
    unknown = hostile.token(header=hostile.header_of(kid="1999"))
    assert refusal(app, unknown) == "key-unknown"
    del keys["2023"]
    assert refusal(app, with_kid["2023"]) == "key-unknown"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_loader_may_answer_a_public_key_as_text_or_object(algorithm: str) -> None:
    app = guarded_app(algorithm)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    text = public_pem(algorithm)
    key = hostile.private_key(algorithm).public_key()
    token = token_for(app)
    stranger = hostile.signed_by(algorithm, hostile.private_key(algorithm, 1))
    for answer in (text, text.encode(), key):
        manager_of(app).decode_key_loader(lambda header, payload, key=answer: key)
        assert [status(app, token) for _ in range(2)] == [200, 200]
        assert status(app, stranger) == 401


def test_tokens_are_signed_with_the_key_that_the_application_loads(app: Flask) -> None:
    manager_of(app).encode_key_loader(lambda identity: OTHER_SECRET)
    token = token_for(app)
    assert refusal(app, token) == "signature-invalid"
    manager_of(app).decode_key_loader(lambda header, payload: OTHER_SECRET)
    assert status(app, token) == 200


@pytest.mark.parametrize(
    "algorithm", ["HS384", "HS512", "RS512", "PS256", "ES384", "ES256K", "Ed25519", "Ed448"]
)
def test_the_other_algorithms_work_too(algorithm: str) -> None:
    ours, theirs, app = pair(algorithm)
    token = token_for(app)
    for _ in ("cold", "warm"):
        assert get(ours, "/seen", token).get_json() == get(theirs, "/seen", token).get_json()


def test_the_private_key_alone_verifies_its_own_tokens() -> None:
    app = bare_app("ES256", JWT_PUBLIC_KEY=None)
    Authz(app)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    assert status(app, token_for(app)) == 200
    assert status(app, hostile.signed_by("ES256", hostile.private_key("ES256", 1))) == 401


# --- settings that change while the application runs ---------------------------------------------


def test_a_changed_secret_counts_at_once_and_a_changed_back_one_too(app: Flask) -> None:
    secret, token = app.config["JWT_SECRET_KEY"], token_for(app)
    assert [status(app, token) for _ in range(2)] == [200, 200]
    app.config["JWT_SECRET_KEY"] = OTHER_SECRET
    assert refusal(app, token) == "signature-invalid"
    assert status(app, token_for(app)) == 200
    app.config["JWT_SECRET_KEY"] = secret
    assert status(app, token) == 200


def test_the_secret_test_would_notice_an_authenticator_that_outlives_its_settings(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: where settings are not compared, the old token still passes."""
    token = token_for(app)
    assert status(app, token) == 200
    kept = jwt_extended.read_deciding(app.config)
    monkeypatch.setattr(snapshot, "read_deciding", lambda config: kept)
    app.config["JWT_SECRET_KEY"] = OTHER_SECRET
    assert status(app, token) == 200


def test_a_secret_that_changes_under_load_is_never_mixed_up(app: Flask) -> None:
    """While it changes either answer will do; once it stands still only one is right."""
    secrets = (SECRET, OTHER_SECRET)
    tokens = [hostile.token(secret=secret) for secret in secrets]
    stop, answers = threading.Event(), set()

    def ask() -> None:
        client = app.test_client()
        while not stop.is_set():
            answers.update(get(client, "/", token).status_code for token in tokens)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(60):
            app.config["JWT_SECRET_KEY"] = secrets[turn % 2]
            time.sleep(0.002)
            if turn % 10 < 2:
                found = [status(app, token) for token in tokens]
                assert found == ([200, 401] if turn % 2 == 0 else [401, 200])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert answers == {200, 401}


def test_flasks_own_secret_counts_where_jwt_has_none() -> None:
    app = Flask("edge")
    app.config["SECRET_KEY"] = OTHER_SECRET
    Authz(app)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    token = token_for(app)
    assert [status(app, token) for _ in range(2)] == [200, 200]
    app.config["SECRET_KEY"] = OTHER_SECRET[::-1]
    assert status(app, token) == 401


def test_a_changed_leeway_counts_at_once_in_both_directions(app: Flask) -> None:
    now = int(time.time())
    token = hostile.token(claims_of(exp=now - 5))
    assert refusal(app, token) == "token-expired"
    app.config["JWT_DECODE_LEEWAY"] = 60
    assert [status(app, token) for _ in range(2)] == [200, 200]
    app.config["JWT_DECODE_LEEWAY"] = timedelta(seconds=60)
    assert status(app, token) == 200
    app.config["JWT_DECODE_LEEWAY"] = 0
    assert refusal(app, token) == "token-expired"


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_a_changed_audience_counts_at_once_also_when_changed_in_place(
    app: Flask, kind: type
) -> None:
    token = hostile.token(claims_of(aud="ours"))
    app.config["JWT_DECODE_AUDIENCE"] = "ours"
    assert status(app, token) == 200
    app.config["JWT_DECODE_AUDIENCE"] = "another"
    assert refusal(app, token) == "audience-invalid"
    several = kind(["another", "ours"])
    app.config["JWT_DECODE_AUDIENCE"] = several
    assert [status(app, token) for _ in range(2)] == [200, 200]
    if kind is tuple:
        app.config["JWT_DECODE_AUDIENCE"] = ("another",)
    else:
        several.remove("ours")
    assert refusal(app, token) == "audience-invalid"


def test_a_changed_issuer_or_audience_of_own_tokens_counts_at_once(app: Flask) -> None:
    token = hostile.token(claims_of(iss="edge", aud="edge"))
    for name in ("JWT_ENCODE_ISSUER", "JWT_ENCODE_AUDIENCE"):
        assert [status(app, token) for _ in range(2)] == [200, 200]
        app.config[name] = "another"
        assert refusal(app, token).endswith("-invalid")
        app.config[name] = None


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_a_changed_issuer_counts_at_once_also_when_changed_in_place(app: Flask, kind: type) -> None:
    token = hostile.token(claims_of(iss="us"))
    several = kind(["them", "us"])
    app.config["JWT_DECODE_ISSUER"] = several
    assert [status(app, token) for _ in range(2)] == [200, 200]
    if kind is tuple:
        app.config["JWT_DECODE_ISSUER"] = ("them",)
    else:
        several.remove("us")
    assert refusal(app, token) == "issuer-invalid"


def test_a_changed_algorithm_counts_at_once(app: Flask) -> None:
    token = hostile.token()
    longer = hostile.token(header=hostile.header_of(alg="HS512"), hashed="sha512")
    assert [status(app, token), status(app, longer)] == [200, 401]
    app.config["JWT_DECODE_ALGORITHMS"] = ["HS256", "HS512"]
    assert [status(app, token), status(app, longer)] == [200, 200]
    app.config["JWT_DECODE_ALGORITHMS"].remove("HS512")
    assert [status(app, token), status(app, longer)] == [200, 401]
    app.config.update(JWT_ALGORITHM="HS512", JWT_DECODE_ALGORITHMS=None)
    assert [status(app, token), status(app, longer)] == [401, 200]


@pytest.mark.parametrize(
    ("setting", "value", "header"),
    [
        ("JWT_HEADER_TYPE", "Token", "Token {}"),
        ("JWT_HEADER_TYPE", "", "{}"),
        ("JWT_HEADER_TYPE", "JWT", "jwt {}"),
    ],
)
def test_a_changed_scheme_counts_at_once(app: Flask, setting: str, value: str, header: str) -> None:
    token = token_for(app)
    assert status(app, token) == 200
    app.config[setting] = value
    client = app.test_client()
    found = client.get("/", headers={"Authorization": header.format(token)})
    assert found.status_code == 200
    assert get(client, "/", token).status_code == 401


def test_a_changed_header_counts_at_once_and_the_old_one_no_more(app: Flask) -> None:
    token, client = token_for(app), app.test_client()
    assert get(client, "/", token).status_code == 200
    app.config["JWT_HEADER_NAME"] = "X-Token"
    assert get(client, "/", token).status_code == 401
    assert client.get("/", headers={"X-Token": f"Bearer {token}"}).status_code == 200


def test_a_changed_identity_claim_counts_at_once(app: Flask) -> None:
    app.add_url_rule("/who", "who", requires()(lambda: current_identity.subject))
    token = hostile.token(claims_of("alice", uid="bob"))
    client = app.test_client()
    assert get(client, "/who", token).get_data(as_text=True) == "alice"
    app.config["JWT_IDENTITY_CLAIM"] = "uid"
    assert get(client, "/who", token).get_data(as_text=True) == "bob"


# --- a later JWTManager --------------------------------------------------------------------------


def test_a_later_manager_replaces_the_earlier_one(app: Flask) -> None:
    token = token_for(app)
    manager_of(app).user_lookup_loader(lambda header, payload: None)
    assert status(app, token) == 401
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "_got_first_request", False)  # Flask refuses late error handlers
        later = JWTManager(app)
    assert status(app, token) == 200
    later.token_in_blocklist_loader(lambda header, payload: True)
    assert refusal(app, token) == "token-revoked"


def test_a_manager_made_before_or_after_the_authz_makes_tokens_with_permissions() -> None:
    for order in ("before", "after"):
        app = bare_app()
        if order == "before":
            JWTManager(app)
        Authz(app, roles=catalog())
        if order == "after":
            JWTManager(app)
        claims = fje_claims(app, token_for(app, "alice", "viewer"))
        assert claims.get("permissions") == ["article:read"], order


def test_one_manager_for_two_applications_completes_tokens_by_each_ones_catalog() -> None:
    manager = JWTManager()
    found = {}
    for name in ("one", "two"):
        app = bare_app(name=name)
        manager.init_app(app)
        Authz(app, roles=Roles(Role("viewer", f"{name}:read")))
        found[name] = app
    for name, app in found.items():
        claims = fje_claims(app, token_for(app, "alice", "viewer"))
        assert claims["permissions"] == [f"{name}:read"]


# --- plain tokens of FJE's own making ------------------------------------------------------------


def test_a_plain_access_token_carries_the_permissions_of_its_roles(app: Flask) -> None:
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "edited"))
    assert status(app, token_for(app, "alice", "editor"), "/edit") == 200
    assert get(app.test_client(), "/edit", token_for(app, "bob", "viewer")).status_code == 403
    claims = fje_claims(app, token_for(app, "alice", "editor"))
    assert claims["permissions"] == ["article:edit", "article:read", "report:read"]


def test_permissions_that_are_given_are_left_as_they_are(app: Flask) -> None:
    given = {"permissions": ["article:delete"]}
    claims = fje_claims(app, token_for(app, "alice", "viewer", claims=given))
    assert claims["permissions"] == ["article:delete"]


def test_the_encoding_roles_writes_no_permissions() -> None:
    app = guarded_app(AUTHZ_ENCODING="roles")
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "edited"))
    token = token_for(app, "alice", "editor")
    assert "permissions" not in fje_claims(app, token)
    assert status(app, token) == 200


def test_a_token_that_would_be_too_long_is_a_misuse_that_names_the_way_out() -> None:
    app = guarded_app(AUTHZ_MAX_TOKEN_BYTES=300)
    with pytest.raises(MisuseError, match="AUTHZ_MAX_TOKEN_BYTES is 300"):
        token_for(app, "alice", "editor", claims={"x": "x" * 300})


def test_a_refresh_token_is_left_alone_and_is_not_an_access_token(app: Flask) -> None:
    with app.app_context():
        token = create_refresh_token("alice", additional_claims={"roles": ["viewer"]})
    assert "permissions" not in fje_claims(app, token)
    assert refusal(app, token) == "kind-invalid"


def test_the_additional_claims_and_headers_loaders_are_honoured(app: Flask) -> None:
    manager = manager_of(app)
    manager.additional_claims_loader(lambda identity: {"roles": ["editor"], "x": identity})
    manager.additional_headers_loader(lambda identity: {"typ": "at+jwt"})
    with app.app_context():
        token = create_access_token("alice")
        header = fje.utils.get_unverified_jwt_headers(token)
    claims = fje_claims(app, token)
    assert claims["roles"] == ["editor"]
    assert claims["permissions"] == ["article:edit", "article:read", "report:read"]
    assert (claims["x"], header["typ"]) == ("alice", "at+jwt")
    assert status(app, token) == 200


def test_an_application_without_an_authz_makes_its_tokens_as_before() -> None:
    guarded_app()  # that there is one elsewhere changes nothing
    app = bare_app(JWT_ACCESS_TOKEN_EXPIRES=False)
    asked: list[Any] = []
    manager = JWTManager(app)
    manager.additional_claims_loader(lambda identity: asked.append(identity) or {"x": 1})
    claims = fje_claims(app, token_for(app, 7 * "a", "viewer", claims={"y": "y" * 9_000}))
    assert claims["roles"] == ["viewer"]
    assert "permissions" not in claims
    assert "exp" not in claims
    assert (claims["x"], len(claims["y"]), asked) == (1, 9_000, ["aaaaaaa"])


def test_the_additional_claims_loader_is_asked_once_a_token(app: Flask) -> None:
    asked: list[Any] = []
    manager_of(app).additional_claims_loader(lambda identity: asked.append(identity) or {})
    with app.app_context():
        create_access_token("alice")
    assert asked == ["alice"]


def test_claims_that_the_caller_passes_are_not_changed_by_making_a_token(app: Flask) -> None:
    claims = {"roles": ["viewer"]}
    with app.app_context():
        create_access_token("alice", additional_claims=claims)
    assert claims == {"roles": ["viewer"]}


# --- optional, fresh, stacked --------------------------------------------------------------------


@pytest.fixture
def both() -> Iterator[dict[str, FlaskClient]]:
    """The same routes guarded here and by FJE."""
    made = {}
    for name, guard, build in (
        ("ours", requires, guarded_app),
        ("theirs", jwt_required, bare_app),
    ):
        app = build()
        if name == "theirs":
            JWTManager(app)
        app.add_url_rule("/optional", "optional", guard(optional=True)(lambda: "in"))
        app.add_url_rule("/fresh", "fresh", guard(fresh=True)(lambda: "in"))
        made[name] = app.test_client()
    yield made


def test_fresh_means_what_it_means_to_fje(both: dict[str, FlaskClient]) -> None:
    app, now = both["ours"].application, time.time()
    good = {
        "true": token_for(app, fresh=True),
        "for a while": token_for(app, fresh=timedelta(minutes=5)),
        "a time ahead": hostile.token(claims_of(fresh=now + 60)),
    }
    bad = {
        "false": token_for(app, fresh=False),
        "no more": token_for(app, fresh=timedelta(minutes=-5)),
        "absent": hostile.token(claims_of(fresh=...)),
        "a time past": hostile.token(claims_of(fresh=int(now) - 1)),
        "one": hostile.token(claims_of(fresh=1)),
        "zero": hostile.token(claims_of(fresh=0)),
    }
    for client in both.values():
        for _ in ("cold", "warm"):
            assert {
                n: get(client, "/fresh", t).status_code for n, t in good.items()
            } == dict.fromkeys(good, 200)
            assert {
                n: get(client, "/fresh", t).status_code for n, t in bad.items()
            } == dict.fromkeys(bad, 401)


def test_a_token_that_is_not_fresh_is_answered_with_log_in_again(
    both: dict[str, FlaskClient],
) -> None:
    app = both["ours"].application
    response = get(both["ours"], "/fresh", token_for(app))
    assert response.get_json()["type"] == f"{TYPE}token-not-fresh"
    assert 'error="insufficient_user_authentication"' in response.headers["WWW-Authenticate"]


def test_freshness_runs_out_though_the_token_is_cached(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.add_url_rule("/fresh", "fresh", requires(fresh=True)(lambda: "in"))
    token = token_for(app, fresh=timedelta(minutes=5))
    assert [status(app, token, "/fresh") for _ in range(2)] == [200, 200]
    turn_clock(monkeypatch, 301)
    assert refusal(app, token, "/fresh") == "token-not-fresh"
    assert status(app, token) == 200


@pytest.mark.parametrize(
    "attempt",
    [a for a in hostile.ATTEMPTS if a.target == "HS256" and a.name.startswith("the header is")],
    ids=str,
)
def test_an_optional_guard_refuses_what_fje_refuses(
    attempt: hostile.Attempt, both: dict[str, FlaskClient]
) -> None:
    sent = attempt.build()
    theirs = sent.to(both["theirs"], "/optional").status_code
    ours = sent.to(both["ours"], "/optional").status_code
    assert ours in (200, 401)
    if theirs in (401, 422):  # a 500 does not count
        assert ours == 401


def test_an_optional_guard_refuses_every_token_of_the_hostile_table(
    both: dict[str, FlaskClient],
) -> None:
    """SECURITY 1.17."""
    passed = []
    for attempt in hostile.ATTEMPTS:
        sent = attempt.build()
        if attempt.target != "HS256" or not (sent.token or "").strip():
            continue
        if sent.to(both["ours"], "/optional").status_code != 401:
            passed.append(attempt.name)
    assert passed == []


STACKS: dict[str, Callable[[Callable[[], Any]], Callable[[], Any]]] = {
    "requires outside": lambda view: requires("article:read")(jwt_required()(view)),
    "jwt_required outside": lambda view: jwt_required()(requires("article:read")(view)),
    "both twice": lambda view: requires()(
        jwt_required()(requires("article:read")(jwt_required()(view)))
    ),
}


@pytest.mark.parametrize("stack", STACKS)
def test_requires_and_jwt_required_work_together_in_any_order(stack: str) -> None:
    ours, _, app = pair()
    manager_of(app).user_lookup_loader(lambda header, payload: USERS.get(payload["sub"]))
    app.add_url_rule("/stacked", "stacked", STACKS[stack](accessors))
    viewer, nobody = token_for(app, "alice", "viewer"), token_for(app, "bob")
    expected = get(ours, "/seen", viewer).get_json()
    for _ in ("cold", "warm"):
        assert get(ours, "/stacked", viewer).get_json() == expected
        assert get(ours, "/stacked", nobody).status_code == 403
        assert get(ours, "/stacked").status_code == 401


def test_fjes_error_loaders_are_not_asked_in_a_guarded_view(app: Flask) -> None:
    def never(*arguments: Any) -> Any:
        raise AssertionError("an error loader was asked")

    manager = manager_of(app)
    manager.expired_token_loader(never)
    manager.invalid_token_loader(never)
    manager.unauthorized_loader(never)
    manager.revoked_token_loader(never)
    manager.user_lookup_error_loader(never)
    manager.needs_fresh_token_loader(never)
    expired = hostile.token(claims_of(exp=1))
    assert refusal(app, expired) == "token-expired"
    assert refusal(app, None) == "token-missing"
    assert refusal(app, "x.y.z") == "token-malformed"


def test_a_private_key_alone_never_verifies_by_hmac() -> None:
    """The PEM text of the private key is not a secret either."""
    app = guarded_app("RS256")
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    for secret in (private_pem("RS256"), public_pem("RS256")):
        for named in ("HS256", "RS256"):
            forged = hostile.token(header=hostile.header_of(alg=named), secret=secret)
            assert status(app, forged) == 401
