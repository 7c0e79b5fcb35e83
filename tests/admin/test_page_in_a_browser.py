"""The admin page in a real browser, by keyboard and by pointer, on a desktop and on a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from .application import PASSWORD, ask, tokens

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
PATHS = ("", "user/bob", "new", "roles", "role/editor", "new-role", "access", "trail", "log-in")
CONTRAST = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  return [...document.querySelectorAll("main *, header *")].filter(node => node.checkVisibility()
      && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()))
    .map(node => {
      const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return [ratio, node.outerHTML.slice(0, 80)];
    }).filter(([ratio]) => ratio < 4.5);
}"""


@pytest.fixture
def url(stored: Flask) -> Iterator[str]:
    """Where the application is served."""
    server = make_server("127.0.0.1", 0, stored, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=[("desktop", "light"), ("desktop", "dark"), ("phone", "dark")])
def page(request: pytest.FixtureRequest, browser: Browser, url: str) -> Iterator[Page]:
    """A window in which ann has signed in; nothing in it may break the policy, or fail."""
    size, scheme = request.param
    width, height = SIZES[size]
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, base_url=url
    )
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    sign_in(page)
    yield page
    context.close()
    assert errors == []


def sign_in(page: Page) -> None:
    """By the keyboard alone."""
    page.goto("/admin/")
    page.locator("#username").focus()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#results")


def preview(page: Page) -> str:
    """What the page says that a change would open and close."""
    page.get_by_role("button", name="Show what would change").click()
    return page.locator("#effects").inner_text()


def test_a_role_is_taken_away_and_the_next_request_with_the_old_token_is_refused(
    stored: Flask, page: Page
) -> None:
    old = tokens(stored, "bob")["access_token"]
    assert ask(stored, old, "GET", "/write").status_code == 200
    page.get_by_label("Name contains").fill("bo")
    page.get_by_role("status").get_by_text("1 user found").wait_for()
    page.wait_for_url("**search=bo**")
    assert page.locator("#results tbody tr").count() == 1
    page.get_by_role("link", name="bob").click()
    page.get_by_label("editor").uncheck()
    assert "/write" in preview(page)
    assert ask(stored, old, "GET", "/write").status_code == 200
    page.get_by_role("button", name="Save roles").click()
    page.get_by_text("The roles are changed. The change is in force.").wait_for()
    assert ask(stored, old, "GET", "/write").status_code == 401
    page.get_by_role("link", name="Trail").click()
    assert "change roles" in page.locator("table").inner_text()


def test_the_list_is_not_reloaded_under_the_pointer_when_the_search_is_left(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Name contains").fill("bo")
    page.get_by_role("status").get_by_text("1 user found").wait_for()
    page.get_by_label("Role").focus()
    page.wait_for_timeout(400)
    assert len(asked) == 1
    page.get_by_label("Role").select_option("viewer")
    page.get_by_role("status").get_by_text("0 users found").wait_for()
    assert len(asked) == 2


def test_a_permission_is_taken_from_a_role_and_the_next_request_is_refused(
    stored: Flask, page: Page
) -> None:
    old = tokens(stored, "bob")["access_token"]
    page.get_by_role("link", name="Roles").click()
    page.get_by_role("link", name="editor").click()
    page.get_by_label("articles:write").uncheck()
    page.get_by_label("Other permissions").fill("articles:read")
    assert "/write" in preview(page)
    assert ask(stored, old, "GET", "/write").status_code == 200
    page.get_by_role("button", name="Save role").click()
    page.get_by_text("The role is changed. The change is in force.").wait_for()
    assert ask(stored, old, "GET", "/write").status_code == 403
    page.get_by_role("link", name="Trail").click()
    page.get_by_role("link", name="editor").first.click()
    assert "change role" in page.locator("table").last.inner_text()


def test_no_page_is_wider_than_the_window_and_all_text_can_be_read(
    stored: Flask, page: Page
) -> None:
    tokens(stored, "bob")
    page.goto("/admin/role/editor")
    page.get_by_label("articles:write").uncheck()
    assert "/write" in preview(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(CONTRAST) == []
    for path in PATHS:
        page.goto(f"/admin/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(CONTRAST) == [], path


def test_each_field_has_a_label_each_table_a_caption_and_focus_can_be_seen(page: Page) -> None:
    for path in PATHS:
        page.goto(f"/admin/{path}")
        fields = "input:not([type=hidden]), select"
        labelled = "nodes => nodes.every(node => node.labels.length > 0)"
        assert page.locator(fields).evaluate_all(labelled), path
        captioned = "nodes => nodes.every(node => node.caption && node.querySelector('[scope]'))"
        assert page.locator("table").evaluate_all(captioned), path
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to the content"
        outline = "getComputedStyle(document.activeElement).outlineWidth"
        assert page.evaluate(outline) == "3px"


def test_the_page_works_without_scripts(stored: Flask, browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=url)
    page = context.new_page()
    sign_in(page)
    page.get_by_label("Name contains").fill("bo")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="bob").click()
    page.get_by_role("button", name="Disable bob").click()
    page.get_by_text("The user is disabled and logged out everywhere.").wait_for()
    context.close()
    assert stored.extensions["jwt_authz"].accounts.find("bob").disabled is True
