"""Tokens that outlive a change of the catalog: applications of one key, before and after."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import create_access_token

from jwt_authz import Authz, Identity, Role, Roles, current_identity, has_level, requires
from jwt_authz.tokens.encodings import ENCODINGS
from tests.edge import bare_app, get

BEFORE = Roles(
    Role("reader", "orders:read", "orders:list", level=1),
    Role("clerk", "orders:create", includes="reader", level=2),
    Role("auditor", "orders:refund", "stock:read"),
)
AFTER = Roles(
    Role("reader", "orders:list", "stock:read", level=1),
    Role("clerk", "orders:create", includes="reader", level=3),
    Role("auditor", "orders:refund", "orders:read"),
)
PERMISSIONS = ("orders:read", "orders:list", "orders:create", "stock:read", "orders:refund")


def app_with(roles: Roles, **config: Any) -> Flask:
    """An application with a view for each permission, one for a level, and one for anybody."""
    app = bare_app(**config)
    Authz(app, roles=roles)
    for name in PERMISSIONS:
        app.add_url_rule(f"/{name}", name, requires(name)(lambda: "in"))
    app.add_url_rule("/level", "level", requires(has_level(3))(lambda: "in"))
    app.add_url_rule("/me", "me", requires()(lambda: str(current_identity.is_outdated)))
    return app


def issue(app: Flask, **given: Any) -> str:
    authz: Authz = app.extensions["jwt_authz"]
    with app.app_context():
        return authz.issue("ada", **given)


def plain(app: Flask, **claims: Any) -> str:
    with app.app_context():
        return create_access_token("ada", additional_claims=claims)


def open_to(app: Flask, token: str) -> set[str]:
    """The permissions whose views answer; any other answer than yes and no is an error."""
    client = app.test_client()
    answers = {name: get(client, f"/{name}", token).status_code for name in PERMISSIONS}
    assert set(answers.values()) <= {200, 403}, answers
    return {name for name, status in answers.items() if status == 200}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("make", [issue, plain])
def test_what_a_role_lost_is_refused_at_once_and_what_it_gained_is_allowed(
    make: Any, encoding: str
) -> None:
    before, after = (app_with(roles, AUTHZ_ENCODING=encoding) for roles in (BEFORE, AFTER))
    for name in BEFORE:
        token = make(before, roles=[name])
        assert open_to(before, token) == set(BEFORE.permissions_of([name]))
        assert open_to(after, token) == set(AFTER.permissions_of([name]))


def test_a_level_is_that_of_today() -> None:
    token = issue(app_with(BEFORE), roles=["clerk"])
    assert get(app_with(BEFORE).test_client(), "/level", token).status_code == 403
    assert get(app_with(AFTER).test_client(), "/level", token).status_code == 200


@pytest.mark.parametrize("config", [{}, {"AUTHZ_CACHE_BYTES": 0}], ids=["kept", "cold"])
def test_two_applications_in_one_process_answer_one_token_each_by_its_own_catalog(
    config: dict[str, Any],
) -> None:
    before, after = app_with(BEFORE, **config), app_with(AFTER, **config)
    token = issue(before, roles=["reader"])
    for _ in range(3):
        assert open_to(before, token) == {"orders:read", "orders:list"}
        assert open_to(after, token) == {"orders:list", "stock:read"}
        assert get(before.test_client(), "/me", token).text == "False"
        assert get(after.test_client(), "/me", token).text == "True"


def test_a_token_from_after_the_change_is_read_by_a_process_from_before_it() -> None:
    token = issue(app_with(AFTER), roles=["reader"])
    assert open_to(app_with(BEFORE), token) == {"orders:read", "orders:list"}


@pytest.mark.parametrize("make", [issue, plain])
def test_permissions_of_a_tokens_own_are_the_same_before_and_after(make: Any) -> None:
    before, after = app_with(BEFORE), app_with(AFTER)
    token = make(before, roles=["reader"], permissions=["orders:read", "orders:refund"])
    assert open_to(before, token) == open_to(after, token) == {"orders:read", "orders:refund"}
    assert get(after.test_client(), "/me", token).text == "False"


def test_compact_permissions_of_a_tokens_own_are_refused_after_a_change() -> None:
    before, after = (app_with(roles, AUTHZ_ENCODING="compact") for roles in (BEFORE, AFTER))
    token = issue(before, roles=["reader"], permissions=["orders:read"])
    assert open_to(before, token) == {"orders:read"}
    assert get(after.test_client(), "/orders:read", token).status_code == 401


def test_claims_of_one_application_in_a_token_of_another_say_whose_they_are() -> None:
    before, after = app_with(BEFORE), app_with(AFTER)
    with before.app_context():
        claims = before.extensions["jwt_authz"].claims(roles=["reader"])
    assert open_to(after, plain(after, **claims)) == {"orders:list", "stock:read"}


def test_the_version_beside_completed_permissions_is_not_the_applications_to_give() -> None:
    before, after = app_with(BEFORE), app_with(AFTER)
    token = plain(before, roles=["reader"], catalogue=AFTER.fingerprint)
    assert open_to(before, token) == {"orders:read", "orders:list"}
    assert open_to(after, token) == {"orders:list", "stock:read"}


def test_an_identity_loader_that_builds_on_the_librarys_own_reading_follows_the_change() -> None:
    after = app_with(AFTER)
    authz: Authz = after.extensions["jwt_authz"]

    @authz.identity_loader
    def load(subject: str, claims: dict[str, Any]) -> Identity:
        return authz.read_identity(subject, claims)

    token = issue(app_with(BEFORE), roles=["reader"])
    assert open_to(after, token) == {"orders:list", "stock:read"}
    assert get(after.test_client(), "/me", token).text == "True"


def test_the_tests_of_a_change_would_notice_catalogs_that_look_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Roles, "fingerprint", 16 * "x")
    before, after = (app_with(Roles(*roles.values())) for roles in (BEFORE, AFTER))
    assert open_to(after, issue(before, roles=["reader"])) == {"orders:read", "orders:list"}


def test_permissions_that_were_narrowed_by_hand_are_never_widened_by_a_change() -> None:
    before = app_with(BEFORE)
    with before.app_context():
        claims = before.extensions["jwt_authz"].claims(roles=["auditor"])
        token = create_access_token("ada", additional_claims={**claims, "permissions": []})
    for app in (before, app_with(AFTER)):
        statuses = {get(app.test_client(), f"/{name}", token).status_code for name in PERMISSIONS}
        assert statuses == {403}
