"""Tokens that are ended before they expire: authz.revoke, what requests see of it, and how soon."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import create_access_token, get_jwt

from jwt_authz import Authz, MisuseError, Role, Roles, allowed, exempt, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import KEY
from jwt_authz.endpoints import token_blueprint
from jwt_authz.errors import StoreUnavailable
from tests.patience import PATIENCE, eventually

SECRET = "r" * 40
PASSWORD = "correct horse battery"


def close(app: Flask) -> None:
    """End the thread that follows the store, and give back the store's connections."""
    view = app.extensions[KEY].revocations
    view.stop()
    view.store.close()


def catalog() -> Roles:
    return Roles(Role("clerk", "orders:read"), Role("manager", "orders:*", includes="clerk"))


def make(store: str | None, **config: Any) -> Flask:
    app = Flask("revoking")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=store, **config)
    accounts = MemoryAccounts()
    accounts.add("ada", PASSWORD, roles=["manager"], subject="ada")
    Authz(app, roles=catalog(), accounts=accounts)
    app.add_url_rule("/orders", "orders", requires("orders:read")(lambda: get_jwt()["sub"]))
    app.add_url_rule("/open", "open", exempt(lambda: "open"))
    app.add_url_rule("/asks", "asks", lambda: str(allowed("orders:read")))
    app.register_blueprint(token_blueprint())
    return app


@pytest.fixture(params=["redis", "sqlite"])
def shared_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that several processes see."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'revocations.sqlite'}"
    else:
        yield request.getfixturevalue("redis_url")


@pytest.fixture(params=["memory", "redis", "sqlite"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    urls = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path / 'revocations.sqlite'}"}
    if request.param == "redis":
        urls["redis"] = request.getfixturevalue("redis_url")
    made = make(urls[request.param])
    with made.app_context():
        made.extensions[KEY].revocations.store.prepare()
    yield made
    close(made)


def status(app: Flask, token: str, path: str = "/orders") -> int:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def token_of(app: Flask, subject: str = "ada", role: str = "manager", **more: Any) -> str:
    with app.app_context():
        return authz_of(app).issue(subject, roles=[role], **more)


def authz_of(app: Flask) -> Authz:
    return app.extensions["jwt_authz"]  # type: ignore[no-any-return]


def revoke(app: Flask, **what: Any) -> None:
    with app.app_context():
        authz_of(app).revoke(**what)


def test_a_revoked_subject_is_refused_at_once_until_the_next_log_in(app: Flask) -> None:
    before = token_of(app)
    other = token_of(app, "bob")
    assert [status(app, before), status(app, before)] == [200, 200]
    revoke(app, subject="ada")
    refused = app.test_client().get("/orders", headers={"Authorization": f"Bearer {before}"})
    assert refused.status_code == 401
    assert refused.get_json()["type"] == "urn:jwt-authz:problem:token-revoked"
    assert status(app, other) == 200
    answer = app.test_client().post("/token", json={"username": "ada", "password": PASSWORD})
    assert status(app, answer.get_json()["access_token"]) == 200


def test_who_is_disabled_or_removed_and_revoked_is_out_and_no_later_user_is_taken_for_them(
    app: Flask,
) -> None:
    """SECURITY 2.36."""
    accounts = authz_of(app).accounts
    log_in = {"username": "eve", "password": PASSWORD}
    client = app.test_client()

    def logged_in() -> str | None:
        return client.post("/token", json=log_in).get_json().get("access_token")

    for end in (accounts.disable, accounts.remove):
        subject = accounts.add("eve", PASSWORD, roles=["manager"]).subject
        before = logged_in()
        assert before is not None
        assert status(app, before) == 200
        end(subject)
        revoke(app, subject=subject)
        assert status(app, before) == 401
        assert logged_in() is None
        if accounts.find(subject) is not None:
            accounts.remove(subject)
        accounts.add("eve", PASSWORD, roles=["manager"])
        after = logged_in()
        assert after is not None
        assert (status(app, before), status(app, after)) == (401, 200)
        accounts.remove(accounts.authenticate("eve", PASSWORD).subject)


def test_a_token_of_the_same_second_but_before_is_dead_and_a_log_in_right_after_works(
    app: Flask,
) -> None:
    for _ in range(20):
        before = token_of(app)
        revoke(app, subject="ada")
        after = token_of(app)
        assert [status(app, before), status(app, after)] == [401, 200]


def test_a_plain_token_of_fjes_own_making_is_stamped_alike(app: Flask) -> None:
    def plain() -> str:
        with app.app_context():
            return create_access_token("ada", additional_claims={"roles": ["clerk"]})

    before = plain()
    revoke(app, subject="ada")
    assert [status(app, before), status(app, plain())] == [401, 200]


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({"role": "manager"}, [401, 200, 401]),
        ({"role": "clerk"}, [401, 401, 401]),
        ({"tenant": "north"}, [200, 200, 401]),
        ({"everything": True}, [401, 401, 401]),
    ],
    ids=["role", "included role", "tenant", "everything"],
)
def test_each_kind_of_revocation_ends_those_tokens_and_no_others(
    app: Flask, what: dict[str, Any], left: list[int]
) -> None:
    """SECURITY 1.41, 2.33."""
    tokens = [
        token_of(app),
        token_of(app, "bob", "clerk"),
        token_of(app, "eve", "manager", tenant="north"),
    ]
    assert [status(app, token) for token in tokens] == [200, 200, 200]
    revoke(app, **what)
    assert [status(app, token) for token in tokens] == left


def test_one_token_is_ended_by_its_id(app: Flask) -> None:
    one, other = token_of(app), token_of(app)
    with app.test_request_context(headers={"Authorization": f"Bearer {one}"}):
        assert allowed()
        jti = get_jwt()["jti"]
    revoke(app, jti=jti)
    assert [status(app, one), status(app, other)] == [401, 200]


def test_what_asks_without_a_guard_sees_a_revocation_too(app: Flask) -> None:
    token = token_of(app)
    headers = {"Authorization": f"Bearer {token}"}
    client = app.test_client()
    assert client.get("/asks", headers=headers).text == "True"
    revoke(app, subject="ada")
    assert client.get("/asks", headers=headers).text == "False"


def test_another_process_applies_a_revocation_within_its_interval(shared_store: str) -> None:
    here, there = make(shared_store), make(shared_store)
    with here.app_context():
        here.extensions[KEY].revocations.store.prepare()
    token = token_of(here)
    assert [status(here, token), status(there, token)] == [200, 200]
    revoke(here, subject="ada")
    eventually(lambda: status(there, token) == 401)
    for app in (here, there):
        close(app)


def test_a_view_that_is_too_old_is_503_on_guarded_views_alone(shared_store: str) -> None:
    """SECURITY 2.50."""
    app = make(shared_store, AUTHZ_REVOCATION_MAX_AGE=PATIENCE)
    with app.app_context():
        app.extensions[KEY].revocations.store.prepare()
    token = token_of(app)
    assert status(app, token) == 200
    view = app.extensions[KEY].revocations
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(view), "age", lambda self: PATIENCE + 1)
        patch.setattr(view._keeper, "age", lambda: PATIENCE + 1)
        answer = app.test_client().get("/orders", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.mimetype == "application/problem+json"
        assert status(app, token, "/asks") == 503
        assert status(app, token, "/open") == 200
    assert status(app, token) == 200
    close(app)


@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_a_store_that_was_never_there_is_503_and_no_log_in() -> None:
    """SECURITY 1.27."""
    app = make("redis://127.0.0.1:1/0")
    answer = app.test_client().post("/token", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 503
    with app.app_context(), pytest.raises(StoreUnavailable):
        authz_of(app).revoke(subject="ada")
    assert app.test_client().get("/open").status_code == 200
    close(app)


def test_without_a_store_nothing_can_be_revoked_and_the_message_says_what_to_set() -> None:
    app = make(None)
    with app.app_context(), pytest.raises(MisuseError, match="set AUTHZ_STORE_URL to redis://"):
        authz_of(app).revoke(subject="ada")
    assert status(app, token_of(app)) == 200


def test_exactly_one_thing_is_revoked_at_a_time() -> None:
    app = make("memory:")
    for what in ({}, {"subject": "ada", "role": "clerk"}):
        with app.app_context(), pytest.raises(MisuseError):
            authz_of(app).revoke(**what)


def test_a_store_in_memory_under_several_processes_is_a_misuse() -> None:
    app = make("memory:")
    app.logger.disabled = True
    several = {"wsgi.multiprocess": True}
    assert app.test_client().get("/open", environ_overrides=several).status_code == 500


def test_the_command_prepares_the_store(tmp_path: Path) -> None:
    app = make(f"sqlite:///{tmp_path / f'{uuid.uuid4().hex}.sqlite'}")
    from jwt_authz.cli.main import authz as commands

    result = app.test_cli_runner().invoke(commands, ["init"])
    assert (result.exit_code, result.output) == (0, "the store of revocations is prepared\n")
    token = token_of(app)
    assert status(app, token) == 200
    close(app)


def test_the_tests_would_notice_a_cached_token_that_is_not_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: with the question taken out, a revoked token goes on."""
    app = make("memory:")
    token = token_of(app)
    assert status(app, token) == 200
    revoke(app, subject="ada")
    assert status(app, token) == 401
    monkeypatch.setattr(
        "jwt_authz.authentication.verified.Token.is_revoked", lambda self, view: False
    )
    assert status(app, token) == 200
