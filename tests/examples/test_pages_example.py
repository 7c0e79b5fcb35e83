"""The pages example as a browser, a client of an API and an attacker meet it."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from examples.pages import articles, create_app, people

ROOT = Path(__file__).resolve().parents[2]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
API = {"Accept": "application/json"}
LEVELS = ("nobody", "guest", "user", "admin")

Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(articles, "written", copy.deepcopy(articles.written))
    return create_app()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """A browser in which someone of this level has logged in."""

    def make(who: str) -> FlaskClient:
        client = app.test_client()
        if who != "nobody":  # as the log-in leaves it, without the price of a password's hash
            with client.session_transaction() as session:
                session["email"] = f"{who}@example.org"
        return client

    return make


def log_in(client: FlaskClient, who: str, **more: str) -> TestResponse:
    email = f"{who}@example.org"
    form = {"email": email, "password": people.passwords[email], **more}
    return client.post("/log-in", data=form, headers=BROWSER)


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    return client.get(path, headers=headers or BROWSER)


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("nobody", {"Log in"}),
        ("guest", {"Log out"}),
        ("user", {"Log out", "Write", "Edit"}),
        ("admin", {"Log out", "Write", "Control", "Edit"}),
    ],
)
def test_links_show_for_those_who_may_follow_them(
    visitor: Visitor, who: str, shown: set[str]
) -> None:
    text = get(visitor(who), "/").text
    links = set(re.findall(r"(?:<a [^>]*|<button)>([^<]+)<", text)) - {"Articles"}
    assert links == shown
    edits = {"nobody": 0, "guest": 0, "user": 1, "admin": 2}[who]
    assert text.count("/edit") == edits


ROUTES = {
    ("GET", "/"): (200, 200, 200, 200),
    ("GET", "/articles/new"): (401, 403, 200, 200),
    ("POST", "/articles/new"): (401, 403, 302, 302),
    ("GET", "/articles/1/edit"): (401, 403, 200, 200),
    ("POST", "/articles/1/edit"): (401, 403, 302, 302),
    ("GET", "/articles/2/edit"): (401, 403, 403, 200),
    ("POST", "/articles/2/edit"): (401, 403, 403, 302),
    ("GET", "/articles/3/edit"): (401, 404, 404, 404),
    ("GET", "/control/"): (401, 403, 403, 200),
}


@pytest.mark.parametrize(("route", "statuses"), ROUTES.items(), ids=str)
def test_the_server_refuses_what_no_link_is_shown_for(
    visitor: Visitor, route: tuple[str, str], statuses: tuple[int, ...]
) -> None:
    """SECURITY 2.30."""
    method, path = route
    for who, status in zip(LEVELS, statuses, strict=True):
        client = visitor(who)
        answer = client.open(path, method=method, data={"title": "T"}, headers=API)
        assert answer.status_code == status, who


def test_every_route_is_in_the_table_of_who_may_what(app: Flask) -> None:
    open_to_all = {"static", "people.log_in", "people.log_out"}
    adapter = app.url_map.bind("localhost")
    called = {adapter.match(path, method=method)[0] for method, path in ROUTES}
    assert called | open_to_all == set(app.view_functions)


@pytest.mark.parametrize("path", ["/articles/new", "/articles/1/edit", "/control/"])
def test_a_browser_is_sent_to_the_log_in_page_and_back(visitor: Visitor, path: str) -> None:
    client = visitor("nobody")
    answer = get(client, path)
    assert answer.status_code == 302
    form = get(client, answer.location)
    assert form.status_code == 200
    back = re.search(r'name="next" value="([^"]*)"', form.text)
    assert back is not None
    answer = log_in(client, "admin", next=back[1])
    assert (answer.status_code, answer.location) == (302, path)
    assert get(client, path).status_code == 200


def test_a_browser_that_may_not_is_sent_home_with_a_message(visitor: Visitor) -> None:
    client = visitor("nobody")
    assert log_in(client, "user").location == "/"
    answer = get(client, "/control/")
    assert (answer.status_code, answer.location) == (302, "/")
    assert "Requires a caller who has the level admin" in get(client, "/").text
    assert "Requires a caller" not in get(client, "/").text  # once


@pytest.mark.parametrize(("who", "status"), [("nobody", 401), ("user", 403)])
def test_a_client_of_an_api_gets_a_problem(visitor: Visitor, who: str, status: int) -> None:
    answer = get(visitor(who), "/control/", **API)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None and answer.json["status"] == status
    assert "Accept" in answer.vary and "Cookie" in answer.vary


@pytest.mark.parametrize("evil", ["//evil.example", "https:evil.example", "/\\evil.example"])
def test_a_log_in_sends_nobody_to_another_host(visitor: Visitor, evil: str) -> None:
    """SECURITY 1.43."""
    client = visitor("nobody")
    assert evil not in client.get("/log-in", query_string={"next": evil}, headers=BROWSER).text
    assert log_in(client, "user", next=evil).location == "/"


def test_a_wrong_password_logs_nobody_in(visitor: Visitor) -> None:
    client = visitor("nobody")
    form = {"email": "admin@example.org", "password": "wrong password"}
    answer = client.post("/log-in", data=form, headers=BROWSER)
    assert answer.status_code == 403
    assert "wrong" in answer.text and "wrong password" not in answer.text
    assert get(client, "/control/").status_code == 302


def test_a_visitor_who_logged_out_is_not_identified(visitor: Visitor) -> None:
    client = visitor("admin")
    assert client.post("/log-out").status_code == 302
    assert get(client, "/control/", **API).status_code == 401


def test_a_session_of_someone_who_was_disabled_is_nobodys(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = visitor("admin")
    assert get(client, "/control/").status_code == 200
    monkeypatch.setattr(people, "accounts", copy.copy(people.accounts))
    monkeypatch.setattr(people.accounts, "_kept", dict(people.accounts._kept))
    people.accounts.disable("admin@example.org")
    assert get(client, "/control/", **API).status_code == 401


def test_what_users_write_is_escaped(visitor: Visitor) -> None:
    client = visitor("user")
    client.post("/articles/new", data={"title": "<script>alert(1)</script>"}, headers=BROWSER)
    text = get(client, "/").text
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(visitor: Visitor) -> None:
    """SECURITY 2.57."""
    cookie = log_in(visitor("nobody"), "user").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


@pytest.mark.slow
def test_the_example_starts_and_says_where_and_who() -> None:
    command = [sys.executable, "-u", "-m", "examples.pages", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(5)]
        finally:
            process.terminate()
    assert re.match(r"Open http://127\.0\.0\.1:\d+/ ", lines[0])
    assert [line.split()[0] for line in lines[2:]] == list(people.passwords)
