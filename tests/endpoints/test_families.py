"""`/token/families`: one's own log-ins, listed and ended. SECURITY 2.39, 2.37."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Identity
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import MemoryStore
from tests import foreign

from .refreshing import ask, authz_of, log_in, payload, refresh, refreshed, status

Start = Callable[..., Flask]


def listed(app: Flask, token: str) -> list[dict[str, Any]]:
    answer = ask(app, token, "/token/families")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["families"]
    return found


def test_a_user_sees_their_own_log_ins_and_which_one_this_is(app: Flask) -> None:
    first, second, _ = log_in(app), log_in(app), log_in(app, "bob")
    second = refreshed(app, second["refresh_token"])
    found = listed(app, first["access_token"])
    assert [family["is_current"] for family in found] == [False, True]
    assert [family["id"] for family in found] == [
        payload(pair["access_token"])["sid"] for pair in (second, first)
    ]
    for family in found:
        assert set(family) == {
            *("id", "client", "created_at", "used_at", "expires_at", "is_current")
        }
        assert family["client"].startswith("Werkzeug")
        assert family["created_at"] <= family["used_at"] < family["expires_at"]


def test_nothing_of_it_can_be_used_to_refresh(start: Start) -> None:
    app = start()
    pair = log_in(app)
    (family,) = listed(app, pair["access_token"])
    secrets = {payload(pair["refresh_token"])["jti"], pair["refresh_token"]}
    assert not secrets & {str(value) for value in family.values()}


def test_a_user_ends_one_of_their_log_ins(app: Flask) -> None:
    phone, laptop = log_in(app), log_in(app)
    lost = payload(phone["access_token"])["sid"]
    url = f"/token/families/{lost}"
    assert ask(app, laptop["access_token"], url, "DELETE").status_code == 204
    assert status(app, phone["access_token"]) == 401
    assert refresh(app, phone["refresh_token"]).status_code == 401
    assert status(app, laptop["access_token"]) == 200
    assert ask(app, laptop["access_token"], url, "DELETE").status_code == 404


def test_nobody_ends_anothers_log_in_nor_learns_of_it(app: Flask) -> None:
    """SECURITY 2.28."""
    ada, bob = log_in(app), log_in(app, "bob")
    hers = payload(ada["access_token"])["sid"]
    answers = [
        ask(app, bob["access_token"], f"/token/families/{family}", "DELETE")
        for family in (hers, "AAAAAAAAAAAAAAAAAAAAAA")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    bodies = [{**answer.json, "instance": ""} for answer in answers]
    assert bodies[0] == bodies[1]
    assert answers[0].mimetype == "application/problem+json"
    assert status(app, ada["access_token"]) == 200
    assert refresh(app, ada["refresh_token"]).status_code == 200


def test_a_user_logs_out_everywhere(app: Flask) -> None:
    pairs = [log_in(app) for _ in range(3)]
    bystander = log_in(app, "bob")
    assert ask(app, pairs[0]["access_token"], "/token/families", "DELETE").status_code == 204
    assert [status(app, pair["access_token"]) for pair in pairs] == [401] * 3
    assert [refresh(app, pair["refresh_token"]).status_code for pair in pairs] == [401] * 3
    assert status(app, bystander["access_token"]) == 200
    assert len(listed(app, log_in(app)["access_token"])) == 1


@pytest.mark.parametrize("named", [{"tenant": "north"}, {"everything": True}])
def test_log_ins_that_were_ended_by_their_tenant_or_with_everything_are_not_listed(
    app: Flask, named: dict[str, Any]
) -> None:
    log_in(app)
    with app.app_context():
        authz_of(app).revoke(**named)
        assert authz_of(app).families("ada") == ()
    assert len(listed(app, log_in(app)["access_token"])) == 1


def test_a_foreign_subject_of_the_same_name_sees_and_ends_nothing(start: Start) -> None:
    """SECURITY 1.40: two issuers' equal `sub` are two subjects."""
    app = start()
    authz_of(app).trust(foreign.trusted())
    pair = log_in(app)
    stranger = foreign.signed(foreign.payload_of(sub="ada", iat=int(time.time()) - 5))
    assert listed(app, stranger) == []
    family = payload(pair["access_token"])["sid"]
    assert ask(app, stranger, f"/token/families/{family}", "DELETE").status_code == 404
    assert ask(app, stranger, "/token/families", "DELETE").status_code == 204
    assert status(app, stranger) == 401
    assert status(app, pair["access_token"]) == 200
    assert refresh(app, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/token/families", "families"),
        ("DELETE", "/token/families", "end_all"),
        ("DELETE", "/token/families/AAAAAAAAAAAAAAAAAAAAAA", "families"),
    ],
)
def test_a_store_that_fails_is_a_503_and_without_a_token_it_is_a_401(
    start: Start, monkeypatch: pytest.MonkeyPatch, method: str, path: str, name: str
) -> None:
    app = start()
    token = log_in(app)["access_token"]
    assert app.test_client().open(path, method=method).status_code == 401

    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(MemoryStore, name, fail)
    answer = ask(app, token, path, method)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


@pytest.mark.parametrize("enforce", [True, False])
@pytest.mark.parametrize("token", [None, "x.y.z"])
def test_nobody_has_log_ins_whether_or_not_guards_are_enforced(
    start: Start, enforce: bool, token: str | None
) -> None:
    client = start(AUTHZ_ENFORCE=enforce).test_client()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", "/one")):
        answer = client.open(f"/token/families{path}", method=method, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["end", "revoke"])
def test_ending_a_log_in_can_be_repeated_where_the_store_fails_in_the_middle(
    start: Start, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    app = start()
    lost, here = log_in(app), log_in(app)
    url = f"/token/families/{payload(lost['access_token'])['sid']}"

    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise StoreUnavailable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, name, fail)
        assert ask(app, here["access_token"], url, "DELETE").status_code == 503
    assert ask(app, here["access_token"], url, "DELETE").status_code == 204
    assert status(app, lost["access_token"]) == 401
    assert refresh(app, lost["refresh_token"]).status_code == 401


def test_a_session_of_another_issuers_subject_sees_and_ends_nothing(start: Start) -> None:
    """SECURITY 1.40."""
    app = start()
    pair = log_in(app)
    who = Identity("ada", issuer="https://idp.example")
    authz_of(app).identity_loader(lambda: who)
    assert app.test_client().get("/token/families").json == {"families": []}
    family = payload(pair["access_token"])["sid"]
    assert app.test_client().delete(f"/token/families/{family}").status_code == 404
    who = Identity("ada", issuer=app.name)
    assert len(app.test_client().get("/token/families").json["families"]) == 1
