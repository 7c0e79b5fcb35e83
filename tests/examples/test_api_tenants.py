"""Two tenants in the example: users of one neither see nor change what belongs to the other.

SECURITY 1.41, 2.28, 2.33: every route that names something, called with what is another tenant's.
"""

from __future__ import annotations

import re
from typing import Any

import jwt
import pytest

from examples.api.models import Article
from examples.api.roles import roles
from jwt_authz import Identity, allowed

PASSWORD = "correct horse"
HERE = {"Sec-Fetch-Site": "same-origin"}
TENANTS = ("north", "south")
PAIRS = [("north", "south"), ("south", "north")]
BOTH_WAYS = pytest.mark.parametrize(("mine", "theirs"), PAIRS)

# method, rule and body; what stands in angle brackets is the other tenant's
CALLS: list[tuple[str, str, Any]] = [
    ("DELETE", "/token/families/<family>", None),
    ("GET", "/articles/<int:id>", None),
    ("PATCH", "/articles/<int:id>", {"title": "Taken over"}),
    ("DELETE", "/articles/<int:id>", None),
    ("GET", "/tenants/<tenant>", None),
    ("GET", "/admin/users/<username>", None),
    ("PUT", "/admin/users/<username>/roles", ["editor"]),
    ("POST", "/admin/revocations", {"jti": "<jti>"}),
    ("POST", "/admin/revocations", {"subject": "<subject>"}),
    ("POST", "/admin/revocations", {"tenant": "<tenant>"}),
]
FOR_ALL = [{"role": "viewer"}, {"everything": True}]
PAGES = [
    ("GET", "/admin/user/<subject>", None),
    ("POST", "/admin/user/<subject>/preview", {"roles": ["editor"]}),
    ("POST", "/admin/user/<subject>/roles", {"roles": ["editor"]}),
    ("POST", "/admin/user/<subject>/disabled", {"disabled": "true"}),
    ("POST", "/admin/user/<subject>/sessions", {}),
]
# Roles and routes are the same in every tenant, and stand in code.
OF_ALL = [
    ("GET", "/admin/access/<form>", 200),
    ("GET", "/admin/role/<path:name>", 200),
    ("POST", "/admin/role/<path:name>", 403),
    ("POST", "/admin/role-preview/<path:name>", 200),  # which changes nothing
    ("GET", "/admin/role-removal/<path:name>", 200),  # others include it
    ("POST", "/admin/role-removal/<path:name>", 403),
]
LISTS = ("/token/families", "/articles", "/reports", "/admin/users", "/me", "/me/permissions")
LISTING_PAGES = (
    "/admin/",
    "/admin/?search=e&sort=-added",
    "/admin/trail",
    "/admin/new",
    "/admin/roles",
    "/admin/role/viewer",
)
UNKNOWN = {
    "<family>": "none",
    "<int:id>": "987654",
    "<tenant>": "east",
    "<username>": "nobody",
    "<jti>": "none",
    "<subject>": "nobody",
}


def named(role: str, tenant: str) -> str:
    """The user of the tenant who has the role."""
    return role if tenant == "north" else f"{role}.{tenant}"


class Tenant:
    """One tenant: its admin's browser, and what it has that another may not reach."""

    def __init__(self, api: Any, tenant: str) -> None:
        self.api, self.name, self.admin = api, tenant, named("admin", tenant)
        viewer = named("viewer", tenant)
        users = api.ask(self.admin, "GET", "/admin/users").json["users"]
        self.subjects = {user["username"]: user["subject"] for user in users}
        self.title = f"Written in {tenant}"
        self.browser = api.app.test_client()
        self.browser.post(
            "/admin/log-in", data={"username": self.admin, "password": PASSWORD}, headers=HERE
        )
        self.things = {
            "<family>": api.ask(viewer, "GET", "/token/families").json["families"][0]["id"],
            "<int:id>": str(api.write(named("editor", tenant), self.title)),
            "<tenant>": tenant,
            "<username>": viewer,
            "<jti>": jwt.decode(api.token(viewer), options={"verify_signature": False})["jti"],
            "<subject>": self.subjects[viewer],
        }
        form = {"username": f"newcomer.{tenant}", "password": PASSWORD}
        self.on_page("POST", "/admin/new", form)

    def on_page(self, method: str, path: str, form: Any = None) -> Any:
        """The answer to the administrator in a browser."""
        found = re.search(r'name="csrf_token" value="(\w+)"', self.browser.get("/admin/new").text)
        assert found is not None
        about = self.browser.get(path.rpartition("/")[0]).text
        seen = re.findall(r'name="seen" value="(\w+)"', about)[:1]
        reported = {"csrf_token": found[1], "seen": seen}
        data = {**(form or {}), **reported} if method == "POST" else None
        return self.browser.open(path, method=method, data=data, headers=HERE)

    def marks(self) -> set[str]:
        """Texts that stand in no answer to another tenant."""
        return {self.title, f"newcomer.{self.name}", *self.subjects.values()}

    def seen(self) -> list[Any]:
        """All that its own users see, their tokens and log-ins among it."""
        viewer, subject = self.things["<username>"], self.things["<subject>"]
        return [
            *(self.api.ask(self.admin, "GET", path).json for path in LISTS),
            self.api.ask(viewer, "GET", "/me").json,
            self.api.ask(viewer, "GET", "/token/families").json,
            re.sub("csrf_token.*", "", self.on_page("GET", f"/admin/user/{subject}").text),
        ]


@pytest.fixture(scope="module")
def tenants(own_api: Any) -> dict[str, Tenant]:
    return {tenant: Tenant(own_api, tenant) for tenant in TENANTS}


def filled(part: Any, things: dict[str, str]) -> Any:
    """A path, or a body, with things in place of what stands in angle brackets."""
    if isinstance(part, dict):
        return {name: filled(value, things) for name, value in part.items()}
    if isinstance(part, str):
        for name, thing in things.items():
            part = part.replace(name, thing)
    return part


def comparable(answer: Any) -> tuple[int, Any]:
    """The status of an answer and what it says, but for what differs each time."""
    said = answer.json if answer.is_json else re.sub("csrf_token.*", "", answer.text)
    if isinstance(said, dict):
        said.pop("instance", None)
    return answer.status_code, said


@pytest.mark.slow
@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
@pytest.mark.parametrize("call", CALLS, ids=str)
@BOTH_WAYS
def test_what_is_another_tenants_is_refused_as_if_it_did_not_exist(
    tenants: dict[str, Tenant], mine: str, theirs: str, call: tuple[str, str, Any], role: str
) -> None:
    method, rule, body = call
    before = tenants[theirs].seen()
    answers = [
        tenants[mine].api.ask(
            named(role, mine), method, filled(rule, things), json=filled(body, things)
        )
        for things in (tenants[theirs].things, UNKNOWN)
    ]
    assert answers[0].status_code in (403, 404)
    assert comparable(answers[0]) == comparable(answers[1])
    assert tenants[theirs].seen() == before


@pytest.mark.slow
@pytest.mark.parametrize("call", PAGES, ids=str)
@BOTH_WAYS
def test_the_admin_page_does_not_reach_another_tenants_users(
    tenants: dict[str, Tenant], mine: str, theirs: str, call: tuple[str, str, Any]
) -> None:
    method, rule, form = call
    before = tenants[theirs].seen()
    answers = [
        tenants[mine].on_page(method, filled(rule, things), form)
        for things in (tenants[theirs].things, UNKNOWN)
    ]
    assert answers[0].status_code == 404
    assert comparable(answers[0]) == comparable(answers[1])
    assert tenants[theirs].seen() == before


@pytest.mark.parametrize("body", FOR_ALL, ids=str)
@BOTH_WAYS
def test_what_concerns_all_tenants_is_not_for_the_admin_of_one(
    tenants: dict[str, Tenant], mine: str, theirs: str, body: Any
) -> None:
    before = tenants[theirs].seen()
    answer = tenants[mine].api.ask(tenants[mine].admin, "POST", "/admin/revocations", json=body)
    assert answer.status_code == 403
    assert answer.json["detail"] == (
        "Requires a caller who has no tenant or is of the same tenant."
    )
    assert tenants[theirs].seen() == before


@pytest.mark.parametrize(("method", "rule", "status"), OF_ALL)
@pytest.mark.parametrize("tenant", TENANTS)
def test_roles_are_shown_to_the_admin_of_one_tenant_and_changed_by_none(
    tenants: dict[str, Tenant], tenant: str, method: str, rule: str, status: int
) -> None:
    path = rule.replace("<path:name>", "viewer").replace("<form>", "csv")
    answer = tenants[tenant].on_page(method, path, {"permissions": ["report:read"]})
    assert answer.status_code == status


@pytest.mark.parametrize("action", ["article:create", "article:read", "article:edit"])
@pytest.mark.parametrize("tenant", [*TENANTS, None])
def test_each_rule_by_itself_refuses_the_author_of_another_tenant(
    api: Any, tenant: str | None, action: str
) -> None:
    author = Identity("ann", tenant=tenant, roles=["admin"], catalogue=roles)
    article = Article(author="ann", tenant="north", draft=False)
    with api.app.app_context():
        assert allowed(action, on=article, identity=author) is (tenant == "north")


@BOTH_WAYS
def test_no_list_holds_what_is_another_tenants(
    tenants: dict[str, Tenant], mine: str, theirs: str
) -> None:
    texts = [tenants[mine].api.ask(tenants[mine].admin, "GET", path).text for path in LISTS]
    texts += [tenants[mine].on_page("GET", path).text for path in LISTING_PAGES]
    for text in texts:
        assert [mark for mark in tenants[theirs].marks() if mark in text] == []
    for mark in tenants[mine].marks():
        assert any(mark in text for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("tenant", TENANTS)
def test_the_same_calls_are_answered_for_what_is_ones_own(start: Any, tenant: str) -> None:
    api = start()
    own = Tenant(api, tenant)
    for method, rule, form in PAGES:
        assert own.on_page(method, filled(rule, own.things), form).status_code in (200, 303)
    own.on_page("POST", filled(PAGES[3][1], own.things), {"disabled": "false"})
    api.tokens.clear()  # they were ended
    own = Tenant(api, tenant)
    for method, rule, body in CALLS:
        who = own.things["<username>"] if "<family>" in rule else own.admin
        answer = api.ask(who, method, filled(rule, own.things), json=filled(body, own.things))
        wanted = (403,) if body == {"jti": "<jti>"} else (200, 204)  # nobody knows whose it is
        assert answer.status_code in wanted, (method, rule)


def test_every_route_that_names_something_is_called_with_what_is_another_tenants(api: Any) -> None:
    """SECURITY 2.56: a new one fails this until it stands above."""
    rules = {
        rule.rule
        for rule in api.app.url_map.iter_rules()
        if rule.arguments and not rule.endpoint.endswith(".static")
    }
    assert rules == {rule for _, rule, _ in (*CALLS, *PAGES, *OF_ALL) if "<" in rule}
    assert set(UNKNOWN) == set(re.findall("<[^>]+>", str([*CALLS, *PAGES])))
