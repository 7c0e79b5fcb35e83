"""What the commands say of the example: `docs/example.md` shows it, and is held to it here."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask.cli import ScriptInfo
from playwright.sync_api import Browser, Page

from jwt_authz.cli.main import authz

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "example.md"
START = "$ flask --app examples.api authz "
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
SAID = [part for block in BLOCKS for part in block.split(START)[1:]]
COMMANDS = ["check", "routes", "matrix", "who", "can", "explain", "matrix --diff"]


def run(api: Any, *arguments: str) -> Result:
    return CliRunner().invoke(authz, arguments, obj=ScriptInfo(create_app=lambda: api.app))


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.partition("\n")[0])
def test_a_command_says_of_the_example_what_the_page_shows(
    api: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, shown = said.partition("\n")
    (tmp_path / "before.json").write_text(run(api, "matrix", "--json").stdout)
    monkeypatch.chdir(tmp_path)
    ended = run(api, *shlex.split(command))
    assert [line.rstrip() for line in ended.output.splitlines()] == shown.splitlines()


def test_the_page_shows_each_command() -> None:
    for command in COMMANDS:
        assert any(said.startswith(command) for said in SAID), command


WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}


@pytest.fixture
def shown(api: Any, browser: Browser, tmp_path: Path) -> Any:
    """Opens the page of the example's matrix; gives it, and what went wrong or was asked for."""
    file = tmp_path / "matrix.html"
    file.write_text(run(api, "matrix", "--html").stdout)
    opened = []

    def show(**options: Any) -> tuple[Page, list[str]]:
        context = browser.new_context(**options)
        opened.append(context)
        page, wrong = context.new_page(), list[str]()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url))
        page.goto(file.as_uri())
        wrong.remove(file.as_uri())
        return page, wrong

    yield show
    for context in opened:
        context.close()


def rows(page: Page) -> list[str]:
    """The routes that are to be seen."""
    return [
        row.locator("th code").inner_text()
        for row in page.locator("tbody tr").all()
        if row.is_visible()
    ]


def test_the_page_of_the_matrix_is_searched_by_words_and_by_answers(shown: Any) -> None:
    page, wrong = shown()
    assert len(rows(page)) > 10
    page.get_by_label("Find").fill("admin viewer:no")
    found = rows(page)
    assert "GET /admin/users" in found and "GET /articles" not in found
    assert (
        page.locator("output").inner_text()
        == f"{len(found)} of {page.locator('tr[data-text]').count()} routes"
    )
    page.get_by_label("Find").fill("viewer:yes articles")
    assert "GET /articles" in rows(page) and "POST /articles" not in rows(page)
    assert wrong == []


def test_the_page_of_the_matrix_can_be_read_without_a_script(shown: Any) -> None:
    page, wrong = shown(java_script_enabled=False)
    assert "GET /articles" in rows(page)
    assert page.get_by_label("Find").is_hidden()
    assert wrong == []


def test_the_page_of_the_matrix_is_reached_by_the_keyboard(shown: Any) -> None:
    page, _ = shown()
    page.keyboard.press("Tab")
    page.keyboard.type("reports")
    assert rows(page) == ["GET /reports"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Routes and roles"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_the_matrix_fits_its_window_and_has_enough_contrast(
    shown: Any, width: str, scheme: str
) -> None:
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    page, wrong = shown(viewport=size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in (".no", ".yes", ".endpoint", ".guards", "tbody th code", "thead th", "p"):
        assert contrast(page, selector) >= 4.5, selector
    assert wrong == []
    folder = os.environ.get("TEST_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"matrix-{width}-{scheme}.png")


def contrast(page: Page, selector: str) -> float:
    """The contrast of the first such text with what is behind it (WCAG 2.2, 1.4.3)."""
    text, ground = page.locator(selector).first.evaluate(
        """element => {
          let behind = element;
          const clear = "rgba(0, 0, 0, 0)";
          while (behind && getComputedStyle(behind).backgroundColor === clear)
            behind = behind.parentElement;
          const colours = [getComputedStyle(element).color,
            behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)"];
          return colours.map(colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number));
        }"""
    )
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: list[float]) -> float:
    parts = [value / 255 for value in colour]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
