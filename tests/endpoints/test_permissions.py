"""`GET /me/permissions`: one's own rights, with an ETag that changes when they do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser

from jwt_authz import Authz, Identity, Role, Roles
from jwt_authz.endpoints import permissions_blueprint
from jwt_authz.policy.permissions import Permission, PermissionSet
from jwt_authz.testing import acting_as, authz_client

PAGE = Path(__file__).parents[2] / "docs" / "my-permissions.md"


def make_app(*more: str, **settings: Any) -> Flask:
    app = Flask("shop")
    app.config.update({"JWT_SECRET_KEY": "k" * 64, **settings})
    clerk = Role("clerk", "orders:read", "stock:*", *more, level=1)
    Authz(app, roles=Roles(clerk, Role("manager", "orders:refund", includes="clerk", level=2)))
    app.register_blueprint(permissions_blueprint())
    return app


def test_it_tells_the_callers_own_rights() -> None:
    client = authz_client(make_app(), roles=["manager"], tenant="acme", scope="b a")
    assert client.get("/me/permissions").json == {
        "permissions": ["orders:read", "orders:refund", "stock:*"],
        "roles": ["manager"],
        "scopes": ["a", "b"],
        "level": 2,
        "tenant": "acme",
    }


def test_a_caller_who_is_not_identified_is_refused() -> None:
    assert make_app().test_client().get("/me/permissions").status_code == 401


def test_it_may_be_kept_and_has_to_be_asked_about_each_time() -> None:
    answer = authz_client(make_app(), roles=["clerk"]).get("/me/permissions")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"] == "Authorization"


def etag(app: Flask, **caller: Any) -> str:
    tag = authz_client(app, **caller).get("/me/permissions").headers["ETag"]
    assert re.fullmatch('"[0-9a-f]{32}"', tag)
    return tag


def test_an_answer_that_is_known_is_304() -> None:
    app = make_app()
    client = authz_client(app, roles=["clerk"])
    known = {"If-None-Match": etag(app, roles=["clerk"])}
    answer = client.get("/me/permissions", headers=known)
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["Vary"] == "Authorization" and answer.headers["ETag"]
    other = authz_client(app, roles=["manager"]).get("/me/permissions", headers=known)
    assert other.status_code == 200


def test_the_etag_is_the_same_for_the_same_rights() -> None:
    app = make_app()
    assert etag(app, roles=["clerk"], subject="ann") == etag(app, roles=["clerk"], subject="bob")
    assert etag(make_app(), roles=["clerk"]) == etag(app, roles=["clerk"])


@pytest.mark.parametrize(
    "other",
    [
        {"roles": ["manager"]},
        {"roles": ["clerk"], "permissions": ["orders:read"]},
        {"roles": ["clerk"], "scope": "a"},
        {"roles": ["clerk"], "tenant": "acme"},
    ],
)
def test_the_etag_changes_with_the_rights(other: dict[str, Any]) -> None:
    app = make_app()
    assert etag(app, roles=["clerk"]) != etag(app, **other)


def test_the_etag_of_a_token_changes_with_the_catalog() -> None:
    old, new = make_app(), make_app("orders:list")
    client = authz_client(old, roles=["clerk"])
    header = client.environ_base["HTTP_AUTHORIZATION"]
    answers = [
        app.test_client().get("/me/permissions", headers={"Authorization": header})
        for app in (old, new)
    ]
    assert "orders:list" in answers[1].json["permissions"]
    assert answers[0].headers["ETag"] != answers[1].headers["ETag"]


def test_without_a_catalog_it_shows_what_the_token_says() -> None:
    app = Flask("plain")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app)
    app.register_blueprint(permissions_blueprint("/rights"))
    rights = authz_client(app, permissions=["a:b"]).get("/rights").json
    assert rights == {"permissions": ["a:b"], "roles": [], "scopes": [], "level": 0}


def test_an_object_that_is_not_an_identity_is_a_misuse_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app()
    with acting_as(app, "a name alone"):
        assert app.test_client().get("/me/permissions").status_code == 500
    assert "return an Identity from the identity loader" in caplog.text
    with acting_as(app, Identity("ann", permissions=["a:b"])):
        assert app.test_client().get("/me/permissions").json["permissions"] == ["a:b"]


HELD = ["orders:read", "stock:*", "*:list", "deep/er.-_x:y"]
ASKED = [
    *("orders:read", "orders:write", "stock:read", "stock:any/thing", "stocks:read", "a:list"),
    *("list:a", "orders:*", "*:*", "stock:*", "*:list", "deep/er.-_x:y", "deep/er.-_x:z"),
]


@pytest.mark.parametrize("held", [HELD, ["*:*"], []], ids=["some", "all", "none"])
def test_the_recipe_for_a_front_end_agrees_with_the_server(
    browser: Browser, held: list[str]
) -> None:
    (script,) = re.findall(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL)
    page = browser.new_page()
    said = page.evaluate(
        f"([held, asked]) => {{ {script}\n return asked.map(one => may(held, one)); }}",
        [held, ASKED],
    )
    page.close()
    holds = PermissionSet(held)
    assert said == [holds.covers(Permission.parse(one).covered_by) for one in ASKED]
