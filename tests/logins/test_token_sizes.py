"""Changes after which a token would be too long, and what becomes of a state that is so already."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager

from jwt_authz import Authz, Role, Roles
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.cli.main import authz as commands
from jwt_authz.endpoints import refresh_blueprint, token_blueprint
from tests.admin.application import PASSWORD as ADMIN_PASSWORD
from tests.admin.application import STORED, USERS, ask, close, make_app, tokens
from tests.admin.browsing import logged_in, send
from tests.endpoints.refreshing import authz_of
from tests.managed import PASSWORD, Process

pytestmark = pytest.mark.usefixtures("cheap_argon2")

MANY = [f"resource-number-{n}:read" for n in range(200)]
LONG = [f"a-role-of-a-long-name-{n:0100}" for n in range(50)]
ROLES = "/admin/api/roles"


@pytest.fixture
def administer(tmp_path: Path) -> Any:
    """Makes an application with its roles in the database, and what asks as ann, who has them."""
    made: list[Flask] = []

    def make(**settings: Any) -> tuple[Flask, Callable[..., Any]]:
        app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", STORED, **settings)
        made.append(app)
        token = tokens(app, "ann")["access_token"]
        return app, lambda method, path, **keywords: ask(app, token, method, path, **keywords)

    yield make
    for app in made:
        close(app)


def add_roles(app: Flask, who: str) -> None:
    """Have the roles of long names in the database, all included by a role that someone holds."""
    stored: Any = authz_of(app).roles_given
    for name in LONG:
        stored.add(name)
    stored.include(who, *LONG)
    with app.app_context():
        authz_of(app).reload_roles()


def assert_refused_with_sizes(answer: Any) -> None:
    assert answer.status_code == 409, answer.text
    assert answer.json["type"] == "urn:jwt-authz:problem:change-refused"
    assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in answer.json["detail"]
    assert "bytes as" in answer.json["detail"]


def test_the_api_gives_a_role_many_permissions_and_its_holders_log_in(administer: Any) -> None:
    app, as_ann = administer()
    stored: Any = authz_of(app).roles_given
    stored.grant("admin", *MANY)
    with app.app_context():
        authz_of(app).reload_roles()
    assert tokens(app, "ann")
    body = {"permissions": ["users:manage"], "includes": ["editor"]}
    assert as_ann("PUT", f"{ROLES}/admin", json=body).status_code == 200


def test_the_api_refuses_roles_that_fit_into_no_token(administer: Any) -> None:
    app, _ = administer()
    add_roles(app, "admin")
    token = tokens(app, "ann")["access_token"]
    path = f"{USERS}/bob/roles"
    assert_refused_with_sizes(ask(app, token, "PUT", path, json={"roles": ["editor", *LONG]}))
    assert tokens(app, "bob")
    body = {"username": "dan", "password": ADMIN_PASSWORD, "roles": LONG}
    assert_refused_with_sizes(ask(app, token, "POST", USERS, json=body))
    assert ask(app, token, "PUT", path, json={"roles": LONG[:10]}).status_code == 200
    assert tokens(app, "bob")


def test_what_is_forbidden_is_refused_before_its_size_is_looked_at(administer: Any) -> None:
    app, as_ann = administer()
    stored: Any = authz_of(app).roles_given
    for name in LONG:
        stored.add(name)
    with app.app_context():
        authz_of(app).reload_roles()
    body = {"username": "dan", "password": ADMIN_PASSWORD, "roles": LONG}
    for answer in (
        as_ann("PUT", f"{USERS}/bob/roles", json={"roles": ["editor", *LONG]}),
        as_ann("POST", USERS, json=body),
    ):
        assert answer.status_code == 403
        assert answer.json["type"] == "urn:jwt-authz:problem:role-not-held"


def test_the_page_refuses_roles_that_fit_into_no_token(administer: Any) -> None:
    app, _ = administer()
    add_roles(app, "admin")
    client = logged_in(app)
    for answer in (
        send(client, "user/bob/roles", roles=["editor", *LONG]),
        send(client, "new", username="dan", password=ADMIN_PASSWORD, roles=LONG),
    ):
        assert answer.status_code == 409
        assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in answer.text
        assert ADMIN_PASSWORD not in answer.text
    assert authz_of(app).accounts.find("bob").roles == ("editor",)  # type: ignore[union-attr]
    assert "dan" not in client.get("/admin/").text


def test_the_page_refuses_a_role_that_fits_into_no_token(administer: Any) -> None:
    app, _ = administer(AUTHZ_ENCODING="full")
    stored: Any = authz_of(app).roles_given
    stored.grant("admin", "*:*")
    with app.app_context():
        authz_of(app).reload_roles()
    client = logged_in(app)
    answer = send(client, "role/editor", permissions=MANY, level="0")
    assert answer.status_code == 409
    assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in answer.text
    assert tokens(app, "bob")


def test_the_api_refuses_permissions_that_do_not_fit_the_encoding_that_is_set(
    administer: Any,
) -> None:
    app, _ = administer(AUTHZ_ENCODING="full")
    stored: Any = authz_of(app).roles_given
    stored.grant("auditor", *(name.replace("read", "*") for name in MANY[:90]))
    stored.grant("admin", "*:*")
    with app.app_context():
        authz_of(app).reload_roles()
    token = tokens(app, "ann")["access_token"]
    body = {"permissions": MANY, "includes": []}
    assert_refused_with_sizes(ask(app, token, "PUT", f"{ROLES}/editor", json=body))
    assert tokens(app, "bob")


def test_the_roles_of_one_user_are_counted_together(start: Callable[..., Process]) -> None:
    here = start(AUTHZ_ENCODING="full")
    for name in ("clerk", "editor", "cook"):
        here.roles.add(name, *(MANY[:70] if name == "clerk" else ()))
    here.accounts.add("ann", PASSWORD, roles=["clerk", "editor"])
    assert here.run("roles", "grant", "cook", *MANY[70:140]).exit_code == 0
    result = here.run("roles", "grant", "editor", *MANY[70:140])
    assert result.exit_code == 1
    assert "with the roles clerk, editor would have" in result.stderr
    assert here.run("users", "grant", "ann", "cook").exit_code == 1
    assert "access_token" in here.log_in()


def test_the_commands_refuse_what_fits_into_no_token(start: Callable[..., Process]) -> None:
    here = start()
    for name in LONG:
        here.roles.add(name)
    here.accounts.add("ann", PASSWORD, roles=LONG[:3])
    for command in (("grant", "ann", *LONG), ("grant", "ann", "--tenant", "north", *LONG)):
        result = here.run("users", *command)
        assert result.exit_code == 1
        assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in result.stderr
        assert "bytes as 'roles'" in result.stderr
    given = [argument for name in LONG for argument in ("--role", name)]
    assert here.run("users", "add", "bob", "--no-password", *given).exit_code == 1
    assert here.accounts.named("bob") is None
    assert "access_token" in here.log_in()


@pytest.mark.parametrize("command", ["grant", "add", "include"])
def test_the_commands_refuse_a_role_that_fits_into_no_token(
    start: Callable[..., Process], command: str
) -> None:
    here = start(AUTHZ_ENCODING="full")
    here.roles.add("clerk", "orders:read")
    here.roles.add("many", *MANY)
    here.accounts.add("ann", PASSWORD, roles=["clerk"])
    given = {
        "grant": ("grant", "clerk", *MANY),
        "add": ("add", "new", *MANY),
        "include": ("include", "clerk", "many"),
    }
    result = here.run("roles", *given[command])
    assert result.exit_code == 1
    assert "bytes as 'full'" in result.stderr
    assert "access_token" in here.log_in()
    assert here.run("roles", "grant", "clerk", "orders:write").exit_code == 0


def test_a_change_that_makes_no_token_longer_is_not_refused(start: Callable[..., Process]) -> None:
    here = start()
    for name in LONG:
        here.roles.add(name)
    here.accounts.add("ann", PASSWORD, roles=LONG)
    assert here.run("users", "take", "ann", LONG[0]).exit_code == 0
    assert here.run("users", "grant", "ann", LONG[1]).exit_code == 0
    assert here.run("roles", "grant", LONG[1], "orders:read").exit_code == 0


def test_a_state_that_does_not_fit_is_a_problem_and_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture, start: Callable[..., Process]
) -> None:
    here = start()
    for name in LONG:
        here.roles.add(name)
    here.accounts.add("ann", PASSWORD, roles=LONG[:3])
    tokens = here.log_in()
    user = here.accounts.named("ann")
    assert user is not None
    here.accounts.grant_roles(user.subject, LONG)
    client = here.app.test_client()
    body = {"username": "ann", "password": PASSWORD}
    for answer in (client.post("/token", json=body), here.refresh(tokens)):
        assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
        assert answer.json["type"] == "urn:jwt-authz:problem:token-not-issued"
        assert "Retry-After" not in answer.headers
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert all("bytes as 'roles'" in record.getMessage() for record in errors)
    here.accounts.take_roles(user.subject, LONG[3:])
    assert here.refresh(tokens).status_code == 200  # the refresh token was not used up


def test_a_log_in_without_a_token_leaves_no_log_in_behind(start: Callable[..., Process]) -> None:
    here = start()
    for name in LONG:
        here.roles.add(name)
    here.accounts.add("ann", PASSWORD, roles=LONG)
    body = {"username": "ann", "password": PASSWORD}
    assert here.app.test_client().post("/token", json=body).status_code == 503
    user = here.accounts.named("ann")
    assert user is not None
    with here.app.app_context():
        assert authz_of(here.app).families(user.subject) == ()


def test_a_log_in_whose_claims_loader_fails_leaves_no_log_in_behind(
    start: Callable[..., Process],
) -> None:
    here = start()
    manager: JWTManager = here.app.extensions["flask-jwt-extended"]
    manager.additional_claims_loader(lambda subject: {}[subject])
    user = here.accounts.add("ann", PASSWORD)
    with here.app.app_context():
        with pytest.raises(KeyError):
            authz_of(here.app).log_in(user)
        assert authz_of(here.app).families(user.subject) == ()


def test_the_claims_of_the_application_count(start: Callable[..., Process]) -> None:
    here = start()
    manager: JWTManager = here.app.extensions["flask-jwt-extended"]
    manager.additional_claims_loader(lambda subject: {"more": 2_000 * "x"})
    for name in LONG[:15]:
        here.roles.add(name)
    here.accounts.add("ann", PASSWORD)
    assert here.run("users", "grant", "ann", *LONG[:15]).exit_code == 1
    assert here.run("users", "grant", "ann", LONG[0]).exit_code == 0
    assert "access_token" in here.log_in()


def test_a_claims_loader_that_fails_does_not_stop_a_change(start: Callable[..., Process]) -> None:
    here = start()
    manager: JWTManager = here.app.extensions["flask-jwt-extended"]
    manager.additional_claims_loader(lambda subject: {}[subject])
    here.roles.add("clerk", "orders:read")
    assert here.run("users", "add", "ann", "--no-password", "--role", "clerk").exit_code == 0


def checked(encoding: str, **settings: Any) -> Any:
    app = Flask("checked")
    app.config.update(JWT_SECRET_KEY=64 * "c", AUTHZ_ENCODING=encoding, **settings)
    Authz(app, roles=Roles(Role("clerk", "a:read"), Role("many", *MANY)))
    return app.test_cli_runner().invoke(commands, ["check"])


def test_the_check_names_each_role_whose_tokens_fit_in_no_encoding() -> None:
    result = checked("full")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "'many'" in line
    assert "bytes as 'full'" in line
    assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in line
    assert checked("auto").exit_code == 0
    assert "no one can log in" in checked("auto", AUTHZ_MAX_TOKEN_BYTES=100).stderr


def test_tokens_are_measured_while_the_store_does_not_answer() -> None:
    store = "redis://127.0.0.1:1/0"
    result = checked("full", AUTHZ_STORE_URL=store)
    assert result.exit_code == 1
    assert "'many'" in result.stderr

    accounts, app = MemoryAccounts(), Flask("granted")
    app.config.update(JWT_SECRET_KEY=64 * "c", AUTHZ_ENCODING="full", AUTHZ_STORE_URL=store)
    accounts.add("ann", PASSWORD)
    Authz(app, roles=Roles(Role("many", *MANY)), accounts=accounts)
    result = app.test_cli_runner().invoke(commands, ["users", "grant", "ann", "many"])
    assert result.exit_code == 1
    assert "AUTHZ_MAX_TOKEN_BYTES is 4096" in result.stderr


def test_the_check_asks_no_claims_loader_and_needs_no_key() -> None:
    app = Flask("checked")
    app.config.update(JWT_SECRET_KEY=64 * "c")
    Authz(app, roles=Roles(Role("clerk", "a:read")))
    manager: JWTManager = app.extensions["flask-jwt-extended"]
    asked: list[Any] = []
    manager.additional_claims_loader(lambda subject: asked.append(subject) or {})
    assert app.test_cli_runner().invoke(commands, ["check"]).exit_code == 0
    assert asked == []


@pytest.mark.parametrize("encoding", ["full", "compact", "roles"])
def test_the_sizes_computed_are_those_of_the_tokens_of_a_log_in(encoding: str) -> None:
    """A limit of exactly the size lets the change through, and one less refuses it."""
    size = 0
    for limit in (16_000, None, -1):
        app = Flask("sized")
        app.config.update(JWT_SECRET_KEY=64 * "s", AUTHZ_ENCODING=encoding, AUTHZ_LOGIN_RATE="")
        app.config["AUTHZ_MAX_TOKEN_BYTES"] = limit if limit and limit > 0 else size + (limit or 0)
        app.config["AUTHZ_STORE_URL"] = "memory:"
        accounts = MemoryAccounts()
        user = accounts.add("ann", PASSWORD, tenant="north", subject=32 * "s")
        Authz(app, roles=Roles(Role("many", *MANY)), accounts=accounts)
        app.register_blueprint(token_blueprint())
        app.register_blueprint(refresh_blueprint())
        result = app.test_cli_runner().invoke(commands, ["users", "grant", "ann", "many"])
        assert result.exit_code == (1 if limit == -1 else 0), result.output
        if limit == -1:
            continue
        body = {"username": user.username, "password": PASSWORD}
        for _ in range(8):  # a time whose last digit is 0 is written shorter
            answer = app.test_client().post("/token", json=body)
            answer = app.test_client().post(
                "/token/refresh", json={"refresh_token": answer.json["refresh_token"]}
            )
            size = max(size, len(answer.json["access_token"]))
