"""Every error of the example is a problem, and nothing that a client sends is answered 500."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

JSON = "application/json"
TOO_LARGE = b'{"title": "x", "body": "%s"}' % (b"x" * 65_536)


def assert_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == status
    assert {"type", "title", "detail"} <= set(answer.json)


@pytest.mark.parametrize(
    ("status", "who", "method", "path", "sent"),
    [
        (400, "editor", "POST", "/articles", {"data": b'{"title": ', "content_type": JSON}),
        (401, "nobody", "GET", "/me", {}),
        (403, "viewer", "GET", "/reports", {}),
        (404, "viewer", "GET", "/articles/987654", {}),
        (404, "nobody", "GET", "/no-such-page", {}),
        (405, "admin", "PUT", "/articles/1", {"json": {}}),
        (413, "editor", "POST", "/articles", {"data": TOO_LARGE, "content_type": JSON}),
        (415, "editor", "POST", "/articles", {"data": b"title=x", "content_type": "text/plain"}),
        (415, "editor", "POST", "/articles", {}),
        (422, "editor", "POST", "/articles", {"json": {"title": ""}}),
        (400, "nobody", "POST", "/token", {"data": b"{", "content_type": JSON}),
        (400, "nobody", "POST", "/token", {"json": {"username": "viewer"}}),
        (401, "nobody", "POST", "/token", {"json": {"username": "viewer", "password": "wrong"}}),
        (405, "nobody", "GET", "/token", {}),
        (413, "nobody", "POST", "/token", {"data": TOO_LARGE, "content_type": JSON}),
        (415, "nobody", "POST", "/token", {"data": {"username": "viewer"}}),
    ],
)
def test_each_error_is_a_problem(
    api: Any, status: int, who: str, method: str, path: str, sent: dict[str, Any]
) -> None:
    assert_problem(api.ask(who, method, path, **sent), status)


def test_a_failing_database_is_answered_503_with_a_problem_that_tells_nothing(
    start: Any,
) -> None:
    api = start()
    api.token("viewer")
    with api.app.extensions["sessions"].begin() as session:
        session.execute(text("DROP TABLE articles"))
    answer = api.ask("viewer", "GET", "/articles")
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"] == "5"
    assert "articles" not in answer.text.lower()


OWN_ROUTES = [
    ("viewer", "GET", "/articles", {}),
    ("viewer", "GET", "/articles/1", {}),
    ("editor", "POST", "/articles", {"json": {"title": "x"}}),
    ("editor", "PATCH", "/articles/1", {"json": {"title": "x"}}),
    ("admin", "DELETE", "/articles/1", {}),
    ("editor", "GET", "/reports", {}),
    ("viewer", "GET", "/tenants/north", {}),
    ("admin", "GET", "/admin/users", {}),
    ("admin", "GET", "/admin/users/viewer", {}),
    ("admin", "PUT", "/admin/users/viewer/roles",
     {"json": ["viewer"], "headers": {"If-Match": "*"}}),
    ("admin", "POST", "/admin/revocations", {"json": {"subject": "nobody"}}),
]  # fmt: skip


@pytest.fixture
def apart(start: Any, tmp_path: Path) -> Any:
    """The example on a database apart from its store, which stays."""
    api = start(
        DATABASE_URL=f"sqlite:///{tmp_path / 'own.db'}",
        AUTHZ_STORE_URL=f"sqlite:///{tmp_path / 'store.db'}",
    )
    for who in ("viewer", "editor", "admin"):
        api.token(who)
    return api


@pytest.mark.parametrize(("who", "method", "path", "sent"), OWN_ROUTES)
def test_each_route_answers_503_while_the_database_is_gone(
    apart: Any, tmp_path: Path, who: str, method: str, path: str, sent: dict[str, Any]
) -> None:
    apart.app.extensions["sessions"].kw["bind"].dispose()
    for file in tmp_path.glob("own.db*"):
        file.unlink()
    (tmp_path / "own.db").mkdir()  # so that no new database takes its place
    answer = apart.ask(who, method, path, **{**sent, "headers": dict(sent.get("headers", {}))})
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"]


def test_a_full_disk_is_answered_503(apart: Any) -> None:
    engine = apart.app.extensions["sessions"].kw["bind"]

    @event.listens_for(engine, "checkout")
    def limit(connection: Any, *_: Any) -> None:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    body = {"title": "x", "body": "x" * 40_000}
    answers = [apart.ask("editor", "POST", "/articles", json=body) for _ in range(3)]
    assert_problem(answers[-1], 503)
    assert apart.ask("editor", "GET", "/articles").status_code == 200


def test_a_failing_database_is_answered_503_at_the_log_in(start: Any) -> None:
    api = start()
    with api.app.extensions["sessions"].begin() as session:
        session.execute(text("DROP TABLE users"))
    answer = api.log_in("viewer")
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"]


def test_a_405_keeps_its_allow_header(api: Any) -> None:
    allowed = set(api.ask("admin", "PUT", "/articles/1").allow)
    assert allowed == {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}


def test_a_422_names_each_member_that_does_not_fit(api: Any) -> None:
    """SECURITY 2.29."""
    body = {"title": 7, "body": None, "author": "another author"}
    assert api.ask("editor", "POST", "/articles", json=body).json["errors"] == {
        "title": ["Not a valid string."],
        "body": ["Field may not be null."],
        "author": ["Unknown field."],
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'{"title": "\xff"}', 400),
        (b"[" * 60_000, 400),
        (b'{"a":' * 10_000, 400),
        (b'{"title": %s}' % (b"9" * 5_000), 400),
        (b"null", 422),
        (b"[]", 422),
        (b"NaN", 422),
        (b'{"title": "a\\u0000b"}', 422),
        (b'{"title": "x", "body": "\\u0000"}', 422),
        (b'{"title": "\\ud800"}', 422),
        (b'{"title": "\xed\xa0\x80"}', 422),
        (b'{"\\ud800": "x"}', 422),
        (b'{"title": ["x"]}', 422),
        (b'{"title": "%s"}' % (b"x" * 201), 422),
        (b'{"title": "x", "id": 5}', 422),
    ],
)
def test_a_hostile_body_is_refused_by_each_view_that_reads_one(
    api: Any, body: bytes, status: int
) -> None:
    for method, path in (("POST", "/articles"), ("PATCH", "/articles/1")):
        answer = api.ask("editor", method, path, data=body, content_type=JSON)
        assert_problem(answer, status)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"[" * 16_000,
        b"null",
        b'{"username": "\\ud800", "password": "x"}',
        b'{"username": "a", "username": "b", "password": "x"}',
        b'{"username": 1, "password": true}',
    ],
)
def test_a_hostile_log_in_is_answered_400(api: Any, body: bytes) -> None:
    answer = api.ask("nobody", "POST", "/token", data=body, content_type=JSON)
    assert_problem(answer, 400)


@pytest.mark.parametrize(
    "id", ["0", "2147483648", "9223372036854775808", "9" * 40, "9" * 5_000, "-1", "x", "1%00"]
)
def test_an_id_that_no_article_can_have_is_answered_404(api: Any, id: str) -> None:
    for method in ("GET", "HEAD", "PATCH", "DELETE"):
        answer = api.ask("admin", method, f"/articles/{id}", json={})
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_body_of_untold_length_is_read_up_to_the_limit(api: Any) -> None:
    answer = api.ask(
        "editor",
        "POST",
        "/articles",
        input_stream=io.BytesIO(TOO_LARGE),
        content_type=JSON,
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert_problem(answer, 413)
