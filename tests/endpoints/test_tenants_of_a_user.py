"""A user with roles in several tenants: which of them a log-in gives, and a refresh keeps.

SECURITY 1.41, 2.33.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from jwt_authz import Authz, Role, Roles, requires
from jwt_authz.accounts import ManagedAccounts, TenantAccounts, User, models
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts, SQLAlchemyRoles
from jwt_authz.endpoints import password_blueprint, refresh_blueprint, token_blueprint
from jwt_authz.errors import MisuseError
from jwt_authz.guards.tenants import same_tenant
from tests.edge import bearer

from .refreshing import close

PASSWORD = "correct horse battery staple"
ROLES = Roles(Role("clerk", "orders:read"), Role("boss", "orders:*", includes="clerk"))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Ada is a clerk of acme, which is her own tenant, and the boss of north."""
    if request.param == "memory":
        yield filled(MemoryAccounts())
        return
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("new_schema")()
    engine = create_engine(url)
    models.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    for role in ROLES.values():
        SQLAlchemyRoles(sessions, models.Role).add(
            role.name, *role.permissions, includes=role.includes
        )
    yield filled(SQLAlchemyAccounts(sessions, models.User))
    engine.dispose()


def filled(accounts: Any) -> Any:
    accounts.add("ada", PASSWORD, roles=["clerk"], tenant="acme", subject="ada")
    accounts.add("bob", PASSWORD, roles=["clerk"], tenant="north", subject="bob")
    accounts.grant_roles("ada", ["boss"], tenant="north")
    return accounts


@pytest.fixture
def app(accounts: Any) -> Iterator[Flask]:
    made = app_on(accounts)
    yield made
    close(made)


def app_on(accounts: Any) -> Flask:
    app = Flask("tenants of a user")
    app.config.update(JWT_SECRET_KEY="t" * 64, AUTHZ_STORE_URL="memory:", AUTHZ_LOGIN_RATE="")
    Authz(app, roles=ROLES, accounts=accounts, default="deny")
    for page in (token_blueprint(), refresh_blueprint()):
        app.register_blueprint(page)
    if isinstance(accounts, ManagedAccounts):
        app.register_blueprint(password_blueprint())
    for method, asked in (("GET", "orders:read"), ("POST", "orders:write")):
        view = requires(asked, same_tenant("org"))(lambda org: org)
        app.add_url_rule("/orgs/<org>/orders", method, view, methods=[method])
    return app


def log_in(app: Flask, tenant: Any = None, password: str = PASSWORD) -> Any:
    body = {"username": "ada", "password": password}
    return app.test_client().post(
        "/token", json=body if tenant is None else {**body, "tenant": tenant}
    )


def statuses(app: Flask, token: str) -> dict[tuple[str, str], int]:
    """Return the responses for the bearer of a token, by method and tenant."""
    return {
        (method, org): app.test_client()
        .open(f"/orgs/{org}/orders", method=method, headers=bearer(token))
        .status_code
        for method in ("GET", "POST")
        for org in ("acme", "north")
    }


def refreshed(app: Flask, tokens: Any) -> Any:
    return app.test_client().post(
        "/token/refresh", json={"refresh_token": tokens.json["refresh_token"]}
    )


CLERK_OF_ACME = {
    ("GET", "acme"): 200, ("GET", "north"): 403, ("POST", "acme"): 403, ("POST", "north"): 403,
}  # fmt: skip
BOSS_OF_NORTH = {
    ("GET", "acme"): 403, ("GET", "north"): 200, ("POST", "acme"): 403, ("POST", "north"): 200,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tenant", "expected"),
    [(None, CLERK_OF_ACME), ("acme", CLERK_OF_ACME), ("north", BOSS_OF_NORTH)],
)
def test_a_log_in_gives_the_roles_of_the_tenant_that_it_names_and_a_refresh_keeps_to_it(
    app: Flask, tenant: str | None, expected: dict[tuple[str, str], int]
) -> None:
    tokens = log_in(app, tenant)
    for _ in range(3):
        assert statuses(app, tokens.json["access_token"]) == expected
        tokens = refreshed(app, tokens)


def test_a_tenant_in_which_one_has_no_role_is_refused_after_the_password_alone(app: Flask) -> None:
    answer = log_in(app, "south")
    assert (answer.status_code, answer.json["type"]) == (
        403,
        "urn:jwt-authz:problem:no-role-in-tenant",
    )
    wrong = [log_in(app, tenant, "a wrong password") for tenant in ("south", "north", "acme")]
    assert {answer.status_code for answer in wrong} == {401}
    assert len({answer.json["detail"] for answer in wrong}) == 1


@pytest.mark.parametrize("tenant", ["", 7, ["north"], 256 * "n", {"a": 1}])
def test_a_tenant_that_is_not_a_string_is_refused(app: Flask, tenant: Any) -> None:
    assert log_in(app, tenant).status_code == 400


def test_a_tenant_that_nobody_can_have_is_refused(app: Flask) -> None:
    assert log_in(app, "n\0rth").status_code == 403


@pytest.mark.slow
def test_what_is_taken_in_one_tenant_is_gone_there_at_the_next_refresh_and_stays_elsewhere(
    app: Flask, accounts: Any
) -> None:
    at_home, away = log_in(app), log_in(app, "north")
    accounts.grant_roles("ada", ["clerk"], tenant="north")
    user = accounts.take_roles("ada", ["boss"], tenant="north")
    assert (user.tenant, user.roles) == ("north", ("clerk",))
    away = refreshed(app, away)
    assert statuses(app, away.json["access_token"])["POST", "north"] == 403
    accounts.take_roles("ada", ["clerk"], tenant="north")
    assert refreshed(app, away).status_code == 401
    assert log_in(app, "north").status_code == 403
    at_home = refreshed(app, at_home)
    assert statuses(app, at_home.json["access_token"]) == CLERK_OF_ACME


def test_a_tenants_revocation_ends_the_log_ins_to_it_alone(app: Flask) -> None:
    at_home, away = log_in(app), log_in(app, "north")
    with app.app_context():
        app.extensions["jwt_authz"].revoke(tenant="north")
    assert set(statuses(app, away.json["access_token"]).values()) == {401}
    assert refreshed(app, away).status_code == 401
    assert statuses(app, at_home.json["access_token"]) == CLERK_OF_ACME
    assert refreshed(app, at_home).status_code == 200


def test_a_disabled_user_is_so_in_all_tenants(app: Flask, accounts: Any) -> None:
    away = log_in(app, "north")
    accounts.disable("ada")
    assert log_in(app, "north").status_code == 401
    assert refreshed(app, away).status_code == 401


@pytest.mark.slow
def test_a_change_of_password_goes_on_in_the_tenant_that_one_is_logged_in_to(app: Flask) -> None:
    away = log_in(app, "north").json["access_token"]
    body = {"old_password": PASSWORD, "new_password": "another good password"}
    changed = app.test_client().put("/me/password", json=body, headers=bearer(away))
    assert changed.status_code == 200, changed.text
    assert statuses(app, changed.json["access_token"]) == BOSS_OF_NORTH
    assert statuses(app, refreshed(app, changed).json["access_token"]) == BOSS_OF_NORTH


def test_roles_in_ones_own_tenant_are_those_one_has_without_naming_it(accounts: Any) -> None:
    assert accounts.grant_roles("ada", ["boss"], tenant="acme").roles == ("boss", "clerk")
    assert accounts.find("ada").roles == ("boss", "clerk")
    assert accounts.find_in("ada", "acme") == accounts.find("ada")
    accounts.take_roles("ada", ["boss", "clerk"], tenant="acme")
    assert accounts.find_in("ada", "acme").roles == ()


def test_who_has_no_part_in_a_tenant_is_not_found_in_it(accounts: Any) -> None:
    assert accounts.find_in("ada", "south") is None
    assert accounts.find_in("nobody", "north") is None
    assert accounts.find_in("ada", "n\0rth") is None
    assert accounts.find_in("ada", "north") == User("ada", "ada", ("boss",), "north")
    assert accounts.grant_roles("ada", ["boss"], tenant="north").roles == ("boss",)
    with pytest.raises(MisuseError, match="cannot be stored"):
        accounts.grant_roles("ada", ["boss"], tenant=256 * "n")


def test_a_user_who_is_removed_and_made_again_has_no_part_in_the_tenants_of_the_former(
    accounts: Any,
) -> None:
    accounts.remove("ada")
    accounts.add("ada", PASSWORD, roles=["clerk"], tenant="acme", subject="ada")
    assert accounts.find_in("ada", "north") is None


class OneTenant:
    """Accounts of an application's own, from before there were several."""

    def __init__(self) -> None:
        self.inner = filled(MemoryAccounts())

    def authenticate(self, username: str, password: str) -> Any:
        return self.inner.authenticate(username, password)

    def find(self, subject: str) -> Any:
        return self.inner.find(subject)


def test_accounts_that_know_one_tenant_of_a_user_let_in_to_that_one() -> None:
    app = app_on(OneTenant())
    assert not isinstance(OneTenant(), TenantAccounts)
    assert log_in(app, "north").status_code == 403
    for tenant in (None, "acme"):
        tokens = log_in(app, tenant)
        assert statuses(app, refreshed(app, tokens).json["access_token"]) == CLERK_OF_ACME
    close(app)


def test_a_refresh_does_not_go_over_to_ones_own_tenant_where_there_is_but_one_of_a_user(
    app: Flask,
) -> None:
    away = log_in(app, "north")
    app.extensions["jwt_authz.state"].accounts = OneTenant()
    assert refreshed(app, away).status_code == 401


@pytest.mark.slow
def test_a_refresh_token_names_the_tenant_only_where_it_is_not_ones_own(app: Flask) -> None:
    claims = [
        jwt.decode(log_in(app, tenant).json["refresh_token"], options={"verify_signature": False})
        for tenant in (None, "acme", "north")
    ]
    assert [one.get("authz_tenant") for one in claims] == [None, None, "north"]


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["north", "nowhere", 7, ["north"]])
def test_a_claim_of_the_applications_own_in_all_tokens_leads_no_refresh_to_another_tenant(
    app: Flask, claim: Any
) -> None:
    app.extensions["flask-jwt-extended"].additional_claims_loader(lambda _: {"tenant": claim})
    tokens = refreshed(app, log_in(app))
    assert statuses(app, tokens.json["access_token"]) == CLERK_OF_ACME
