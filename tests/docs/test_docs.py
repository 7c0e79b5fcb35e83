"""The documentation is true: its code runs, prints what it shows, and leaves nothing out."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from jwt_authz import errors
from jwt_authz._concurrency.slots import Slots
from jwt_authz.findings import CHECKS
from jwt_authz.policy.problem import TITLES, TYPE_PREFIX
from jwt_authz.settings import settings_table
from tests.cheap_argon2 import make_argon2_cheap, replace_slots
from tests.docs.reading import Block, Page, console, module_of, normalized, outputs, run
from tests.edge import bearer, token_for
from tests.hostile import KINDER, STRICTER

ROOT = Path(__file__).resolve().parents[2]
LIBRARY, DOCS = ROOT / "jwt_authz", ROOT / "docs"
README = Page(ROOT / "README.md")
PAGES = [README, *(Page(path) for path in sorted(DOCS.glob("*.md")))]
CONSOLES = [
    pytest.param(page, block, id=f"{page}:{block.line}")
    for page in PAGES
    for block in page.blocks
    if block.language == "console" and block.is_run
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

each_page = pytest.mark.parametrize("page", PAGES, ids=str)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the pages tell their reader to set; and passwords at a price that tests can pay."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_JWT_SECRET_KEY", "a-secret-for-the-documentation:" + 33 * "x")
    monkeypatch.setenv("FLASK_SECRET_KEY", "another-one-for-its-sessions:" + 35 * "y")
    make_argon2_cheap(monkeypatch)
    replace_slots(monkeypatch, Slots(1, 1, 1))  # a page sets other numbers


# --- what is shown is what happens ---------------------------------------------------------------


@pytest.mark.slow
@each_page
def test_the_python_of_a_page_runs_in_order_and_prints_what_the_page_shows(page: Page) -> None:
    for block, printed in outputs(page):
        assert normalized(printed) == normalized(block.text), f"{page}, line {block.line}"


@pytest.mark.slow
@pytest.mark.parametrize(("page", "block"), CONSOLES)
def test_commands_print_what_the_page_shows(page: Page, block: Block, tmp_path: Path) -> None:
    if "curl " in block.text and not (shutil.which("curl") and shutil.which("bash")):
        pytest.skip("bash and curl are not both here")
    for command, shown, printed in console(page, block, tmp_path):
        assert normalized(printed) == normalized(shown), command


def test_the_refusal_on_the_readmes_first_screen_is_the_real_one() -> None:
    shown = next(block for block in README.blocks if block.language == "http")
    with module_of(README) as module:
        run(README, README.python_until(shown)[0], module)
        client = module.app.test_client()
        answer = client.post("/orders", headers=bearer(token_for(module.app, "ada", "clerk")))
    head, _, body = normalized(shown.text).partition("\n\n")
    assert head.startswith(f"HTTP/1.1 {answer.status}")
    for line in head.splitlines()[1:]:
        name, _, value = line.partition(": ")
        assert answer.headers[name] == value
    assert normalized(json.dumps(answer.json)) == normalized(json.dumps(json.loads(body)))


def test_the_readmes_first_python_block_has_at_most_twenty_lines() -> None:
    assert README.python_until()[0].text.count("\n") <= 20


# --- what the reader types -------------------------------------------------------------


def shell_lines() -> Iterator[tuple[Page, str]]:
    for page in PAGES:
        for block in page.blocks:
            if block.language in ("sh", "console"):
                yield from ((page, line.removeprefix("$ ")) for line in block.text.splitlines())
        yield from ((page, line) for line in re.findall(r"`([^`\n]+)`", page.prose))


def test_every_extra_that_a_page_installs_is_one_of_the_project() -> None:
    installs = [(page, line) for page, line in shell_lines() if "pip install" in line]
    assert installs
    for page, line in installs:
        for extras in re.findall(r"jwt_authz\[([^]]*)\]", line):
            assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys(), (page, line)


def test_every_extra_of_the_readmes_table_is_one_of_the_project() -> None:
    table = README.prose.partition("| extra | for |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert named
    assert set(named) <= PROJECT["optional-dependencies"].keys()


def test_the_modules_that_start_py_runs_exist() -> None:
    started = {
        shlex.split(line)[2]
        for _, line in shell_lines()
        if line.startswith("python3 scripts/start.py ")
    }
    assert {"examples.api", "pytest"} <= started
    for module in started:
        assert find_spec(f"{module}.__main__"), module


def test_the_command_flask_authz_is_the_one_that_the_pages_were_held_against() -> None:
    assert PROJECT["entry-points"]["flask.commands"] == {"authz": "jwt_authz.cli:authz"}


# --- links ---------------------------------------------------------------------------------------

LINKED = [*PAGES, *(Page(ROOT / name) for name in ("CHANGELOG.md", "SECURITY.md"))]


@pytest.mark.parametrize("page", LINKED, ids=str)
def test_every_link_inside_the_project_leads_somewhere(page: Page) -> None:
    for link in page.links:
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path) if path else page.path
        assert target.exists(), link
        assert not anchor or anchor in Page(target).anchors, link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = {README.path}, [README]
    while waiting:
        page = waiting.pop()
        for link in page.links:
            target = (page.path.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                reached.add(target)
                waiting.append(Page(target))
    assert {page.path for page in PAGES} <= reached


# --- nothing is left out -------------------------------------------------------------------------


def problem_types() -> set[str]:
    """Return the names of all problem types that the library's code uses."""
    conditions = [errors.InvalidToken]
    for condition in conditions:
        conditions += condition.__subclasses__()
    names = {each.name for each in conditions if each.__module__ == errors.__name__}
    for path in LIBRARY.rglob("*.py"):
        text = path.read_text()
        names.update(re.findall(r'make_problem\(\s*"([a-z-]+)"', text))
        names.update(re.findall(r'\(\s*4\d\d,\s*"([a-z-]+)"', text))
    return names


def test_every_problem_type_has_a_title_of_its_own_and_no_other_has_one() -> None:
    assert sorted(TITLES) == sorted(problem_types())
    assert len({*TITLES.values()}) == len(TITLES)


def test_every_problem_type_is_explained_under_its_name_and_no_other_is() -> None:
    text = (DOCS / "refusals.md").read_text()
    explained = re.findall(r"^### ([a-z-]+)$", text.partition("## Problem types")[2], re.MULTILINE)
    assert sorted(explained) == sorted(TITLES)


@pytest.mark.slow
def test_no_page_speaks_of_a_problem_type_that_there_is_not() -> None:
    for page in PAGES:
        assert set(re.findall(rf"{TYPE_PREFIX}([a-z-]+)", page.text)) <= TITLES.keys(), page


def test_every_setting_is_on_the_settings_page_and_no_page_has_another() -> None:
    names = {name for name, *_ in settings_table()}
    assert names == set(re.findall(r"^\| `(AUTHZ_\w+)`", (DOCS / "settings.md").read_text(), re.M))
    for page in PAGES:
        spoken_of = set(re.findall(r"\bAUTHZ_[A-Z_]+\b", page.text)) - {"AUTHZ_REALMS", "AUTHZ_"}
        assert spoken_of <= names, page


@pytest.mark.parametrize("rules", [STRICTER, KINDER], ids=["stricter", "kinder"])
def test_the_tokens_page_lists_all_that_differs_from_flask_jwt_extended(
    rules: dict[str, str],
) -> None:
    text = (DOCS / "tokens.md").read_text()
    for name, reason in rules.items():
        assert f"| {name} | {reason} |\n" in text


@pytest.mark.slow
def test_what_is_made_from_the_code_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_file_of_the_library_is_named_on_the_architecture_page() -> None:
    text = (DOCS / "architecture.md").read_text()
    for path in LIBRARY.rglob("*.py"):
        assert f"| `{path.relative_to(LIBRARY).as_posix()}` |" in text


def test_every_finding_that_a_page_shows_ends_with_a_code_of_its_severity() -> None:
    for page in PAGES:
        for block in page.blocks:
            for severity, line in re.findall(r"^(error|warning): (.*)$", block.text, re.MULTILINE):
                code = line.rpartition(" [")[2].removesuffix("]")
                assert CHECKS[code].severity == severity, (page, line)
