"""`POST /token/refresh`: one successor a token, and the end of a family whose token comes twice.

SECURITY 1.23, 1.26, 2.21, 2.22, 2.23, 2.35, 2.36.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, request
from flask_jwt_extended import create_refresh_token, jwt_required

from jwt_authz import Authz, MisuseError, exempt, requires
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import KEY
from jwt_authz.audit import decided
from jwt_authz.endpoints import refresh_blueprint, token_blueprint
from jwt_authz.errors import StoreUnavailable
from jwt_authz.logins.log_in import Logins
from jwt_authz.revocation import MemoryStore, RevocationView
from jwt_authz.revocation.stores import memory, sql_families
from jwt_authz.revocation.stores import redis as redis_store
from jwt_authz.tokens import KeySet
from tests.edge import private_pem, turn_clock
from tests.patience import eventually

from .refreshing import (
    PASSWORD,
    PROBLEM,
    SECRET,
    TYPE,
    ask,
    authz_of,
    catalog,
    close,
    log_in,
    payload,
    people,
    refresh,
    refreshed,
    signed,
    status,
    view_of,
)

Start = Callable[..., Flask]
FORM = "application/x-www-form-urlencoded"
REPEATED = '{"refresh_token":"a","refresh_token":"b"}'

# --- the way of a client that does what it should ------------------------------------------------


def test_tokens_of_a_log_in_and_of_a_refresh_name_every_audience(start: Start) -> None:
    audiences = ["billing", "shop"]
    app = start(JWT_ENCODE_AUDIENCE=audiences, JWT_DECODE_AUDIENCE="shop")
    first = log_in(app)
    second = refreshed(app, first["refresh_token"])
    for members in (first, second, refreshed(app, second["refresh_token"])):
        for name in ("access_token", "refresh_token"):
            claims = jwt.decode(members[name], options={"verify_signature": False})
            assert claims["aud"] == audiences
        assert status(app, members["access_token"]) == 200


def test_a_log_in_gives_a_refresh_token_that_gives_the_next_pair(app: Flask) -> None:
    first = log_in(app)
    assert set(first) == {"access_token", "token_type", "expires_in", "refresh_token"}
    second = refreshed(app, first["refresh_token"])
    assert set(second) == set(first)
    assert second["refresh_token"] != first["refresh_token"]
    third = refreshed(app, second["refresh_token"])
    for pair in (first, second, third):
        assert ask(app, pair["access_token"], "/write").text == "written"


def test_without_the_refresh_endpoint_a_log_in_gives_no_refresh_token() -> None:
    app = Flask("plain")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL="memory:")
    Authz(app, roles=catalog(), accounts=people())
    app.register_blueprint(token_blueprint())
    assert set(log_in(app)) == {"access_token", "token_type", "expires_in"}


def test_the_answer_is_never_stored_by_a_cache(start: Start) -> None:
    app = start()
    answer = refresh(app, log_in(app)["refresh_token"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert refresh(app, "nonsense").headers.get("Cache-Control", "no-store") == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"refresh_token": ...}},
        {"data": {"refresh_token": ...}},
        {"data": {"refresh_token": ..., "grant_type": "refresh_token", "client_id": "shop"}},
    ],
    ids=["json", "form", "OAuth 2"],
)
def test_json_and_forms_are_taken(start: Start, body: dict[str, Any]) -> None:
    app = start()
    token = log_in(app)["refresh_token"]
    for members in body.values():
        members["refresh_token"] = token
    assert refresh(app, token, **body).status_code == 200


def test_all_tokens_of_a_family_say_when_the_log_in_was(start: Start) -> None:
    app = start()
    first = log_in(app)
    second = refreshed(app, first["refresh_token"])
    tokens = [pair[name] for pair in (first, second) for name in ("access_token", "refresh_token")]
    assert len({payload(token)["auth_time"] for token in tokens}) == 1
    assert len({payload(token)["sid"] for token in tokens}) == 1
    assert len({payload(token)["jti"] for token in tokens}) == 4


def test_a_log_in_of_a_view_of_ones_own_gives_the_same(start: Start) -> None:
    app = start()
    with app.app_context():
        user = authz_of(app).accounts.find("ada")
        tokens = authz_of(app).log_in(user, client="single sign-on")
        again = authz_of(app).refresh(tokens.refresh_token)
        (family,) = authz_of(app).families("ada")
    assert status(app, tokens.access_token) == status(app, again.access_token) == 200
    assert family.client == "single sign-on"
    for text in (tokens.access_token, tokens.refresh_token):
        assert text not in repr(tokens)


# --- a token that comes twice --------------------------------------------------------------------


def test_a_token_that_was_rotated_away_ends_its_family_at_once(app: Flask) -> None:
    bystander = log_in(app)
    first = log_in(app)
    second = refreshed(app, first["refresh_token"])
    third = refreshed(app, second["refresh_token"])

    answer = refresh(app, first["refresh_token"])

    assert (answer.status_code, answer.mimetype) == (401, PROBLEM)
    assert answer.json["type"] == f"{TYPE}token-reused"
    assert answer.json["error"] == "invalid_grant"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert refresh(app, third["refresh_token"]).status_code == 401
    assert [status(app, pair["access_token"]) for pair in (first, second, third)] == [401] * 3
    assert status(app, bystander["access_token"]) == 200
    assert refresh(app, bystander["refresh_token"]).status_code == 200


def test_a_repeat_within_the_grace_is_answered_with_the_same_successor(app: Flask) -> None:
    first = log_in(app)["refresh_token"]
    one, other = (refreshed(app, first) for _ in range(2))
    same = ("jti", "sid", "exp", "sub", "auth_time")
    reported = [[payload(pair["refresh_token"])[name] for name in same] for pair in (one, other)]
    assert reported[0] == reported[1]
    assert status(app, one["access_token"]) == status(app, other["access_token"]) == 200
    assert refresh(app, other["refresh_token"]).status_code == 200


def test_a_repeat_ends_the_family_once_the_successor_was_used(app: Flask) -> None:
    first = log_in(app)["refresh_token"]
    second = refreshed(app, first)["refresh_token"]
    third = refreshed(app, second)["refresh_token"]
    assert [refresh(app, token).status_code for token in (first, third)] == [401, 401]


@pytest.mark.parametrize("kind", ["memory", "redis", "sqlite", "postgres", "mariadb"])
def test_without_a_grace_every_repeat_ends_the_family(start: Start, kind: str) -> None:
    app = start(kind, AUTHZ_REFRESH_GRACE=0)
    first = log_in(app)["refresh_token"]
    second = refreshed(app, first)["refresh_token"]
    assert [refresh(app, token).status_code for token in (first, second)] == [401, 401]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "redis", "postgres", "mariadb"])
def test_of_many_callers_at_once_without_a_grace_exactly_one_succeeds(
    start: Start, kind: str
) -> None:
    app = start(kind, AUTHZ_REFRESH_GRACE=0)
    for _ in range(5):
        token = log_in(app)["refresh_token"]
        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(lambda _, t=token: refresh(app, t).status_code, range(16)))
        assert sorted(codes) == [200] + 15 * [401]


@pytest.mark.parametrize("kind", ["memory", "redis", "postgres", "mariadb"])
def test_many_callers_at_once_within_the_grace_get_one_successor(start: Start, kind: str) -> None:
    app = start(kind)
    token = log_in(app)["refresh_token"]
    with ThreadPoolExecutor(16) as pool:
        pairs = list(pool.map(lambda _: refreshed(app, token), range(16)))
    assert len({payload(pair["refresh_token"])["jti"] for pair in pairs}) == 1


def test_an_ended_family_is_written_down_once_however_often_its_tokens_come(start: Start) -> None:
    app = start()
    first = log_in(app)["refresh_token"]
    refreshed(app, refreshed(app, first)["refresh_token"])
    before = len(view_of(app)._known)
    assert {refresh(app, first).status_code for _ in range(20)} == {401}
    assert len(view_of(app)._known) == before + 1


def test_a_process_that_died_over_a_reuse_leaves_no_living_access_token(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The family is ended in the store, and then the process dies before it says so to others."""
    app = start()
    first = log_in(app)
    refreshed(app, refreshed(app, first["refresh_token"])["refresh_token"])
    with monkeypatch.context() as patch:
        patch.setattr(RevocationView, "revoke", _raising(StoreUnavailable("gone")))
        assert refresh(app, first["refresh_token"]).status_code == 503
    assert refresh(app, first["refresh_token"]).status_code == 401
    assert status(app, first["access_token"]) == 401


# --- what becomes of a log-in --------------------------------------------------------------------


def test_the_roles_are_those_that_the_user_has_now(app: Flask) -> None:
    pair = log_in(app)
    accounts_of(app).set_roles("ada", ["clerk"])
    after = refreshed(app, pair["refresh_token"])["access_token"]
    assert payload(after)["roles"] == ["clerk"]
    assert status(app, after, "/write") == 403


def test_a_change_of_roles_ends_access_tokens_and_the_refresh_goes_on(app: Flask) -> None:
    pair = log_in(app)
    with app.app_context():
        accounts_of(app).set_roles("ada", ["clerk"])
        authz_of(app).revoke(subject="ada", keeps_families=True)
    assert status(app, pair["access_token"], "/write") == 401
    after = refreshed(app, pair["refresh_token"])["access_token"]
    assert (status(app, after), status(app, after, "/write")) == (200, 403)


@pytest.mark.parametrize("target", ["subject", "tenant", "everything"])
def test_what_ends_log_ins_ends_their_refresh_tokens_and_a_new_log_in_works(
    app: Flask, target: str
) -> None:
    named = {"subject": "ada", "tenant": "north", "everything": True}
    pair, bystander = log_in(app), log_in(app, "bob")
    with app.app_context():
        authz_of(app).revoke(**{target: named[target]})
    assert status(app, pair["access_token"]) == 401
    assert refresh(app, pair["refresh_token"]).status_code == 401
    expected = 401 if target == "everything" else 200
    assert refresh(app, bystander["refresh_token"]).status_code == expected
    after = log_in(app)
    assert status(app, after["access_token"]) == 200
    assert status(app, refreshed(app, after["refresh_token"])["access_token"]) == 200


def test_a_revoked_role_ends_access_tokens_and_the_refresh_goes_on(app: Flask) -> None:
    pair = log_in(app)
    with app.app_context():
        authz_of(app).revoke(role="clerk")
    assert status(app, pair["access_token"]) == 401
    assert status(app, refreshed(app, pair["refresh_token"])["access_token"]) == 200


def test_a_single_refresh_token_can_be_revoked_by_its_id(app: Flask) -> None:
    pair = log_in(app)
    with app.app_context():
        authz_of(app).revoke(jti=payload(pair["refresh_token"])["jti"])
    assert refresh(app, pair["refresh_token"]).status_code == 401


@pytest.mark.parametrize("change", ["disable", "remove"])
def test_a_user_who_is_gone_gets_no_more_tokens_also_when_they_come_back(
    start: Start, change: str
) -> None:
    app = start()
    pair = log_in(app)
    users = accounts_of(app)
    kept = users._kept["ada"]
    getattr(users, change)("ada")
    assert refresh(app, pair["refresh_token"]).status_code == 401
    users._kept["ada"] = kept
    assert refresh(app, pair["refresh_token"]).status_code == 401


def test_a_password_that_is_changed_during_a_log_in_with_the_old_one(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY 2.37: the log-in in progress gets no tokens, and does not count as failed."""
    app = start()

    def changed_meanwhile(self: MemoryAccounts, username: str, password: str) -> User | None:
        authz_of(app).revoke(subject="ada")
        return self.find("ada")

    monkeypatch.setattr(MemoryAccounts, "authenticate", changed_meanwhile)
    body = {"username": "ada", "password": PASSWORD}
    answer = app.test_client().post("/token", json=body)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    with app.app_context():
        assert authz_of(app).families("ada") == ()
        since = authz_of(app).now()
        user = accounts_of(app).authenticate("ada", "the old one")
        with pytest.raises(StoreUnavailable):
            authz_of(app).log_in(user, since=since)
        assert authz_of(app).families("ada") == ()


def test_without_refresh_tokens_such_a_log_in_gets_no_token_either(
    monkeypatch: pytest.MonkeyPatch, cheap_argon2: object
) -> None:
    app = Flask("plain")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL="memory:", AUTHZ_LOGIN_RATE="")
    Authz(app, roles=catalog(), accounts=people())
    app.register_blueprint(token_blueprint())

    def changed_meanwhile(self: MemoryAccounts, username: str, password: str) -> User | None:
        authz_of(app).revoke(subject="ada")
        return self.find("ada")

    monkeypatch.setattr(MemoryAccounts, "authenticate", changed_meanwhile)
    body = {"username": "ada", "password": PASSWORD}
    assert app.test_client().post("/token", json=body).status_code == 503


def test_the_first_log_in_on_a_redis_that_nobody_prepared_works(
    store_url: Callable[[str], str], cheap_argon2: object
) -> None:
    app = Flask("first")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=store_url("redis"))
    Authz(app, roles=catalog(), accounts=people())
    app.register_blueprint(token_blueprint())
    app.register_blueprint(refresh_blueprint())
    app.add_url_rule("/me", "me", requires()(lambda: "in"))
    answer = app.test_client().post("/token", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code in (200, 503)  # 503 while it gives others time to repair the store
    pair: dict[str, Any] = dict(answer.json or {})

    def is_in() -> bool:
        return "access_token" in pair or bool(pair.update(log_in(app)))  # type: ignore[func-returns-value]

    eventually(is_in)
    assert status(app, pair["access_token"]) == 200
    close(app)


def test_another_process_that_does_not_know_yet_makes_no_token_that_lives_on(
    start: Start, store_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's log-ins end in one process while another, unaware of it, refreshes one."""
    url = store_url("sqlite")
    here, there = start(AUTHZ_STORE_URL=url), start(AUTHZ_STORE_URL=url)
    pair = log_in(there)
    assert status(there, pair["access_token"]) == 200
    view_of(there).stop()
    with here.app_context():
        authz_of(here).revoke(tenant="north")
    after = refreshed(there, pair["refresh_token"])
    assert status(here, after["access_token"]) == 401
    view_of(there).refresh()
    assert status(there, after["access_token"]) == 401
    assert refresh(there, after["refresh_token"]).status_code == 401


def test_a_log_in_that_was_under_way_while_everything_of_its_user_was_ended_cannot_be_refreshed(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole revocation falls between the look at the user and the start of the family."""
    start_family = Logins._start_family

    def revoked_before(self: Logins, user: User, *rest: Any) -> Any:
        authz_of(app).revoke(subject="ada")
        return start_family(self, user, *rest)

    with app.app_context():
        user = accounts_of(app).find("ada")
        with monkeypatch.context() as patch:
            patch.setattr(Logins, "_start_family", revoked_before)
            tokens = authz_of(app).log_in(user)
    assert status(app, tokens.access_token) == 401
    assert refresh(app, tokens.refresh_token).status_code == 401


def test_a_user_who_moved_is_still_of_the_tenant_that_they_logged_in_for(start: Start) -> None:
    app = start()
    pair = log_in(app)
    kept = accounts_of(app)._kept["ada"]
    accounts_of(app)._kept["ada"] = kept._replace(user=replace(kept.user, tenant="south"))
    with app.app_context():
        authz_of(app).revoke(tenant="north")
    assert refresh(app, pair["refresh_token"]).status_code == 401


def test_a_log_in_right_after_a_revocation_works_where_the_stores_clock_was_set_back(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F13."""
    app = start(JWT_DECODE_LEEWAY=60)
    for named in ({"subject": "ada"}, {"role": "clerk"}, {"tenant": "north"}, {"everything": True}):
        at(app, monkeypatch, 0)
        with app.app_context():
            authz_of(app).revoke(**named)
        at(app, monkeypatch, -30)
        pair = log_in(app)
        assert status(app, pair["access_token"]) == 200, named
        assert status(app, refreshed(app, pair["refresh_token"])["access_token"]) == 200, named


def test_a_subject_has_so_many_log_ins_and_no_more(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY 2.53: repeated log-ins make no other user wait, and can be revoked."""
    for module in (redis_store, memory, sql_families):
        monkeypatch.setattr(module, "MOST_FAMILIES", 3)
    pairs = [log_in(app) for _ in range(5)]
    with app.app_context():
        assert len(authz_of(app).families("ada")) == 3
    codes = [refresh(app, pair["refresh_token"]).status_code for pair in pairs]
    assert codes == [401, 401, 200, 200, 200]
    assert refresh(app, log_in(app, "bob")["refresh_token"]).status_code == 200


# --- the end of a log-in -------------------------------------------------------------------------


def at(app: Flask, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clocks of the application and of its store in memory be so much later."""
    turn_clock(monkeypatch, seconds)
    store = view_of(app).store
    assert isinstance(store, MemoryStore)
    real = store.__dict__.setdefault("real", store._clock)
    store._clock = lambda: real() + seconds


def test_a_refresh_token_ends_when_it_is_not_used(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(AUTHZ_REFRESH_IDLE=100)
    token = log_in(app)["refresh_token"]
    at(app, monkeypatch, 90)
    token = refreshed(app, token)["refresh_token"]
    at(app, monkeypatch, 180)
    token = refreshed(app, token)["refresh_token"]
    at(app, monkeypatch, 281)
    assert refresh(app, token).status_code == 401


def test_a_log_in_ends_for_good_however_often_it_is_refreshed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(AUTHZ_REFRESH_IDLE=100, JWT_REFRESH_TOKEN_EXPIRES=timedelta(seconds=250))
    token = log_in(app)["refresh_token"]
    for seconds in (80, 160, 240):
        at(app, monkeypatch, seconds)
        token = refreshed(app, token)["refresh_token"]
    at(app, monkeypatch, 251)
    assert refresh(app, token).status_code == 401


def test_a_repeat_past_the_grace_ends_the_family(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start(AUTHZ_REFRESH_GRACE=10)
    first = log_in(app)["refresh_token"]
    second = refreshed(app, first)["refresh_token"]
    at(app, monkeypatch, 9)
    assert refresh(app, first).status_code == 200
    at(app, monkeypatch, 11)
    assert [refresh(app, token).status_code for token in (first, second)] == [401, 401]


# --- a store that does not answer ----------------------------------------------------------------


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (MemoryStore, "rotate"),
        (MemoryAccounts, "find"),
        (RevocationView, "check_age"),
        (RevocationView, "is_login_over"),
        (RevocationView, "next_iat"),
    ],
)
def test_a_store_that_fails_is_a_503_and_the_token_may_be_used_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, place: type, name: str
) -> None:
    """SECURITY 1.25, 1.28: nothing was counted, so the honest client is not treated as a thief."""
    app = start(AUTHZ_REFRESH_GRACE=0)
    token = log_in(app)["refresh_token"]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, _raising(StoreUnavailable("no answer")))
        answer = refresh(app, token)
    assert (answer.status_code, answer.mimetype) == (503, PROBLEM)
    assert int(answer.headers["Retry-After"]) > 0
    assert refresh(app, token).status_code == 200


def test_a_log_in_whose_family_cannot_be_kept_is_a_503(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    monkeypatch.setattr(MemoryStore, "start", _raising(StoreUnavailable("no answer")))
    body = {"username": "ada", "password": PASSWORD}
    answer = app.test_client().post("/token", json=body)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


# --- invalid refresh tokens ----------------------------------------------------------------------


def test_each_kind_of_token_is_good_at_its_own_endpoint_alone(start: Start) -> None:
    """SECURITY 2.10, 2.11."""
    app = start()
    app.add_url_rule("/legacy", "legacy", exempt(jwt_required()(lambda: "in")))
    pair = log_in(app)
    with app.app_context():
        plain = create_refresh_token("ada")
    assert refresh(app, pair["access_token"]).status_code == 401
    assert refresh(app, plain).status_code == 401
    for token in (pair["refresh_token"], plain):
        assert status(app, token) == 401
        assert status(app, token, "/legacy") in (401, 422)
    assert refresh(app, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"type": "access"},
        {"type": ["refresh"]},
        {"type": ...},
        {"sid": ...},
        {"sid": 1},
        {"sid": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"sid": "x" * 5_000},
        {"jti": ...},
        {"jti": ["a"]},
        {"jti": "another"},
        {"sub": ...},
        {"sub": 1},
        {"sub": "nobody"},
        {"exp": ...},
        {"exp": 1},
        {"exp": "9999999999"},
        {"iss": ...},
        {"iss": "elsewhere"},
        {"aud": ...},
        {"aud": "elsewhere"},
        {"auth_time": ...},
        {"auth_time": True},
        {"auth_time": "1"},
        {"auth_time": 10**400},
        {"cnf": {"jkt": "key"}},
    ],
    ids=str,
)
def test_a_changed_claim_is_refused_though_it_is_signed(
    start: Start, change: dict[str, Any]
) -> None:
    app = start()
    token = log_in(app)["refresh_token"]
    claims = {name: v for name, v in {**payload(token), **change}.items() if v is not ...}
    answer = refresh(app, signed(claims, typ="rt+jwt"))
    assert (answer.status_code, answer.mimetype) == (401, PROBLEM)


def test_only_our_own_signature_and_type_of_token_are_taken(start: Start) -> None:
    app = start()
    token = log_in(app)["refresh_token"]
    claims = payload(token)
    head, body, signature = token.split(".")
    unsigned = jwt.encode(claims, None, "none", headers={"typ": "rt+jwt"})
    for text in (
        signed(claims, "x" * 64, typ="rt+jwt"),
        signed(claims, typ="JWT"),
        signed(claims, typ="at+jwt"),
        unsigned,
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{token}=",
        f" {token}",
        "not.a.token",
        "..",
        "e" * 12_000,
    ):
        assert refresh(app, text).status_code == 401, text[:40]
    assert refresh(app, token).status_code == 200


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"json": {}}, 400),
        ({"json": []}, 400),
        ({"json": {"refresh_token": 1}}, 400),
        ({"json": {"refresh_token": None}}, 400),
        ({"json": {"refresh_token": ""}}, 400),
        ({"json": {"refresh_token": "\ud800"}}, 400),
        ({"data": "{", "content_type": "application/json"}, 400),
        ({"data": REPEATED, "content_type": "application/json"}, 400),
        ({"data": "refresh_token=a&refresh_token=b", "content_type": FORM}, 400),
        ({"data": b"refresh_token=%ff\xff", "content_type": FORM}, 400),
        ({"data": "refresh_token=a&grant_type=password", "content_type": FORM}, 400),
        ({"data": "refresh_token=a&scope=admin", "content_type": FORM}, 400),
        ({"data": '{"refresh_token":"a"}', "content_type": "text/plain"}, 415),
        ({"data": b"refresh_token=" + b"x" * 20_000, "content_type": FORM}, 413),
    ],
)
def test_an_invalid_body_is_refused(start: Start, keywords: Any, code: int) -> None:
    answer = refresh(start(), "", **keywords)
    assert (answer.status_code, answer.mimetype) == (code, PROBLEM)


def test_asking_for_more_than_was_granted_is_refused_and_uses_nothing_up(start: Start) -> None:
    app = start(AUTHZ_REFRESH_GRACE=0)
    token = log_in(app)["refresh_token"]
    answer = refresh(app, token, data={"refresh_token": token, "scope": "orders:write"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")
    assert refresh(app, token).status_code == 200


def test_a_get_gives_no_token(start: Start) -> None:
    """SECURITY 1.42."""
    app = start()
    token = log_in(app)["refresh_token"]
    answer = app.test_client().get("/token/refresh", query_string={"refresh_token": token})
    assert answer.status_code == 405


# --- keys ----------------------------------------------------------------------------------------


def test_refresh_tokens_outlive_a_rotation_of_keys_until_the_key_is_retired(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    first = KeySet.new("ES256")
    first.write(path)
    app = start(AUTHZ_KEYS_FILE=str(path))
    token = log_in(app)["refresh_token"]
    second = first.with_new_key().rotated()
    second.write(path)
    token = refreshed(app, token)["refresh_token"]
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid in {first.active, second.active}
    retired = KeySet.new("ES256")
    retired.write(path)
    app.extensions[KEY]._key_file.current(1e12, look=True)
    assert refresh(app, token).status_code == 401


def test_an_applications_own_key_loaders_are_asked_for_refresh_tokens(start: Start) -> None:
    app = start()
    secret = "another secret that the loaders give, of sixty-four bytes and more."
    manager = app.extensions["flask-jwt-extended"]
    manager.encode_key_loader(lambda identity: secret)
    manager.decode_key_loader(lambda header, claims: secret)
    token = log_in(app)["refresh_token"]
    jwt.decode(token, secret, ["HS256"], audience=app.name)
    assert refresh(app, token).status_code == 200


def test_a_user_identity_loader_makes_no_other_subject_of_who_logs_in(start: Start) -> None:
    app = start()
    manager = app.extensions["flask-jwt-extended"]
    manager.user_identity_loader(lambda user: f"user:{user.id}")
    pair = log_in(app)
    again = refreshed(app, refreshed(app, pair["refresh_token"])["refresh_token"])
    for token in (*pair.values(), *again.values()):
        if isinstance(token, str) and token.count(".") == 2:
            assert payload(token)["sub"] == "ada"
    assert ask(app, again["access_token"], "/token/families", "DELETE").status_code == 204
    assert refresh(app, again["refresh_token"]).status_code == 401


def test_flask_jwt_extendeds_own_refresh_views_take_no_token_of_a_family(start: Start) -> None:
    """An old view beside the new endpoint would take used ones, and ended ones."""
    app = start()
    app.add_url_rule("/old", "old", exempt(jwt_required(refresh=True)(lambda: "in")))
    with app.app_context():
        plain = create_refresh_token("ada")
    assert ask(app, plain, "/old").text == "in"
    assert status(app, log_in(app)["refresh_token"], "/old") == 422


def test_the_applications_blocklist_is_asked(start: Start) -> None:
    app = start()
    token = log_in(app)["refresh_token"]
    blocked = payload(token)["jti"]
    manager = app.extensions["flask-jwt-extended"]
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] == blocked)
    assert refresh(app, token).status_code == 401


def test_a_body_that_was_read_before_is_read_all_the_same(start: Start) -> None:
    app = start()
    app.before_request(lambda: request.get_data() and None)
    assert refresh(app, log_in(app)["refresh_token"]).status_code == 200


@pytest.mark.parametrize("name", ["sid", "auth_time", "jti"])
def test_a_subject_cannot_stand_in_a_claim_that_means_something_else(
    start: Start, name: str
) -> None:
    app = start(JWT_IDENTITY_CLAIM=name)
    with app.app_context(), pytest.raises(MisuseError, match="JWT_IDENTITY_CLAIM"):
        authz_of(app).check()


# --- logs, checks --------------------------------------------------------------------------------


def test_a_refusal_is_logged_without_the_token(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY 2.48."""
    app = start()
    first = log_in(app)["refresh_token"]
    refreshed(app, refreshed(app, first)["refresh_token"])
    with caplog.at_level(logging.DEBUG):
        instance = refresh(app, first).json["instance"]
        refresh(app, "a\r\nb")
    assert "token-reused" in caplog.text
    assert instance in caplog.text
    assert "eyJ" not in caplog.text
    assert "a\r\nb" not in caplog.text


@pytest.mark.parametrize("blueprint", [token_blueprint, refresh_blueprint])
def test_a_log_in_without_accounts_is_reported(blueprint: Any) -> None:
    app = Flask("no accounts")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL="memory:")
    authz = Authz(app, roles=catalog())
    app.register_blueprint(blueprint())
    with app.app_context(), pytest.raises(MisuseError, match="accounts="):
        authz.check()


@pytest.mark.parametrize("url", ["redis:", "nope", "sqlite://", "nosuch://host/name"])
def test_an_invalid_store_url_is_reported_by_the_check(url: str) -> None:
    app = Flask("no store")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=url)
    authz = Authz(app)
    with app.app_context(), pytest.raises(MisuseError, match=r"AUTHZ_STORE_URL|memory:"):
        authz.check()


def test_receivers_of_refusals_learn_whose_token_was_reused(start: Start) -> None:
    app = start()
    first = log_in(app)["refresh_token"]
    refreshed(app, refreshed(app, first)["refresh_token"])
    reported = []

    def receive(sender: Flask, **members: Any) -> None:
        reported.append(members)

    with decided.connected_to(receive, app):
        refresh(app, first)
        refresh(app, "nonsense")
    assert [members["outcome"] for members in reported] == ["not identified"] * 2
    assert reported[0]["identity"].subject == "ada"
    assert reported[0]["problem"].type == f"{TYPE}token-reused"
    assert reported[1]["identity"] is None


@pytest.mark.parametrize("text", [None, 1, b"bytes", "", "a.b.c"])
def test_a_view_of_ones_own_is_answered_401_for_a_refresh_token_that_is_not_good(
    start: Start, text: Any
) -> None:
    app = start()
    app.add_url_rule("/own", "own", exempt(lambda: str(authz_of(app).refresh(text))))
    answer = app.test_client().get("/own")
    assert (answer.status_code, answer.json["type"]) == (401, f"{TYPE}refresh-refused")


@pytest.mark.parametrize("user", ["ada", None, 1])
def test_a_log_in_with_something_other_than_a_user_is_reported(start: Start, user: Any) -> None:
    app = start()
    with app.app_context(), pytest.raises(MisuseError, match=r"accounts\.find\(subject\)"):
        authz_of(app).log_in(user)


def test_an_invalid_subject_and_an_invalid_role_are_reported(start: Start) -> None:
    app = start()
    with app.app_context():
        with pytest.raises(MisuseError, match=r"user\.subject"):
            authz_of(app).families(accounts_of(app).find("ada"))
        with pytest.raises(MisuseError, match="clrek"):
            authz_of(app).revoke(role="clrek")


def test_refresh_tokens_without_a_store_are_reported() -> None:
    app = Flask("no store")
    app.config["JWT_SECRET_KEY"] = SECRET
    authz = Authz(app, roles=catalog(), accounts=people())
    app.register_blueprint(refresh_blueprint())
    with app.app_context(), pytest.raises(MisuseError, match="AUTHZ_STORE_URL"):
        authz.check()


def test_refresh_tokens_that_never_expire_are_reported(start: Start) -> None:
    app = start(JWT_REFRESH_TOKEN_EXPIRES=False)
    with app.app_context(), pytest.raises(MisuseError, match="JWT_REFRESH_TOKEN_EXPIRES"):
        authz_of(app).check()


@pytest.mark.parametrize("value", [-1, True, "10", None])
def test_an_invalid_grace_is_reported(value: object) -> None:
    app = Flask("unfit")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_REFRESH_GRACE=value)
    authz = Authz(app)
    with app.app_context(), pytest.raises(MisuseError, match="AUTHZ_REFRESH_GRACE"):
        authz.check()


# --- a log-in that must be recent ----------------------------------------------------------------


def test_a_guard_can_ask_for_a_recent_log_in_which_a_refresh_is_not(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY 2.44."""
    app = start()
    recent = requires(fresh=timedelta(minutes=5))
    app.add_url_rule("/step-up", "step_up", recent(lambda: "in"))
    pair = log_in(app)
    assert status(app, pair["access_token"], "/step-up") == 200
    pair = refreshed(app, pair["refresh_token"])
    assert status(app, pair["access_token"], "/step-up") == 200
    at(app, monkeypatch, 301)
    token = refreshed(app, pair["refresh_token"])["access_token"]
    answer = ask(app, token, "/step-up")
    assert (answer.status_code, answer.json["type"]) == (401, f"{TYPE}token-not-fresh")
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="300"' in challenge
    assert status(app, log_in(app)["access_token"], "/step-up") == 200


# --- the move to a key set ------------------------------------------------------------------------


@pytest.mark.parametrize("former", [{}, {"JWT_ALGORITHM": "ES256"}])
def test_a_log_in_of_before_a_key_set_is_refreshed_and_ended(
    start: Start, former: dict[str, Any], tmp_path: Path
) -> None:
    if former:
        former = {**former, "JWT_PRIVATE_KEY": private_pem("ES256")}
    pair = log_in(start("sqlite", **former))
    KeySet.new("EdDSA").write(tmp_path / "keys.json")
    app = start("sqlite", **former, AUTHZ_KEYS_FILE=str(tmp_path / "keys.json"))
    assert status(app, pair["access_token"]) == 200
    after = refreshed(app, pair["refresh_token"])
    for token in (after["access_token"], after["refresh_token"]):
        assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    assert status(app, after["access_token"]) == 200
    data = {"token": pair["refresh_token"]}
    assert app.test_client().post("/token/revoke", data=data).status_code == 200
    assert refresh(app, after["refresh_token"]).status_code == 401
    assert [status(app, one["access_token"]) for one in (pair, after)] == [401, 401]


def accounts_of(app: Flask) -> Any:
    return authz_of(app).accounts
