"""What the pages of the example answer to those who may see them."""

from __future__ import annotations

from typing import Any

import pytest

from examples.api.seed import USERS


def test_me_tells_the_subject_the_tenant_and_the_roles_of_the_token(api: Any) -> None:
    answers = {who: api.ask(who, "GET", "/me").json for who in ("viewer", "editor", "admin")}
    assert {who: answer["roles"] for who, answer in answers.items()} == {
        "viewer": ["viewer"],
        "editor": ["editor"],
        "admin": ["admin"],
    }
    assert len({answer["subject"] for answer in answers.values()}) == 3
    assert {answer["tenant"] for answer in answers.values()} == {"north"}
    assert api.ask("viewer.south", "GET", "/me").json["tenant"] == "south"
    assert api.ask("operator", "GET", "/me").json["tenant"] is None


def test_my_permissions_are_those_of_my_role_and_of_the_roles_it_includes(api: Any) -> None:
    viewer = ["article:read"]
    editor = ["article:create", "article:read", "report:read"]
    admin = ["article:create", "article:edit_any", "article:read", "report:read"]
    for who, permissions in {"viewer": viewer, "editor": editor, "admin": admin}.items():
        assert api.ask(who, "GET", "/me/permissions").json["permissions"] == permissions


@pytest.mark.parametrize(("ending", "id"), [("", 1), (".south", 2)])
def test_a_first_article_is_there_from_the_start_and_is_the_editors(
    start: Any, ending: str, id: int
) -> None:
    api = start()
    [article] = api.ask(f"viewer{ending}", "GET", "/articles").json["articles"]
    assert article["id"] == id
    assert article["author"] == api.ask(f"editor{ending}", "GET", "/me").json["subject"]
    assert api.ask(f"viewer{ending}", "GET", f"/articles/{id}").json == article


def test_a_new_article_belongs_to_the_caller_and_is_where_location_says(api: Any) -> None:
    created = api.ask("editor", "POST", "/articles", json={"title": "Zwölf", "body": "Straße 🚲"})
    assert created.status_code == 201
    assert created.json == {
        "id": created.json["id"],
        "author": api.ask("editor", "GET", "/me").json["subject"],
        "title": "Zwölf",
        "body": "Straße 🚲",
    }
    assert api.ask("viewer", "GET", created.location).json == created.json


def test_an_article_without_a_body_has_an_empty_one(api: Any) -> None:
    assert api.ask("viewer", "GET", f"/articles/{api.write('editor')}").json["body"] == ""


def test_a_change_keeps_what_it_does_not_name(api: Any) -> None:
    path = f"/articles/{api.write('editor', title='Before')}"
    api.ask("editor", "PATCH", path, json={"body": "More"})
    api.ask("admin", "PATCH", path, json={})
    article = api.ask("viewer", "GET", path).json
    assert (article["title"], article["body"]) == ("Before", "More")


def test_a_change_by_an_admin_leaves_the_author_as_it_was(api: Any) -> None:
    path = f"/articles/{api.write('editor')}"
    before = api.ask("viewer", "GET", path).json["author"]
    assert api.ask("admin", "PATCH", path, json={"title": "Corrected"}).json["author"] == before


def test_a_refused_change_changes_nothing(api: Any) -> None:
    path = f"/articles/{api.write('admin', title='Before')}"
    assert api.ask("editor", "PATCH", path, json={"title": "After"}).status_code == 403
    assert api.ask("editor", "GET", path).json["title"] == "Before"


def test_a_deleted_article_is_gone(api: Any) -> None:
    path = f"/articles/{api.write('editor')}"
    deleted = api.ask("admin", "DELETE", path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert api.ask("admin", "GET", path).status_code == 404
    assert api.ask("admin", "DELETE", path).status_code == 404
    listed = api.ask("viewer", "GET", "/articles").json["articles"]
    assert path not in [f"/articles/{article['id']}" for article in listed]


def test_the_report_counts_articles_and_authors(start: Any) -> None:
    api = start()
    api.write("admin")
    api.write("admin")
    assert api.ask("editor", "GET", "/reports").json == {"articles": 3, "authors": 2}
    assert api.ask("editor.south", "GET", "/reports").json == {"articles": 1, "authors": 1}
    assert api.ask("operator", "GET", "/reports").json == {"articles": 0, "authors": 0}


def test_a_tenant_is_shown_with_its_numbers_to_its_own_callers(start: Any) -> None:
    api = start()
    api.write("admin")
    for who, tenant, articles in (("viewer", "north", 2), ("viewer.south", "south", 1)):
        counts = {"tenant": tenant, "users": 3, "articles": articles}
        assert api.ask(who, "GET", f"/tenants/{tenant}").json == counts


def test_the_users_of_ones_tenant_are_listed_without_their_password_hashes(api: Any) -> None:
    users = api.ask("admin", "GET", "/admin/users").json["users"]
    assert [user["username"] for user in users] == ["admin", "editor", "viewer"]
    assert [user["roles"] for user in users] == [["admin"], ["editor"], ["viewer"]]
    assert {name for user in users for name in user} == {
        "subject",
        "username",
        "roles",
        "disabled",
    }


def test_the_users_of_all_tenants_are_listed_for_an_operator(api: Any) -> None:
    users = api.ask("operator", "GET", "/admin/users").json["users"]
    assert {user["username"] for user in users} == set(USERS)


@pytest.mark.parametrize("who", USERS)
def test_a_log_in_gives_a_token_that_no_cache_keeps(api: Any, who: str) -> None:
    answer = api.log_in(who)
    assert answer.status_code == 200
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 900
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("username", "password"),
    [("viewer", "wrong horse"), ("nobody", "correct horse"), ("view\0er", "correct horse")],
)
def test_a_wrong_name_or_password_is_answered_401_with_a_challenge(
    api: Any, username: str, password: str
) -> None:
    answer = api.log_in(username, password)
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(api: Any) -> None:
    problems = [
        api.log_in("viewer", "wrong horse").json,
        api.log_in("nobody", "correct horse").json,
    ]
    for problem in problems:
        del problem["instance"]
    assert problems[0] == problems[1]


def test_a_draft_is_visible_to_its_author_and_to_editors(api: Any) -> None:
    body = {"title": "Not yet", "draft": True}
    created = api.ask("editor", "POST", "/articles", json=body)
    assert created.json["draft"] is True
    readers = {"editor": True, "admin": True, "viewer": False}
    for who, reads in readers.items():
        listed = api.ask(who, "GET", "/articles").json["articles"]
        assert (created.json in listed) is reads
        assert api.ask(who, "GET", created.location).status_code == (200 if reads else 404)
    missing = api.ask("viewer", "GET", "/articles/987654")
    assert api.ask("viewer", "GET", created.location).json == missing.json
    assert api.ask("viewer", "PATCH", created.location, json={}).status_code == 404
    published = api.ask("editor", "PATCH", created.location, json={"draft": False})
    assert "draft" not in published.json
    assert api.ask("viewer", "GET", created.location).json == published.json


@pytest.mark.parametrize("draft", [1, "yes", None, []])
def test_a_draft_is_said_by_true_or_false_alone(api: Any, draft: Any) -> None:
    answer = api.ask("editor", "POST", "/articles", json={"title": "x", "draft": draft})
    assert answer.status_code == 422
