"""Lists of the page in an application with many roles, routes and users: found, paged and saved."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jwt_authz import requires

from .application import STORED, close, make_app
from .browsing import logged_in, send

ROLES, ROUTES = 130, 120
LARGEST = 300_000
"""Bytes of a page."""


@pytest.fixture(scope="module")
def large() -> Iterator[Flask]:
    app = make_app("sqlite://", STORED)
    roles = app.extensions["jwt_authz"].roles_given
    for number in range(ROLES):
        roles.add(f"team-{number:03}", f"thing{number:03}:read", f"thing{number:03}:write")
    for number in range(ROUTES):
        guard = requires(f"thing{number:03}:{'write' if number % 2 else 'read'}")
        view = guard(lambda number=number: str(number))
        app.add_url_rule(
            f"/things/{number:03}",
            f"things_{number}",
            view,
            methods=["PUT" if number % 2 else "GET"],
        )
    yield app
    close(app)


@pytest.fixture
def client(large: Flask) -> FlaskClient:
    return logged_in(large)


def shown(client: FlaskClient, path: str, **query: Any) -> str:
    answer = client.get(f"/admin/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    assert len(answer.data) < LARGEST
    return answer.text


def columns(text: str) -> list[str]:
    return re.findall(r'<th scope="col">([^<]*)</th>', text)[3:]


def routes(text: str) -> list[str]:
    return re.findall(r"<code>([^<]*)</code>", text)


def test_the_access_page_shows_a_part_of_the_roles_and_routes(client: FlaskClient) -> None:
    text = shown(client, "access")
    assert (len(columns(text)), len(routes(text))) == (12, 50)
    assert "Routes: page 1 of" in text
    assert "Roles: page 1 of 12" in text
    later = shown(client, "access", roles_page=2, page=2)
    assert not set(columns(later)) & set(columns(text))
    assert not set(routes(later)) & set(routes(text))


def test_the_access_page_is_filtered_by_route_method_role_and_answer(client: FlaskClient) -> None:
    one = shown(client, "access", route="/things/007", role="team-007")
    assert (routes(one), columns(one)) == (["/things/007"], ["team-007"])
    assert "no routes match" in shown(client, "access", route="/things/007", method="GET").lower()
    allowed = shown(client, "access", route="/things", role="team-01", answer="yes")
    assert routes(allowed) == [f"/things/{number:03}" for number in range(10, 20)]
    assert 'value="/things"' in allowed
    assert "<option selected>yes</option>" in allowed


def test_the_links_to_other_pages_keep_the_filters(client: FlaskClient) -> None:
    text = shown(client, "access", route="/things", page=2)
    links = [
        link.replace("&amp;", "&") for link in re.findall(r'href="(/admin/access[^"]*)"', text)
    ]
    assert "/admin/access?route=/things&roles_page=1&page=3" in links
    assert "/admin/access?route=/things&page=2&roles_page=2" in links
    assert "/admin/access/csv?route=/things" in links
    assert all(client.get(link).status_code == 200 for link in links)


@pytest.mark.parametrize("path", ["access", "roles", "trail", ""])
def test_a_page_after_the_last_one_is_the_last_one(client: FlaskClient, path: str) -> None:
    text = shown(client, path, page=99999)
    found = re.search(r"[Pp]age (\d+) of (\d+)", text)
    assert found is None or found[1] == found[2]
    assert "99999" not in re.sub(r'href="[^"]*"', "", text)
    rows = re.findall(r"<tbody>\s*<tr>", text)
    assert rows and "No roles match" not in text


def test_the_whole_selection_is_saved_as_a_file(client: FlaskClient) -> None:
    query = {"route": "/things", "role": "team-0", "roles_page": "3"}
    answer = client.get("/admin/access/csv", query_string=query)
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == "attachment; filename=access.csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == ROUTES
    assert [row["rule"] for row in rows if row["team-008"] == "yes"] == ["/things/008"]
    document = json.loads(client.get("/admin/access/json", query_string=query).text)
    assert document["roles"] == [f"team-{number:03}" for number in range(100)]
    assert client.get("/admin/access/html").status_code == 404


def test_roles_are_searched_by_name_and_permission(client: FlaskClient) -> None:
    text = shown(client, "roles")
    assert "134 roles found" in text
    assert "Page 1 of 6" in text
    assert len(re.findall(r'<th scope="row">', text)) == 25
    by_name = shown(client, "roles", search="team-12")
    assert re.findall(r">(team-\d+)<", by_name) == [f"team-{number}" for number in range(120, 130)]
    by_permission = shown(client, "roles", search="thing129:w")
    assert re.findall(r">(team-\d+)<", by_permission) == ["team-129"]
    assert "No roles match" in shown(client, "roles", search="nothing")


def boxes(text: str, name: str) -> dict[str, bool]:
    """The values that a form offers under a name, and whether each is chosen."""
    found = re.findall(rf'name="{name}" value="([^"]*)"( checked)?', text)
    return {value: bool(checked) for value, checked in found}


def test_a_user_with_many_roles_to_choose_from_is_shown_theirs_and_some(
    client: FlaskClient,
) -> None:
    offered = boxes(shown(client, "user/bob"), "roles")
    assert [name for name, is_chosen in offered.items() if is_chosen] == ["editor"]
    assert (next(iter(offered)), len(offered)) == ("editor", 31)


def test_roles_are_found_by_name_and_what_was_chosen_stays_chosen(client: FlaskClient) -> None:
    form = {"roles": ["editor", "team-005"], "find": "find_roles", "find_roles": "team-12"}
    found = send(client, "user/cy/preview", **form)
    offered = boxes(found.text, "roles")
    assert [name for name, is_chosen in offered.items() if is_chosen] == ["editor", "team-005"]
    assert [name for name, is_chosen in offered.items() if not is_chosen] == [
        f"team-{number}" for number in range(120, 130)
    ]
    assert "What would change" not in found.text
    assert 'value="team-12"' in found.text


def test_the_first_button_of_the_form_finds_so_that_enter_does_not_save(
    client: FlaskClient,
) -> None:
    for path in ("user/bob", "role/editor"):
        form = shown(client, path).split("<main")[1]
        assert re.findall(r"<button[^>]*>([^<]*)", form)[0] == "Find"


def test_permissions_and_inclusions_of_a_role_are_found_as_well(client: FlaskClient) -> None:
    form = {
        "permissions": ["articles:write"],
        "includes": ["viewer", "team-001"],
        "find": "find_permissions",
        "find_permissions": "thing007",
        "find_includes": "team-00",
    }
    found = send(client, "role-preview/editor", **form)
    permissions, roles = boxes(found.text, "permissions"), boxes(found.text, "includes")
    assert permissions == {"articles:write": True, "thing007:read": False, "thing007:write": False}
    assert [name for name, is_chosen in roles.items() if is_chosen] == ["team-001", "viewer"]
    assert [name for name, is_chosen in roles.items() if not is_chosen] == [
        f"team-{number:03}" for number in range(10) if number != 1
    ]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("access", {"page": "0"}),
        ("access", {"answer": "maybe"}),
        ("access", {"unknown": "1"}),
        ("roles", {"page": "x"}),
        ("roles", {"search": "x" * 300}),
    ],
)
def test_a_query_that_is_not_valid_is_a_400(
    client: FlaskClient, path: str, query: dict[str, str]
) -> None:
    assert client.get(f"/admin/{path}", query_string=query).status_code == 400
