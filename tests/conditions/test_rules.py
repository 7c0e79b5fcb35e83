"""Rules: an action on a model, registered once, and what every verb and report makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.local import LocalProxy

from jwt_authz import (
    Authz,
    Identity,
    MisuseError,
    NotAllowed,
    Permission,
    Requirement,
    Role,
    Roles,
    allowed,
    attr,
    authorize,
    has_permission,
    has_role,
    requirement,
    requires,
)
from jwt_authz.cli.main import authz as commands
from jwt_authz.conditions import subject
from jwt_authz.guards.overrides import Additional, Override, additions, overrides
from jwt_authz.inspection.access import answer as answer_for
from jwt_authz.inspection.access import depends_on, read_access
from jwt_authz.inspection.matrix import read_matrix
from jwt_authz.policy.decision import DEPENDS
from tests.edge import bare_app, catalog, get, token_for


@dataclass
class Article:
    owner: str | None = "ada"
    status: str = "draft"


class Essay(Article):
    pass


class Poem(Essay):
    pass


pytestmark = pytest.mark.usefixtures("nothing_is_pushed")

OWN = attr("owner") == subject


@pytest.fixture
def authz() -> Authz:
    return Authz(roles=catalog())


@pytest.fixture
def app(authz: Authz) -> Iterator[Flask]:
    app = bare_app()
    authz.init_app(app)
    with app.app_context():
        yield app


def who(name: str = "ada", *roles: str) -> Identity:
    return Identity(name, roles=roles, catalogue=catalog())


@pytest.mark.usefixtures("app")
def test_a_rule_answers_the_permission_on_an_object_of_its_model(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    assert allowed("article:edit", on=Article("ada"), identity=who("ada"))
    assert not allowed("article:edit", on=Article("bob"), identity=who("ada"))
    assert authorize(has_permission("article:edit"), on=Article(), identity=who()) == Article()
    with pytest.raises(NotAllowed):
        authorize("article:edit", on=Article("bob"), identity=who())


@pytest.mark.usefixtures("app")
def test_the_rule_is_the_whole_answer_whatever_permissions_someone_holds(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    assert not allowed("article:edit", on=Article("bob"), identity=who("ada", "admin"))
    assert allowed("article:edit", on=Article("ada"), identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_inside_a_rule_its_own_permission_is_asked_for_as_it_stands(authz: Authz) -> None:
    authz.rule("article:edit", Article, "article:edit" & OWN)
    assert allowed("article:edit", on=Article("ada"), identity=who("ada", "editor"))
    assert not allowed("article:edit", on=Article("ada"), identity=who("ada"))
    assert not allowed("article:edit", on=Article("bob"), identity=who("ada", "editor"))


@pytest.mark.usefixtures("app")
def test_inside_a_rule_another_permission_is_answered_by_its_rule(authz: Authz) -> None:
    authz.rule("article:delete", Article, "article:edit" & (attr("status") == "draft"))
    authz.rule("article:edit", Article, OWN)
    assert allowed("article:delete", on=Article("ada"), identity=who("ada"))
    assert not allowed("article:delete", on=Article("bob"), identity=who("ada", "admin"))


def test_rules_that_ask_for_each_other_are_a_misuse_that_the_check_tells(
    authz: Authz, app: Flask
) -> None:
    authz.rule("article:delete", Article, "article:edit" | OWN)
    authz.rule("article:edit", Article, "article:delete" | OWN)
    with pytest.raises(MisuseError, match="refer to each other"):
        allowed("article:edit", on=Article(), identity=who())
    with pytest.raises(MisuseError, match="refer to each other"):
        authz.check()


@pytest.mark.usefixtures("app")
def test_without_a_resource_the_permission_is_asked_for_as_it_stands(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    assert allowed("article:edit", identity=who("ada", "editor"))
    assert not allowed("article:edit", identity=who("ada", "viewer"))


@pytest.mark.usefixtures("app")
def test_a_resource_of_another_class_is_asked_for_by_the_permission(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    assert not allowed("article:edit", on={"owner": "ada"}, identity=who("ada"))
    assert allowed("article:edit", on={"owner": "bob"}, identity=who("ada", "editor"))


@pytest.mark.usefixtures("app")
def test_the_nearest_class_that_has_a_rule_counts(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    assert allowed("article:edit", on=Poem("ada"), identity=who("ada"))
    authz.rule("article:edit", Essay, attr("status") == "open")
    assert not allowed("article:edit", on=Poem("ada"), identity=who("ada"))
    assert allowed("article:edit", on=Essay("bob", "open"), identity=who("ada"))
    assert allowed("article:edit", on=Article("ada"), identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_a_proxy_is_asked_about_as_what_it_stands_for(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    proxy = LocalProxy(lambda: Article("bob"))
    assert not allowed("article:edit", on=proxy, identity=who("ada", "editor"))


@pytest.mark.usefixtures("app")
def test_a_rule_stands_in_everywhere_in_a_requirement(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    whole = ~has_permission("article:edit") & (has_role("viewer") | "article:edit")
    assert allowed(whole, on=Article("bob"), identity=who("ada", "editor"))
    assert not allowed(whole, on=Article("ada"), identity=who("ada", "editor"))
    assert not allowed(~has_permission("article:edit"), on=Article(None), identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_a_permission_inside_a_requirement_of_another_making_is_refused(authz: Authz) -> None:
    class Both(Requirement):
        def __init__(self, *parts: Requirement) -> None:
            self.held = parts

        @property
        def parts(self) -> tuple[Requirement, ...]:
            return self.held

        def fulfill(self, identity: Any) -> bool:
            return True

    authz.rule("article:edit", Article, OWN)
    with pytest.raises(MisuseError, match="combine the parts with"):
        allowed(Both(has_permission("article:edit")), on=Article(), identity=who())
    assert allowed(Both(has_role("viewer")), on=Article(), identity=who())


def test_one_authz_serves_its_rules_to_several_applications(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    for name in ("one", "two"):
        app = bare_app(name=name)
        authz.init_app(app)
        with app.app_context():
            assert allowed("article:edit", on=Article("ada"), identity=who("ada"))
    other = bare_app(name="other")
    Authz(other, roles=catalog())
    with other.app_context():
        assert not allowed("article:edit", on=Article("ada"), identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_a_rule_that_is_registered_later_counts_from_then_on(authz: Authz) -> None:
    assert not allowed("article:edit", on=Essay("ada"), identity=who("ada"))
    authz.rule("article:edit", Article, OWN)
    assert allowed("article:edit", on=Essay("ada"), identity=who("ada"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("article:edit", Article, OWN), "already has a rule for Article"),
        (("article:*", Article, OWN), "one action"),
        (("article", Article, OWN), "resource:action"),
        (("article:delete", Article(), OWN), "pass the class"),
        (("article:delete", Article, attr("owner")), "Invalid requirement"),
        (("article:delete", Article, True), "Invalid requirement"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    authz: Authz, arguments: tuple[Any, Any, Any], message: str
) -> None:
    authz.rule("article:edit", Article, OWN)
    with pytest.raises(MisuseError) as raised:
        authz.rule(*arguments)
    assert message in str(raised.value)


def test_a_rule_gives_back_its_requirement(authz: Authz) -> None:
    assert authz.rule(Permission.parse("article:edit"), Article, "a:b" & OWN) == ("a:b" & OWN)


@pytest.mark.usefixtures("app")
def test_a_rule_may_hold_a_function(authz: Authz) -> None:
    @requirement("is the owner")
    def owner(identity: Identity, article: Article) -> bool:
        return identity.subject == article.owner

    authz.rule("article:edit", Article, owner)
    assert allowed("article:edit", on=Article("ada"), identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_an_override_of_the_permission_stands_in_for_the_rule(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    with overrides.override(Override("article:edit")):
        assert allowed("article:edit", on=Article("bob"), identity=who("ada"))
    with overrides.override(Override(OWN)):
        assert allowed("article:edit", on=Article("bob"), identity=who("ada"))
    assert not allowed("article:edit", on=Article("bob"), identity=who("ada"))


@pytest.mark.usefixtures("app")
def test_an_addition_that_has_a_rule_is_answered_by_it(authz: Authz) -> None:
    authz.rule("article:edit", Article, OWN)
    with additions.additional(Additional("article:edit")):
        assert allowed(has_role("viewer"), on=Article("ada"), identity=who("ada", "viewer"))
        assert not allowed(has_role("viewer"), on=Article("bob"), identity=who("ada", "editor"))


def test_a_decorator_with_a_loader_asks_the_rule(authz: Authz, app: Flask) -> None:
    authz.rule("article:correct", Article, OWN | has_role("admin"))

    @app.get("/<owner>")
    @requires("article:correct", on=lambda owner: Article(owner))
    def show(owner: str) -> str:
        return owner

    client = app.test_client()
    assert get(client, "/ada", token_for(app, "ada")).status_code == 200
    refused = get(client, "/bob", token_for(app, "ada"))
    assert refused.status_code == 403
    assert (OWN | has_role("admin")).sentence in refused.get_json()["detail"]
    assert get(client, "/bob", token_for(app, "ada", "admin")).status_code == 200


def test_the_check_knows_an_action_that_has_a_rule_and_is_asked_of_a_resource(
    authz: Authz, app: Flask
) -> None:
    loaded = requires("article:correct", on=lambda: Article())(lambda: "in")
    app.add_url_rule("/loaded", "loaded", loaded)
    with pytest.raises(MisuseError, match="no role grants 'article:correct'"):
        authz.check()
    authz.rule("article:correct", Article, OWN)
    assert authz.check() == []
    app.add_url_rule("/bare", "bare", requires("article:correct")(lambda: "in"))
    with pytest.raises(MisuseError, match="bare: no role grants 'article:correct'"):
        authz.check()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (has_role("edtior") | OWN, "no role is named 'edtior'"),
        ("article:correct" & OWN, "no role grants 'article:correct'"),
        ("article:raed" & OWN, "no role grants 'article:raed'"),
    ],
)
@pytest.mark.usefixtures("app")
def test_the_check_tells_of_names_in_a_rule_that_the_catalog_lacks(
    authz: Authz, rule: Requirement, message: str
) -> None:
    authz.rule("article:correct", Article, rule)
    with pytest.raises(MisuseError) as raised:
        authz.check()
    assert f"the rule of 'article:correct' for Article: {message}" in str(raised.value)


def test_a_permission_that_a_rule_asks_for_is_not_unasked(authz: Authz, app: Flask) -> None:
    runner = app.test_cli_runner()
    before = runner.invoke(commands, ["check"]).output
    authz.rule("article:correct", Article, "report:read" & OWN)
    after = runner.invoke(commands, ["check"]).output
    assert "'report:read'" in before
    assert "'report:read'" not in after


def test_the_matrix_says_that_a_rule_decides(authz: Authz, app: Flask) -> None:
    authz.rule("article:edit", Article, OWN)
    authz.rule("article:edit", Essay, OWN)
    loaded = requires("article:edit", on=lambda: Article())(lambda: "in")
    app.add_url_rule("/loaded", "loaded", loaded)
    app.add_url_rule("/bare", "bare", requires("article:edit")(lambda: "in"))
    rows = {row.endpoint: row for row in read_access().rows if row.method == "GET"}
    assert {answer.value for answer in rows["loaded"].access.values()} == {"depends"}
    assert [answer.value for answer in rows["bare"].access.values()] == ["no", "yes", "yes"]
    access = next(one for one in read_matrix(app) if one.endpoint == "loaded")
    assert answer_for(access, who("ada", "admin")) is DEPENDS
    assert depends_on(access, who()) == [OWN.sentence]


@pytest.mark.usefixtures("app")
def test_an_explanation_shows_the_parts_of_the_rule_with_their_verdicts(authz: Authz) -> None:
    authz.rule("article:edit", Article, has_role("admin") | OWN & (attr("status") == "draft"))
    message = str(authz.explain("article:edit", on=Article("ada", "old"), identity=who("ada")))
    assert message == (
        "no rule('article:edit', Article)\n"
        "  no has_role('admin') | ((attr('owner') == subject) & (attr('status') == 'draft'))\n"
        "    no has_role('admin')\n"
        "    no (attr('owner') == subject) & (attr('status') == 'draft')\n"
        "      yes (attr('owner') == subject)\n"
        "      no (attr('status') == 'draft')"
    )


def test_a_rule_is_equal_by_its_content() -> None:
    one, two = (Authz(roles=Roles(Role("x", "a:b"))) for _ in range(2))
    made = []
    for authz in (one, two):
        authz.rule("a:b", Article, OWN)
        made.append(authz._rules.applied(has_permission("a:b"), Article()))
    assert made[0] == made[1]
    assert hash(made[0]) == hash(made[1])
    assert made[0] != has_permission("a:b")
