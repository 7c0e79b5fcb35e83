"""Every role against every route of the example, and the same without a token or a tenant."""

from __future__ import annotations

from typing import Any

import pytest

WHO = ("nobody", "viewer", "editor", "admin", "operator")
TITLE = {"title": "A new title"}
LOG_IN = {"username": "viewer", "password": "correct horse"}

# method, rule, body, whose article; then what each is answered
#                                                         nobody viewer editor admin operator
TABLE: list[tuple[str, str, Any, str | None, int, int, int, int, int]] = [
    ("POST", "/token", LOG_IN, None, 200, 200, 200, 200, 200),
    ("POST", "/token/refresh", {"refresh_token": "none"}, None, 401, 401, 401, 401, 401),
    ("POST", "/token/revoke", {"token": "none"}, None, 200, 200, 200, 200, 200),
    ("GET", "/token/families", None, None, 401, 200, 200, 200, 200),
    ("DELETE", "/token/families", None, None, 401, 204, 204, 204, 204),
    ("DELETE", "/token/families/<family>", None, None, 401, 404, 404, 404, 404),
    ("GET", "/me", None, None, 401, 200, 200, 200, 200),
    ("GET", "/me/permissions", None, None, 401, 200, 200, 200, 200),
    ("PUT", "/me/password", {}, None, 401, 400, 400, 400, 400),
    ("GET", "/articles", None, None, 401, 200, 200, 200, 200),
    ("POST", "/articles", TITLE, None, 401, 403, 201, 201, 403),
    ("GET", "/articles/<int:id>", None, "editor", 401, 200, 200, 200, 404),
    ("PATCH", "/articles/<int:id>", TITLE, "editor", 401, 403, 200, 200, 404),
    ("PATCH", "/articles/<int:id>", TITLE, "admin", 401, 403, 403, 200, 404),
    ("DELETE", "/articles/<int:id>", None, "editor", 401, 403, 403, 204, 404),
    ("GET", "/reports", None, None, 401, 403, 200, 200, 200),
    ("GET", "/tenants/<tenant>", None, None, 401, 200, 200, 200, 403),
    ("GET", "/admin/users", None, None, 401, 403, 403, 200, 200),
    ("GET", "/admin/users/<username>", None, None, 401, 403, 403, 404, 404),
    ("PUT", "/admin/users/<username>/roles", ["viewer"], None, 401, 403, 403, 404, 404),
    ("POST", "/admin/revocations", {"jti": "none"}, None, 401, 403, 403, 403, 204),
]
CASES = [
    pytest.param(who, *row[:4], status, id=f"{who} {row[0]} {row[1]} {row[3] or ''}".rstrip())
    for row in TABLE
    for who, status in zip(WHO, row[4:], strict=True)
]


@pytest.mark.parametrize(("who", "method", "rule", "body", "author", "status"), CASES)
def test_each_role_is_answered_as_the_table_says(
    api: Any, who: str, method: str, rule: str, body: Any, author: str | None, status: int
) -> None:
    """SECURITY 2.27, 2.28."""
    path = rule.replace("<tenant>", "north")
    if author is not None:
        path = path.replace("<int:id>", str(api.write(author)))
    answer = api.ask(who, method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == status
    if (method, rule) == ("DELETE", "/token/families"):
        api.tokens.pop(who, None)  # it is ended
    if status in (401, 403):
        assert answer.mimetype == "application/problem+json"
        assert answer.json["status"] == status
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("who", WHO)
def test_each_role_is_answered_to_head_as_to_get_and_without_a_body(api: Any, who: str) -> None:
    for method, rule, *_ in TABLE:
        if method == "GET":
            path = rule.replace("<int:id>", "1")
            head = api.ask(who, "HEAD", path)
            assert (head.status_code, head.data) == (api.ask(who, "GET", path).status_code, b"")


def test_options_is_answered_to_everybody_with_the_methods_of_the_route(api: Any) -> None:
    for rule in {row[1] for row in TABLE}:
        answer = api.ask("nobody", "OPTIONS", rule.replace("<int:id>", "1"))
        assert answer.status_code == 200
        assert {row[0] for row in TABLE if row[1] == rule} <= set(answer.allow)


def test_the_table_holds_every_route_of_the_example_but_for_its_admin_page(api: Any) -> None:
    """SECURITY 2.26, 2.56; the page's own routes stand in `access.md`."""
    routes = {
        (method, rule.rule)
        for rule in api.app.url_map.iter_rules()
        if not rule.endpoint.startswith("jwt_authz_admin_page.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == {row[:2] for row in TABLE}


def test_a_viewer_does_not_learn_by_deleting_which_articles_there_are(api: Any) -> None:
    refusals = [api.ask("viewer", "DELETE", f"/articles/{id}") for id in (1, 987_654)]
    assert [refusal.status_code for refusal in refusals] == [403, 403]
    assert refusals[0].json["detail"] == refusals[1].json["detail"]


def test_a_refusal_says_what_it_takes(api: Any) -> None:
    detail = api.ask("viewer", "PATCH", "/articles/1", json=TITLE).json["detail"]
    assert detail == (
        "Requires a caller who is the author of this article or has the permission "
        "article:edit_any."
    )
