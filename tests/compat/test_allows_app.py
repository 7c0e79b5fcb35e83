"""An application of Flask-Allows goes on when the one line that imports it is changed."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import jwt_authz.compat.flask_allows as flask_allows
from tests.compat import allows_app

GUEST = None


@pytest.fixture
def client(nothing_is_pushed: None) -> FlaskClient:
    return allows_app.create_app().test_client()


def ask(client: FlaskClient, path: str, user: str | None, method: str = "GET") -> tuple[int, str]:
    headers = {"X-User": user} if user else {}
    answer = client.open(path, method=method, headers=headers)
    return answer.status_code, answer.headers.get("Location") or answer.text


@pytest.mark.parametrize(
    ("path", "user", "status", "text"),
    [
        ("/", GUEST, 200, "no panel"),
        ("/", "ann", 200, "panel"),
        ("/", "mod", 200, "no panel"),
        ("/login", GUEST, 200, "Log in, please"),
        ("/login", "bob", 200, "You are logged in already"),
        ("/posts/1", GUEST, 200, "post 1"),
        ("/posts/13", GUEST, 403, "no post 13 for you"),
        ("/posts/13", "mod", 200, "post 13"),
        ("/odd", "mod", 200, "one of the two"),
        ("/odd", "ann", 200, "one of the two"),
        ("/even", GUEST, 200, "a guest or an admin"),
        ("/even", "ann", 200, "a guest or an admin"),
        ("/even", "mod", 418, "I'm sorry Dave, I'm afraid I can't do that"),
        ("/members", "bob", 200, "members"),
        ("/members", GUEST, 418, "I'm sorry Dave, I'm afraid I can't do that"),
        ("/topics/2", GUEST, 200, "topic 2"),
        ("/queue", "mod", 200, "queue"),
        ("/queue?holiday=1", "bob", 200, "queue"),
        ("/queue?siege=1", "ann", 200, "queue"),
        ("/admin/", GUEST, 302, "/login"),
        ("/admin/", "mod", 302, "/"),
        ("/admin/", "ann", 200, "Welcome to the super secret club"),
        ("/admin/help", GUEST, 200, "Ask an admin"),
        ("/admin/status", GUEST, 200, "up"),
        ("/admin/as/ann", "ann", 200, "yes"),
        ("/admin/as/mod", "ann", 200, "no"),
        ("/preview", "mod", 200, "previewed"),
        ("/preview", "bob", 200, "not for you"),
        ("/preview?holiday=1", "bob", 200, "previewed"),
        ("/preview?holiday=1", GUEST, 200, "not for you"),
    ],
)
def test_a_page_is_answered_as_the_old_documentation_says(
    client: FlaskClient, path: str, user: str | None, status: int, text: str
) -> None:
    assert ask(client, path, user) == (status, text)


@pytest.mark.parametrize(
    ("path", "user", "status"),
    [
        ("/posts/101", "ann", 404),
        ("/odd", "bob", 403),
        ("/queue", "bob", 403),
        ("/queue?siege=1", "mod", 403),
        ("/queue?siege=1&holiday=1", "bob", 403),
        ("/admin/nowhere", GUEST, 404),
        ("/nowhere", "ann", 404),
    ],
)
def test_a_refusal_without_an_answer_of_its_own_is_an_error_page(
    client: FlaskClient, path: str, user: str | None, status: int
) -> None:
    assert ask(client, path, user)[0] == status


def test_one_method_of_a_view_class_is_guarded(client: FlaskClient) -> None:
    assert ask(client, "/topics/2", GUEST, "POST")[0] == 403
    assert ask(client, "/topics/2", "bob", "POST") == (200, "answered to 2")


@pytest.mark.parametrize(("user", "status"), [("mod", 200), ("bob", 403), (GUEST, 403)])
def test_a_requirement_of_user_and_request_warns_and_works(
    client: FlaskClient, user: str | None, status: int
) -> None:
    with pytest.warns(DeprecationWarning, match="is_staff.*Passing request to requirements"):
        assert ask(client, "/staff-only", user)[0] == status


def test_a_flashed_message_informs_refused_callers(client: FlaskClient) -> None:
    ask(client, "/admin/", "mod")
    with client.session_transaction() as session:
        assert session["_flashes"] == [("danger", "You are not an admin")]


def test_nothing_warns_but_the_requirement_that_takes_the_request(client: FlaskClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ask(client, "/admin/", "ann")[0] == 200


def test_the_application_uses_old_names_alone_and_imports_them_in_one_line() -> None:
    tree = ast.parse(Path(allows_app.__file__).read_text())
    imported = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and "jwt_authz" in ast.unparse(node)
    ]
    assert imported == ["import jwt_authz.compat.flask_allows as flask_allows"]
    used = {node.attr for node in ast.walk(tree) if _is_old_name(node)}
    assert used <= set(flask_allows.__all__)
    assert {"Allows", "Permission", "guard_entire", "current_overrides", "C"} <= used


def _is_old_name(node: Any) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "flask_allows"
    )
