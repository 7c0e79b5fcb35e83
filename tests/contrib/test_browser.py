"""Pages: what browsers are answered, and where a log-in may send them back to."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, get_flashed_messages, session
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from jwt_authz import Authz, Identity, has_role, requirement, requires
from jwt_authz.contrib.browser import browser_pages, is_local_path, next_url
from jwt_authz.errors import StoreUnavailable
from tests.edge import PROBLEM, SECRET, bearer, catalog, guarded_app, token_for

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
API = "application/json"

# A browser takes each of these, behind `Location:`, for another host, for code, or for something
# that two readers may read in two ways.
ZOO = [
    *("//e.example", "///e.example", "////e.example", "//e.example/%2f..", "//e.example:80"),
    *("\\\\e.example", "/\\e.example", "\\/e.example", "/\\/e.example", "\\e.example", "/a\\b"),
    *("https://e.example", "http:e.example", "https:e.example", "https:/e.example"),
    *("https:///e.example", "HTTPS://e.example", "https:\\\\e.example", "http:/\\e.example"),
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "data:text/html,x"),
    *("vbscript:x", "blob:x", "file:///etc/passwd", "about:blank", "mailto:a@e.example"),
    *("//user@e.example", "//user:password@e.example", "https://here@e.example", "@e.example"),
    *("e.example", "e.example/", "www.e.example", "localhost", "localhost:80", "1.2.3.4"),
    *(" //e.example", "\t//e.example", "\n//e.example", "\x00//e.example", " /ok", "\u00a0/ok"),
    *("/\t/e.example", "/\n/e.example", "/\r/e.example", "/\x00/e.example", "/\x0b/e.example"),
    *("/ /e.example", "/ok\r\nSet-Cookie: a=b", "/ok\nX: y", "/ok\x7f", "/ok ", "/\x1f/e.example"),
    *("\u2215\u2215e.example", "/\u2215e.example", "\uff0f\uff0fe.example", "/\uff0fe.example"),
    *("/\u2044e.example", "/\u3002e.example", "\ufeff//e.example", "/\u200b/e.example"),
    *("%2f%2fe.example", "%2F%2Fe.example", "%5c%5ce.example", "%09//e.example", "", "?", "#", "."),
    *("..", "../..//e.example", "./ok", "ok", "?next=/ok", "#ok", ":", "://e.example", "::1"),
    *("[::1]", "//[::1]/", "//[", "https://[", "/\ud800", "/\U0001f600"),
]
HARMLESS = [
    *("/", "/articles", "/articles/1?page=2&sort=title", "/a?next=//e.example", "/a#part"),
    *("/a/../b", "/%2f%2fe.example", "/%5ce.example", "/a?u=https://e.example", "/@e.example"),
    *("/a:b", "/;a", "/a?q=a+b%20c", "/~ada", "/.//e.example"),
]


def pages_app(**options: Any) -> Flask:
    """An application of pages, whose log-in prints where it would send the browser."""
    app = guarded_app(authz={"abort": browser_pages(**options)}, SECRET_KEY=SECRET)

    @app.route("/log-in", methods=["GET", "POST"], endpoint="log_in")
    def log_in() -> str:
        return next_url("/home")

    @app.get("/home", endpoint="home")
    def home() -> str:
        return "|".join(map(str, get_flashed_messages()))

    @app.route("/mine/<path:rest>", methods=["GET", "POST", "DELETE"])
    @app.route("/mine", defaults={"rest": ""}, methods=["GET", "POST", "DELETE"])
    @requires(has_role("viewer"))
    def mine(rest: str) -> str:
        return "mine"

    @app.get("/control")
    @requires(has_role("admin"))
    def control() -> str:
        return "control"

    return app


@pytest.fixture
def browser() -> FlaskClient:
    return pages_app(login="log_in", home="home").test_client()


def ask(client: FlaskClient, path: str, accept: str | None = FIREFOX, **options: Any) -> Any:
    headers = {**options.pop("headers", {}), **({} if accept is None else {"Accept": accept})}
    return client.open(path, headers=headers, **{"method": "GET", **options})


def viewer(client: FlaskClient) -> dict[str, str]:
    return bearer(token_for(client.application, "ada", "viewer"))


def next_of(client: FlaskClient, answer: TestResponse) -> str:
    """Where the log-in page that the answer leads to would send the browser back to."""
    assert answer.status_code == 302
    return str(ask(client, answer.location).text)


# --- where a log-in may send the browser ---------------------------------------------------------


@pytest.mark.parametrize("target", ZOO, ids=ascii)
def test_a_target_that_could_lead_to_another_host_is_rejected(target: str) -> None:
    assert not is_local_path(target)


@pytest.mark.parametrize("target", [t for t in ZOO if "\ud800" not in t], ids=ascii)
def test_a_hostile_next_gives_the_default_from_the_query_and_from_a_form(
    browser: FlaskClient, target: str
) -> None:
    """SECURITY 1.43."""
    for place in ("query_string", "data"):
        answer = browser.post("/log-in", **{place: {"next": target}})
        assert answer.text == "/home"


def test_a_next_that_is_encoded_twice_is_not_decoded_twice(browser: FlaskClient) -> None:
    assert ask(browser, "/log-in?next=%252f%252fe.example").text == "/home"
    assert ask(browser, "/log-in?next=%2f%2fe.example").text == "/home"
    assert ask(browser, "/log-in?next=%2f%252fe.example").text == "/%2fe.example"


@pytest.mark.parametrize("target", HARMLESS)
def test_a_path_of_this_host_is_taken(browser: FlaskClient, target: str) -> None:
    assert is_local_path(target)
    assert browser.get("/log-in", query_string={"next": target}).text == target


def test_without_a_next_the_default_is_taken(browser: FlaskClient) -> None:
    assert ask(browser, "/log-in").text == "/home"


def test_of_two_nexts_the_one_that_was_looked_at_is_taken(browser: FlaskClient) -> None:
    assert ask(browser, "/log-in?next=/ok&next=//e.example").text == "/ok"
    assert ask(browser, "/log-in?next=//e.example&next=/ok").text == "/home"


@given(st.text(st.sampled_from("/\\:.@%?# \t\n\x00e2fF\uff20\uff0f\u3002\u200b"), max_size=12))
def test_an_accepted_target_leads_to_this_host_for_every_parser(target: str) -> None:
    """SECURITY 1.43."""
    if is_local_path(target):
        assert target.startswith("/") and target[1:2] not in ("/", "\\")
        assert target.isascii() and target.isprintable() and " " not in target
        assert urlsplit(target).netloc == urlsplit(target).scheme == ""


# --- what a browser is answered ------------------------------------------------------------------


def test_a_browser_without_a_log_in_is_sent_to_it_and_back(browser: FlaskClient) -> None:
    answer = ask(browser, "/mine/a/b?page=2&sort=x")
    assert next_of(browser, answer) == "/mine/a/b?page=2&sort=x"
    assert answer.location.startswith("/log-in?next=/mine")


@pytest.mark.parametrize("path", ["/mine/%C3%BC", "/mine/a%20b", "/mine/%E2%82%AC?x=%20"])
def test_a_path_with_blanks_or_letters_beyond_ascii_is_come_back_to(
    browser: FlaskClient, path: str
) -> None:
    assert next_of(browser, ask(browser, path)) == path


def test_a_query_that_ends_in_a_question_mark_keeps_it(browser: FlaskClient) -> None:
    assert next_of(browser, ask(browser, "/mine/a?q=why?")) == "/mine/a?q=why?"


def test_below_a_prefix_the_way_back_has_the_prefix(browser: FlaskClient) -> None:
    answer = ask(browser, "/mine/a", base_url="http://localhost/shop")
    assert answer.location == "/shop/log-in?next=/shop/mine/a"


def test_a_redirect_to_the_log_in_page_says_nothing_of_tokens(
    browser: FlaskClient,
) -> None:
    ask(browser, "/mine")
    assert "token" not in ask(browser, "/home").text


def test_what_was_sent_by_a_form_is_not_asked_for_again(browser: FlaskClient) -> None:
    answer = ask(browser, "/mine", method="POST")
    assert (answer.status_code, answer.location) == (302, "/log-in")


def test_a_browser_that_may_not_is_sent_home_with_the_sentence(browser: FlaskClient) -> None:
    answer = ask(browser, "/control", headers=viewer(browser))
    assert (answer.status_code, answer.location) == (302, "/home")
    assert ask(browser, "/home").text == "Requires a caller who has the role admin."
    assert ask(browser, "/home").text == ""


def test_the_message_is_flashed_under_the_category_that_was_given() -> None:
    client = pages_app(home="home", category="refused").test_client()
    with client:
        ask(client, "/control", headers=viewer(client))
        assert [category for category, _ in session["_flashes"]] == ["refused"]


def test_the_page_that_one_would_be_sent_to_is_never_sent_to_itself() -> None:
    app = guarded_app(authz={"abort": browser_pages(login="in", home="in")}, SECRET_KEY=SECRET)

    @app.get("/in", endpoint="in")
    @requires(has_role("admin"))
    def guarded_log_in() -> str:
        return "in"

    client = app.test_client()
    assert ask(client, "/in").status_code == 401
    assert ask(client, "/in", headers=viewer(client)).status_code == 403


@pytest.mark.parametrize(("who", "status"), [("nobody", 401), ("viewer", 403)])
def test_without_a_place_to_go_a_page_has_the_refusals_status(who: str, status: int) -> None:
    client = pages_app().test_client()
    headers = viewer(client) if who == "viewer" else {}
    answer = ask(client, "/control", headers=headers)
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert "<h1>" in answer.text and "urn:uuid:" in answer.text


def test_a_store_that_does_not_answer_is_a_page_of_503() -> None:
    app = pages_app(login="log_in", home="home")

    @app.get("/film")
    @requires(raises_unavailable)
    def film() -> str:
        return "film"

    client = app.test_client()
    answer = ask(client, "/film", headers=viewer(client))
    assert (answer.status_code, answer.mimetype) == (503, "text/html")


@requirement("has paid")
def raises_unavailable(identity: Identity) -> bool:
    raise StoreUnavailable("the database of bills does not answer")


@requirement("is <script>alert('&')</script>")
def marked_up(identity: Identity) -> bool:
    return False


def test_a_sentence_is_escaped_in_the_page() -> None:
    app = pages_app()

    @app.get("/odd")
    @requires(marked_up)
    def odd() -> str:
        return "odd"

    client = app.test_client()
    text = ask(client, "/odd", headers=viewer(client)).text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in text


def test_no_part_of_the_request_is_in_the_page() -> None:
    client = pages_app().test_client()
    text = ask(client, "/mine/<b>x</b>?q=<i>y</i>", headers={"User-Agent": "<u>z</u>"}).text
    assert not any(part in text for part in ("<b>", "&lt;b", "<i>", "&lt;i", "<u>", "&lt;u"))


# --- which clients are browsers ------------------------------------------------------------------

ACCEPTS = {
    FIREFOX: True,
    "text/html": True,
    "text/html;q=0.9, application/json;q=0.8": True,
    "text/*": True,
    API: False,
    PROBLEM: False,
    "*/*": False,
    "": False,
    None: False,
    "application/json, text/html": False,
    "text/html;q=0.8, application/json": False,
    "text/html;q=0.8, application/problem+json": False,
    "text/html;q=0, */*": False,
    "text/plain": False,
    "image/*": False,
    "text/html;q=x": False,
    "not an accept header;;;,": False,
}


@pytest.mark.parametrize(("accept", "is_browser"), ACCEPTS.items(), ids=str)
def test_only_who_prefers_html_gets_pages_and_others_the_problem(
    browser: FlaskClient, accept: str | None, is_browser: bool
) -> None:
    for path, headers, status in (("/mine", {}, 401), ("/control", viewer(browser), 403)):
        answer = ask(browser, path, accept, headers=headers)
        if is_browser:
            assert answer.status_code == 302
        else:
            assert (answer.status_code, answer.mimetype) == (status, PROBLEM)
            assert "WWW-Authenticate" in answer.headers


def varied_by(answer: TestResponse) -> set[str]:
    return {name.strip() for line in answer.headers.getlist("Vary") for name in line.split(",")}


@pytest.mark.parametrize("accept", [FIREFOX, API, None])
def test_a_refusal_says_that_it_depends_on_accept_and_on_the_caller(accept: str | None) -> None:
    client = pages_app().test_client()
    for path, headers in (("/mine", {}), ("/control", viewer(client))):
        answer = ask(client, path, accept, headers=headers)
        assert varied_by(answer) == {"Accept", "Authorization"}


def test_a_redirect_with_a_message_says_so_too(browser: FlaskClient) -> None:
    for path, headers in (("/mine", {}), ("/control", viewer(browser))):
        answer = ask(browser, path, headers=headers)
        assert varied_by(answer) == {"Accept", "Authorization", "Cookie"}


def test_a_response_other_than_a_refusal_does_not_depend_on_accept(browser: FlaskClient) -> None:
    assert varied_by(ask(browser, "/mine", headers=viewer(browser))) == {"Authorization"}


# --- identities from a session -------------------------------------------------------------------


def test_a_session_identity_is_guarded_and_sent_to_the_log_in_like_any_other() -> None:
    app = Flask("sessions")
    app.config["SECRET_KEY"] = SECRET
    roles = catalog()
    authz = Authz(app, roles=roles, abort=browser_pages(login="log_in", home="home"))

    @authz.identity_loader
    def who() -> Identity | None:
        email = session.get("email")
        return Identity(email, roles=frozenset({"viewer"}), catalogue=roles) if email else None

    @app.get("/log-in", endpoint="log_in")
    def log_in() -> str:
        session["email"] = "ada@example.org"
        return next_url("/home")

    @app.get("/home", endpoint="home")
    def home() -> str:
        return "|".join(map(str, get_flashed_messages()))

    @app.get("/mine")
    @requires(has_role("viewer"))
    def mine() -> str:
        return "mine"

    @app.get("/control")
    @requires(has_role("admin"))
    def control() -> str:
        return "control"

    client = app.test_client()
    assert ask(client, "/mine", API).status_code == 401
    assert next_of(client, ask(client, "/mine")) == "/mine"
    answer = ask(client, "/mine")
    assert answer.text == "mine"
    assert varied_by(answer) == {"Cookie"}
    assert ask(client, "/control").location == "/home"
    assert ask(client, "/control", API).status_code == 403
