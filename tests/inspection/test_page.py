"""The page of the matrix: whole without a script or a network, and safe whatever names hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from flask import Flask

from jwt_authz import Role, Roles, exempt, requirement, requires
from jwt_authz.inspection.access import read_access
from jwt_authz.inspection.page import render_page
from jwt_authz.inspection.routes import read_routes
from tests.edge import guarded_app

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table></script><h1>",
    "{{ 7 * 7 }}{% for %}",
    "&lt;b&gt; &amp; <!--",
    "line\nbreak\u2028\u202e\x1b[31m",
    "javascript:alert(1)",
)


class Structure(HTMLParser):
    """The tags and the names of their attributes, in order, and the texts between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", ()))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def application(name: str) -> Flask:
    """One in which everything that can have a name has this one."""
    roles = Roles(Role(name, "page:read"), Role("clerk", "page:*"))
    app = guarded_app(authz={"roles": roles}, name="shop")

    @requirement(name)
    def named(identity: object) -> bool:
        return True

    app.add_url_rule(f"/{name.replace('<', '(')}", name, requires("page:read", named)(lambda: "in"))
    app.add_url_rule("/open", "open", lambda: "in")
    app.add_url_rule("/exempt", "exempt", exempt(lambda: "in"))
    return app


def page(app: Flask, title: str = "shop") -> str:
    with app.app_context():
        return render_page(title, read_access(), read_routes())


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_texts_and_never_markup(name: str) -> None:
    plain, hostile = Structure(page(application("plain"))), Structure(page(application(name), name))
    assert hostile.tags == plain.tags
    # What the page itself has in its script is not an attribute of a tag.
    assert not any(attribute.startswith("on") for attribute, _ in hostile.attributes)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable()])
def test_names_can_be_read_as_they_are(name: str) -> None:
    shown = Structure(page(application(name), name)).texts
    for text in (name, f"Who may call what: {name}", f"has the permission page:read and {name}"):
        assert text in shown


def test_what_does_not_print_is_shown_as_its_escape() -> None:
    written = page(application(HOSTILE[-2]))
    assert "line\\nbreak\\u2028\\u202e\\x1b[31m" in written
    assert all(line.isprintable() for line in written.split("\n"))


def test_the_page_loads_nothing_and_has_all_its_rows_without_a_script() -> None:
    written = page(application("plain"))
    found = Structure(written)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", written)
    assert not {name for name, _ in found.attributes} & {"src", "href", "action"}
    without_script = re.sub(r"<script>.*?</script>", "", written, flags=re.DOTALL)
    for text in ("/plain", "/open", "NO GUARD", "exempt", "has the permission page:read"):
        assert text in without_script
    rows = [names for tag, names in found.tags if tag == "tr" and "data-text" in names]
    assert [names for names in rows if "hidden" in names] == []
    assert len(rows) == 3
    # The field for the search is of no use without the script, which is what shows it.
    assert '<form id="search" role="search" hidden>' in without_script


def test_a_row_is_found_by_what_it_shows_and_by_an_answer() -> None:
    texts = [v for n, v in Structure(page(application("Plain"))).attributes if n == "data-text"]
    guarded = next(text for text in texts if "/plain" in text)
    for word in ("get", "/plain", "page:read", "view", "clerk:depends", "not identified:no"):
        assert word in guarded
    assert guarded == guarded.lower()
    assert "no guard" in next(text for text in texts if "/open" in text)


def test_the_page_tells_how_many_routes_have_no_guard() -> None:
    app = application("plain")
    assert "1 route has no guard: everyone may call it." in page(app)
    app.add_url_rule("/also", "also", lambda: "in")
    assert "2 routes have no guard: everyone may call them." in page(app)
    guarded = guarded_app()
    guarded.add_url_rule("/", "view", requires()(lambda: "in"))
    assert "no guard, and everybody" not in page(guarded)


def test_the_page_tells_and_marks_routes_whose_guards_are_not_enforced() -> None:
    app = guarded_app()
    app.add_url_rule("/dry", "dry", requires(enforce=False)(lambda: "in"))
    written = page(app)
    assert "1 route has no enforced guard: everyone may call it." in written
    assert "guards: view; NOT ENFORCED" in written
    assert ("class", "hole") in Structure(written).attributes
    app = guarded_app()
    app.add_url_rule("/safe", "safe", requires()(lambda: "in"))
    assert ("class", "hole") not in Structure(page(app)).attributes


def test_an_application_without_routes_has_a_page_that_says_so() -> None:
    assert "The application has no routes." in page(guarded_app())
