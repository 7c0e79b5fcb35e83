"""The table of hostile tokens and headers against the guard, and against Flask-JWT-Extended."""

# ruff: noqa: RUF001 letters that look like others are what some names are made of

from __future__ import annotations

import hashlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, jwt_required
from jwt import InvalidKeyError
from jwt.algorithms import get_default_algorithms
from werkzeug.test import TestResponse

from jwt_authz import Authz, requires
from jwt_authz.authentication import verification
from tests import hostile
from tests.edge import (
    PROBLEM,
    TYPE,
    catalog,
    claims_of,
    get,
    key_settings,
    private_key,
    public_pem,
)
from tests.hostile import ATTEMPTS, GOOD, KINDER, STRICTER, TARGETS, Attempt, Sent

SLOWEST = 0.005
"""Seconds that our code may take for one refusal, also of a header of a megabyte."""


def guarded(target: str, **config: object) -> Flask:
    """The application that is attacked."""
    app = Flask("target")
    app.config.update(TARGETS[target], **config)
    Authz(app, roles=catalog())

    @app.route("/open-to-any", methods=["GET", "POST"])
    @requires()
    def open_to_any() -> str:
        return "in"

    @app.route("/under-jwt-required", methods=["GET", "POST"])
    @jwt_required()
    def under_jwt_required() -> str:
        return "in"

    @app.route("/bare", methods=["GET", "POST"])
    def bare() -> str:
        return "in"

    return app


def by_fje(target: str) -> Flask:
    """The same application as Flask-JWT-Extended alone would guard it."""
    app = Flask("theirs")
    app.config.update(TARGETS[target])
    JWTManager(app)

    @app.route("/open-to-any", methods=["GET", "POST"])
    @jwt_required()
    def open_to_any() -> str:
        return "in"

    return app


Clients = Callable[[str, str], FlaskClient]


@pytest.fixture(scope="module")
def client_of() -> Clients:
    """A client for a target: `cold` knows no token, `warm` a good one, `uncached` keeps none."""
    made: dict[tuple[str, str], FlaskClient] = {}

    def client(target: str, state: str) -> FlaskClient:
        if (target, state) not in made:
            options = {"AUTHZ_CACHE_BYTES": 0} if state == "uncached" else {}
            made[target, state] = guarded(target, **options).test_client(use_cookies=False)
            if state != "cold":
                good = hostile.good_token(target)
                for _ in range(2):
                    assert get(made[target, state], "/open-to-any", good).status_code == 200
        return made[target, state]

    return client


STATES = ("cold", "warm", "uncached")


def verdict(response: TestResponse) -> tuple[int, str | None]:
    body = response.get_json(silent=True) or {}
    return response.status_code, body.get("type")


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_a_hostile_request_is_answered_401_whatever_is_cached(
    attempt: Attempt, client_of: Clients
) -> None:
    """SECURITY 1.18."""
    sent = attempt.build()
    verdicts = set()
    for state in STATES:
        response = sent.to(client_of(attempt.target, state))
        assert response.status_code == 401, f"{state}: {response.get_data(as_text=True)[:300]}"
        assert response.mimetype == PROBLEM
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="api"')
        assert "Authorization" in response.vary
        verdicts.add(verdict(response))
    assert len(verdicts) == 1, "the answer depends on the cache"


def test_no_two_attempts_have_one_name() -> None:
    names = [str(attempt) for attempt in ATTEMPTS + GOOD]
    assert len(names) == len(set(names))


def test_a_good_token_passes_before_and_after_all_hostile_ones(client_of: Clients) -> None:
    for target in TARGETS:
        client, good = client_of(target, "warm"), hostile.good_token(target)
        assert get(client, "/open-to-any", good).status_code == 200
        for attempt in ATTEMPTS:
            if attempt.target == target and attempt.name.startswith(("alg ", "kid ", "crit ")):
                attempt.build().to(client)
        assert get(client, "/open-to-any", good).status_code == 200


@pytest.mark.parametrize("attempt", GOOD, ids=str)
def test_a_good_request_is_answered_200_whatever_is_cached(
    attempt: Attempt, client_of: Clients
) -> None:
    sent = attempt.build()
    for state in STATES:
        for again in range(3):
            response = sent.to(client_of(attempt.target, state))
            assert response.status_code == 200, (state, again, response.get_json())


@pytest.mark.parametrize(
    "attempt", [a for a in ATTEMPTS if a.stricter in ("origin", "kind")], ids=str
)
def test_jwt_required_refuses_another_issuer_audience_or_kind_as_a_guard_does(
    attempt: Attempt, client_of: Clients
) -> None:
    response = attempt.build().to(client_of(attempt.target, "warm"), "/under-jwt-required")
    assert response.status_code == 422


@pytest.mark.parametrize("attempt", [a for a in GOOD if not a.kinder], ids=str)
def test_jwt_required_accepts_what_a_guard_accepts(attempt: Attempt, client_of: Clients) -> None:
    response = attempt.build().to(client_of(attempt.target, "warm"), "/under-jwt-required")
    assert response.status_code == 200, response.get_json()


@pytest.mark.slow
def test_the_same_message_never_tells_the_token_back(client_of: Clients) -> None:
    for attempt in ATTEMPTS:
        sent = attempt.build()
        value = sent.token or sent.authorization or ""
        if 40 < len(value) < 5_000:
            body = sent.to(client_of(attempt.target, "cold")).get_data(as_text=True)
            assert value not in body
            assert not any(len(part) > 20 and part in body for part in value.split("."))


# --- how long it takes ---------------------------------------------------------------------------


def seconds(sent: Sent, client: FlaskClient, path: str, times: int = 9) -> float:
    """The quickest of some runs: what the code costs, and not what the machine was doing."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        sent.to(client, path)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.long
def test_no_refusal_takes_longer_than_the_bound(client_of: Clients) -> None:
    """SECURITY 1.9, 2.53, F12."""
    slow = {}
    for attempt in ATTEMPTS:
        sent, client = attempt.build(), client_of(attempt.target, "warm")
        if seconds(sent, client, "/open-to-any", 1) < SLOWEST:
            continue
        # A bare view shows what the client and Flask take of it.
        spent = seconds(sent, client, "/open-to-any") - seconds(sent, client, "/bare")
        if spent > SLOWEST:
            slow[str(attempt)] = f"{spent * 1000:.1f} ms"
    assert slow == {}


@pytest.mark.long
@pytest.mark.parametrize(
    "header",
    [
        lambda size: f"Bearer {'a' * size}",
        lambda size: f"Bearer {'.' * size}",
        lambda size: f"Bearer {'a ' * (size // 2)}",
        lambda size: f"Basic {'a ' * (size // 2)}",
        lambda size: f"Bearer {'a,' * (size // 2)}",
    ],
    ids=["letters", "dots", "words", "words of another scheme", "commas"],
)
def test_the_time_for_a_header_grows_no_faster_than_the_header(
    header: Callable[[int], str], client_of: Clients
) -> None:
    """SECURITY 1.9, F12."""
    client = client_of("HS256", "warm")
    short, long = (Sent(authorization=header(size)) for size in (512 * 1024, 1024 * 1024))
    assert seconds(long, client, "/open-to-any") < 3 * seconds(short, client, "/open-to-any")


# --- against Flask-JWT-Extended ------------------------------------------------------------------


@pytest.fixture(scope="module")
def their_answers() -> dict[str, int]:
    """The status that Flask-JWT-Extended alone gives to each attempt."""
    logging.disable(logging.CRITICAL)  # it logs its own crashes
    try:
        clients = {target: by_fje(target).test_client(use_cookies=False) for target in TARGETS}
        return {
            str(attempt): attempt.build().to(clients[attempt.target]).status_code
            for attempt in ATTEMPTS + GOOD
        }
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_what_is_refused_here_is_refused_by_fje_or_a_listed_rule_says_why(
    their_answers: dict[str, int],
) -> None:
    unlisted = [
        str(attempt)
        for attempt in ATTEMPTS
        if their_answers[str(attempt)] == 200 and attempt.stricter not in STRICTER
    ]
    assert unlisted == []


def test_what_is_accepted_here_is_accepted_by_fje_or_a_listed_rule_says_why(
    their_answers: dict[str, int],
) -> None:
    unlisted = [
        str(attempt)
        for attempt in GOOD
        if their_answers[str(attempt)] != 200 and attempt.kinder not in KINDER
    ]
    assert unlisted == []


def test_each_listed_rule_decides_at_least_one_attempt(their_answers: dict[str, int]) -> None:
    stricter = {a.stricter for a in ATTEMPTS if their_answers[str(a)] == 200}
    kinder = {a.kinder for a in GOOD if their_answers[str(a)] != 200}
    # What a rule is stricter than depends on PyJWT: 2.14 refuses a trailing = itself.
    pyjwt = tuple(map(int, version("pyjwt").split(".")[:2]))
    undecided = set() if pyjwt >= (2, 15) else {"canonical base64"}
    assert stricter == set(STRICTER) - undecided
    assert kinder == set(KINDER)


def test_fje_alone_answers_422_and_500_to_some_so_the_table_would_notice(
    their_answers: dict[str, int],
) -> None:
    answers = {their_answers[str(attempt)] for attempt in ATTEMPTS}
    assert {200, 401, 422, 500} <= answers


# --- beyond the table ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("target", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_token_with_any_one_letter_changed_is_refused(target: str, client_of: Clients) -> None:
    """SECURITY 2.3."""
    client, good = client_of(target, "warm"), hostile.good_token(target)
    assert get(client, "/open-to-any", good).status_code == 200
    for place, letter in enumerate(good):
        for other in ("A" if letter != "A" else "B", chr(ord(letter) ^ 1), "."):
            changed = good[:place] + other + good[place + 1 :]
            if changed != good:
                status = get(client, "/open-to-any", changed).status_code
                assert status == 401, (place, other)


def test_the_test_above_would_notice_a_cache_that_knows_a_token_by_its_payload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: with a digest of less than the whole token, a forgery passes.

    SECURITY 1.20.
    """
    monkeypatch.setattr(
        verification, "_digest", lambda text: hashlib.sha256(text.split(".")[1].encode()).digest()
    )
    client, good = guarded("HS256").test_client(use_cookies=False), hostile.good_token("HS256")
    assert get(client, "/open-to-any", good).status_code == 200
    assert get(client, "/open-to-any", good[:-8] + "AAAAAAAA").status_code == 200


@contextmanager
def listener() -> Iterator[tuple[str, list[object]]]:
    """A server that holds every connection open, and its URL."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    came: list[object] = []
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, address = server.accept()
            except TimeoutError:
                continue
            came.append(address)
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
    finally:
        time.sleep(0.1)
        stop.set()
        thread.join()
        server.close()


def test_the_listener_of_the_next_test_would_notice_a_connection() -> None:
    with listener() as (url, came):
        port = int(url.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port)).close()
        time.sleep(0.1)
    assert len(came) == 1


def without_key(answer: object) -> Flask:
    """An application whose key loader knows no key, in one of the ways to say so."""
    app = guarded("RS256")
    app.config["JWT_DECODE_ALGORITHMS"] = ["RS256"]

    @app.extensions["flask-jwt-extended"].decode_key_loader
    def load(header: dict, payload: dict) -> object:
        if isinstance(answer, type) and issubclass(answer, Exception):
            raise answer
        return answer

    return app


@pytest.mark.parametrize("key", [None, "", b"", KeyError, LookupError, "no key", []], ids=repr)
def test_without_a_key_no_token_is_good_and_no_url_is_fetched(key: object) -> None:
    """SECURITY 1.4."""
    client = without_key(key).test_client(use_cookies=False)
    with listener() as (url, came):
        for which in hostile.KEY_HEADERS:
            response = get(client, "/open-to-any", hostile.brings_its_key(which, url))
            assert response.status_code == 401, which
        assert get(client, "/open-to-any", hostile.good_token("RS256")).status_code == 401
    assert came == []


@pytest.mark.parametrize("which", hostile.KEY_HEADERS)
def test_a_url_in_a_header_is_not_fetched(which: str, client_of: Clients) -> None:
    """SECURITY 1.4, 2.9."""
    with listener() as (url, came):
        for target in ("HS256", "RS256"):
            response = get(
                client_of(target, "cold"), "/open-to-any", hostile.brings_its_key(which, url)
            )
            assert response.status_code == 401
    assert came == []


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_loader_that_answers_a_public_key_makes_no_hmac_secret_of_it(algorithm: str) -> None:
    """Both kinds of algorithm are configured, and the loader does not look at `alg`."""
    reads = get_default_algorithms()[algorithm].prepare_key
    tried = set()
    for said, rendering in hostile.renderings(algorithm).items():
        answer: str | bytes = rendering
        with suppress(UnicodeDecodeError):
            answer = rendering.decode()
        try:
            reads(answer)
        except (ValueError, TypeError, InvalidKeyError):
            continue  # nobody's loader answers what verifies nothing
        app = guarded(algorithm)
        app.config["JWT_DECODE_ALGORITHMS"] = [algorithm, "HS256", "HS384", "HS512"]
        app.extensions["flask-jwt-extended"].decode_key_loader(lambda h, p, key=answer: key)
        client = app.test_client(use_cookies=False)
        assert get(client, "/open-to-any", hostile.good_token(algorithm)).status_code == 200
        for name, hashed in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
            forged = hostile.token(
                header=hostile.header_of(alg=name), secret=rendering, hashed=hashed
            )
            response = get(client, "/open-to-any", forged)
            assert response.status_code == 401, f"{name}: {said}"
        tried.add(said)
    assert {"SPKI PEM", "SPKI PEM with CRLF", "SPKI PEM behind a line of junk", "SSH"} <= tried


def test_an_asymmetric_key_object_never_reaches_an_hmac() -> None:
    """SECURITY 1.2."""
    app = guarded("RS256")
    app.config["JWT_DECODE_ALGORITHMS"] = ["RS256", "HS256"]
    key = private_key("RS256").public_key()
    app.extensions["flask-jwt-extended"].decode_key_loader(lambda header, payload: key)
    client = app.test_client(use_cookies=False)
    assert get(client, "/open-to-any", hostile.good_token("RS256")).status_code == 200
    for secret in (public_pem("RS256"), str(key), repr(key), ""):
        assert get(client, "/open-to-any", hostile.token(secret=secret)).status_code == 401


def test_of_algorithm_and_key_only_the_diagonal_passes() -> None:
    """SECURITY 1.6, 2.1."""
    algorithms = ("HS256", "RS256", "PS256", "ES256", "EdDSA")
    for configured in algorithms:
        app = Flask("diagonal")
        app.config.update(key_settings(configured))
        Authz(app)
        app.add_url_rule("/", "view", requires()(lambda: "in"))
        client = app.test_client(use_cookies=False)
        for signed in algorithms:
            for named in algorithms:
                header = hostile.header_of(alg=named)
                if signed == "HS256":
                    forged = hostile.token(header=header)
                else:
                    # PS256 and RS256 have keys of one kind: take the very key configured.
                    of_one_kind = {signed, configured} == {"RS256", "PS256"}
                    key = private_key(configured if of_one_kind else signed)
                    forged = hostile.signed_by(signed, key, header=header)
                passes = get(client, "/", forged).status_code == 200
                assert passes == (configured == signed == named), (configured, signed, named)


@pytest.fixture
def deep_recursion() -> Iterator[None]:
    """An application may have raised Python's limit for reasons of its own."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(12_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("depth", [900, 1_900, 2_100, 3_000, 5_000])
@pytest.mark.parametrize("where", ["header", "payload", "signed payload"])
def test_deep_nesting_is_401_also_where_python_would_read_it(
    depth: int, where: str, deep_recursion: None, client_of: Clients
) -> None:
    deep = "[" * depth + "]" * depth
    if where == "header":
        text = hostile.token(header=f'{{"alg":"HS256","x":{deep}}}'.encode(), signature=b"x" * 32)
    elif where == "payload":
        text = hostile.token(hostile.raw_payload(f'"x":{deep}'), signature=b"x" * 32)
    else:
        text = hostile.token(hostile.raw_payload(f'"x":{deep}'))
    response = get(client_of("HS256", "cold"), "/open-to-any", text)
    # A signed payload is the application's own, and may be as deep as it likes.
    expected = {401} if where != "signed payload" else {200, 401}
    assert response.status_code in expected


NOT_QUITE_NAMES = (
    *("Roles", "ROLES", "role", "roles ", " roles", "roles\0", "ｒｏｌｅｓ", "rоles"),
    *("Permissions", "PERMISSIONS", "permission", "permissions ", "ｐermissions", "perms"),
    *("authorities", "groups", "Scope", "scp", "is_admin", "admin", "level", "Catalog"),
)


@pytest.mark.parametrize("name", NOT_QUITE_NAMES, ids=ascii)
@pytest.mark.parametrize("beside", [True, False], ids=["beside", "alone"])
def test_a_claim_whose_name_is_not_exactly_ours_grants_nothing(name: str, beside: bool) -> None:
    """SECURITY 1.14."""
    app = guarded("HS256")
    app.add_url_rule("/delete", "delete", requires("article:delete")(lambda: "deleted"))
    values = ["admin", "article:delete", "*:*"]
    given = {"roles": ["viewer"], "permissions": ["article:read"]}
    absent = {"roles": ..., "permissions": ...}
    claims = claims_of(**(given if beside else absent), **{name: values})
    client = app.test_client(use_cookies=False)
    assert get(client, "/delete", hostile.token(claims)).status_code == 403
    assert get(client, "/open-to-any", hostile.token(claims)).status_code == 200


def test_taking_a_claim_away_never_makes_a_decision_more_generous() -> None:
    """SECURITY 1.16."""
    app = guarded("bound")
    for permission in ("article:read", "article:edit", "article:delete"):
        app.add_url_rule(f"/{permission}", permission, requires(permission)(lambda: "done"))
    client = app.test_client(use_cookies=False)
    full = claims_of(
        iss=hostile.ISSUER,
        aud=hostile.AUDIENCE,
        scope="read",
        tenant="t",
        client_id="c",
        catalogue=catalog().fingerprint,
    )
    paths = ["/open-to-any", *(f"/article:{action}" for action in ("read", "edit", "delete"))]

    def answers(claims: dict) -> list[bool]:
        made = hostile.token(claims)
        return [get(client, path, made).status_code == 200 for path in paths]

    with_all = answers(full)
    assert with_all == [True, True, False, False]
    for dropped in full:
        without = answers({name: value for name, value in full.items() if name != dropped})
        assert all(now <= before for now, before in zip(without, with_all, strict=True)), dropped


def test_a_token_of_one_type_of_refusal_names_it_in_the_problem(client_of: Clients) -> None:
    """The conditions that a client can act on; the rest are the same to it."""
    expected = {
        "exp was long ago": "token-expired",
        "nbf lies ahead": "token-not-yet-valid",
        "exp is missing": "claim-missing",
        "a refresh token in place of an access token": "kind-invalid",
        "kid is not known": "key-unknown",
        "the payload of one token in another": "signature-invalid",
        "alg none, without a signature": "token-malformed",
        "1048576 letters": "token-too-long",
        "no token at all": "token-missing",
        "roles is a text": "claim-invalid",
    }
    found = {}
    for attempt in ATTEMPTS:
        if attempt.name in expected and attempt.target == "HS256":
            body = attempt.build().to(client_of("HS256", "warm")).get_json()
            found[attempt.name] = body["type"].removeprefix(TYPE)
    assert found == expected
