"""The seeding of the example: safe at any time, and by several at once."""

from __future__ import annotations

import ast
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from examples.api import create_app
from examples.api.seed import USERS, announce


def passwords_of(api: Any) -> dict[str, str]:
    found: dict[str, str] = api.app.extensions["demo_passwords"]
    return found


@pytest.mark.slow
def test_passwords_are_random_one_for_each_user_and_printed(
    start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = start(DEMO_PASSWORD=""), start(DEMO_PASSWORD="")
    passwords = passwords_of(one)
    assert len({*passwords.values(), *passwords_of(other).values()}) == 14
    announce(one.app)
    assert capsys.readouterr().out.splitlines() == [
        f"password of {name}: {passwords[name]}" for name in USERS
    ]
    for name, password in passwords.items():
        assert one.log_in(name, password).status_code == 200


def test_a_password_that_was_given_is_not_printed(
    start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(start().app)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_second_start_keeps_users_passwords_and_articles(start: Any, database_url: str) -> None:
    first = start(DATABASE_URL=database_url, DEMO_PASSWORD="")
    first.tokens = {"editor": first.log_in("editor", passwords_of(first)["editor"]).json}
    first.tokens["editor"] = first.tokens["editor"]["access_token"]
    first.write("editor", title="Kept")
    second = start(DATABASE_URL=database_url, DEMO_PASSWORD="")
    assert passwords_of(second) == {}
    answer = second.log_in("editor", passwords_of(first)["editor"])
    second.tokens["editor"] = answer.json["access_token"]
    listed = second.ask("editor", "GET", "/articles").json["articles"]
    assert [article["title"] for article in listed] == ["Who may do what", "Kept"]
    assert second.ask("editor", "GET", "/me").json == first.ask("editor", "GET", "/me").json


@pytest.mark.slow
def test_a_start_with_a_password_gives_it_to_users_that_are_there(
    start: Any, database_url: str
) -> None:
    start(DATABASE_URL=database_url, DEMO_PASSWORD="an older one")
    api = start(DATABASE_URL=database_url, DEMO_PASSWORD="a newer one")
    assert api.log_in("admin", "a newer one").status_code == 200
    assert api.log_in("admin", "an older one").status_code == 401


@pytest.mark.slow
def test_a_start_that_asks_for_new_passwords_makes_them(start: Any, database_url: str) -> None:
    start(DATABASE_URL=database_url)
    api = start(DATABASE_URL=database_url, DEMO_PASSWORD="", new_passwords=True)
    assert api.log_in("admin", passwords_of(api)["admin"]).status_code == 200


@pytest.mark.slow
def test_a_first_article_that_was_deleted_is_back_at_the_next_start(
    start: Any, database_url: str
) -> None:
    api = start(DATABASE_URL=database_url)
    api.write("editor")
    api.ask("admin", "DELETE", "/articles/1")
    again = start(DATABASE_URL=database_url)
    assert again.ask("viewer", "GET", "/articles/1").status_code == 200
    assert again.write("editor") == 4


@pytest.fixture
def one_parses_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Werkzeug parses code for its routes, in which CPython 3.11 may fail if two threads do it.

    The error is `SystemError: AST constructor recursion depth mismatch` (CPython's issue 106905).
    """
    parse, lock = ast.parse, threading.Lock()

    def parse_alone(*arguments: Any, **keywords: Any) -> Any:
        with lock:
            return parse(*arguments, **keywords)

    monkeypatch.setattr(ast, "parse", parse_alone)


@pytest.mark.slow
@pytest.mark.usefixtures("one_parses_at_a_time")
def test_starts_at_the_same_moment_make_each_user_and_article_once(
    start: Any, database_url: str
) -> None:
    first = start()  # for an environment that holds while the threads start
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLASK_DATABASE_URL", database_url)
        with ThreadPoolExecutor(4) as threads:
            apps = [done.result() for done in [threads.submit(create_app) for _ in range(4)]]
    given = [app.extensions["demo_passwords"] for app in apps]
    assert sorted(map(len, given)) == [0, 0, 0, 7]
    for app in apps:
        first.app, first.tokens = app, {}
        [passwords] = [passwords for passwords in given if passwords]
        answer = first.log_in("admin", passwords["admin"])
        first.tokens["admin"] = answer.json["access_token"]
        assert len(first.ask("admin", "GET", "/admin/users").json["users"]) == 3
        assert len(first.ask("admin", "GET", "/articles").json["articles"]) == 1
        first.close()
