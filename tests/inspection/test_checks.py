"""Each code of the check: documented, triggered by its example, and silenced as the table says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from jwt_authz import MisuseError, Role, Roles, exempt, has_role, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.admin import admin_page_blueprint
from jwt_authz.application import current_state
from jwt_authz.cli.main import authz as commands
from jwt_authz.endpoints import (
    login_attempt,
    password_blueprint,
    refresh_blueprint,
    token_blueprint,
)
from jwt_authz.findings import CHECKS, REGISTERED, Finding
from jwt_authz.inspection.check import FUNCTIONS, find
from tests.docs.reading import Page, module_of, run
from tests.edge import get, guarded_app, token_for

PAGE = Page(Path(__file__).parents[2] / "docs" / "checking.md")

# Every code that there ever was. A code that is taken out of the table stays here, and is never
# used for another check: it may stand in someone's AUTHZ_SILENCE.
EVER_USED = [
    *(f"AZ{number:03}" for number in range(1, 14)),
    *(f"AZ{number:03}" for number in range(101, 111)),
    *(f"AZ{number:03}" for number in range(201, 208)),
    *(f"AZ{number:03}" for number in range(301, 306)),
    *(f"AZ{number:03}" for number in range(401, 405)),
    *(f"AZ{number:03}" for number in range(501, 509)),
]
NEVER_SILENCED = {"AZ003", "AZ201", "AZ202", "AZ203", "AZ205", "AZ301", "AZ402", "AZ403"}

each_code = pytest.mark.parametrize("code", CHECKS)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_JWT_SECRET_KEY", "a-secret-for-the-documentation:" + 33 * "x")


def section(code: str) -> str:
    """What the page says under the heading of a code."""
    return PAGE.text.partition(f"\n### {code}\n")[2].partition("\n### ")[0].partition("\n## ")[0]


def found_in_example(code: str, silence: list[str]) -> list[Finding]:
    """What the command finds in the example of a code, with these codes silenced."""
    start = PAGE.text.count("\n", 0, PAGE.text.index(f"\n### {code}\n"))
    end = start + section(code).count("\n")
    with module_of(PAGE) as module:
        for block in PAGE.blocks:
            if block.language == "python" and block.line < end:
                if block.line > start:
                    module.make = silencing(module.make, silence)
                run(PAGE, block, module)
        if "```python" not in section(code):
            module.app = silencing(module.make, silence)(accounts=MemoryAccounts())
            module.app.register_blueprint(token_blueprint())
        return found(module.app)


def silencing(make: Callable[..., Flask], silence: list[str]) -> Callable[..., Flask]:
    return lambda **options: make(AUTHZ_SILENCE=silence, **options)


def found(app: Flask) -> list[Finding]:
    """What the command would find during a request, through a proxy, to several processes."""
    environ = {"wsgi.multiprocess": True, "HTTP_X_FORWARDED_FOR": "192.0.2.1"}
    with app.test_request_context(environ_overrides=environ):
        return find(current_state(), by_command=True)


@pytest.fixture
def surroundings(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no example can bring about: patched threads, and an extra that is missing."""
    if code == "AZ403":
        monkeypatch.setattr(threading, "Lock", threading.RLock)
    if code == "AZ507":
        monkeypatch.setattr(login_attempt, "LoginRate", None)
        monkeypatch.setattr(login_attempt, "_MISSING", "it is missing", raising=False)


# --- the table -----------------------------------------------------------------------------------


def test_no_code_is_taken_back_or_used_for_another_check() -> None:
    assert list(CHECKS) == EVER_USED == sorted(set(EVER_USED))


def test_each_code_has_one_function_or_belongs_to_a_blueprint() -> None:
    app = guarded_app(AUTHZ_STORE_URL="memory:")
    for made in (token_blueprint(), refresh_blueprint(), password_blueprint()):
        app.register_blueprint(made)
    app.register_blueprint(admin_page_blueprint("article:edit"))
    registered = {code for code, _ in app.extensions[REGISTERED]}
    assert registered.isdisjoint(FUNCTIONS)
    assert registered | FUNCTIONS.keys() == CHECKS.keys()


def test_what_can_never_be_silenced_is_pinned() -> None:
    assert {c.code for c in CHECKS.values() if not c.can_be_silenced} == NEVER_SILENCED
    assert all(c.can_be_silenced for c in CHECKS.values() if c.severity == "warning")


@each_code
def test_each_code_is_explained_under_its_anchor(code: str) -> None:
    assert Finding(code, "error", "").docs == f"docs/checking.md#{code.lower()}"
    assert code.lower() in PAGE.anchors
    text = section(code)
    assert text.strip().startswith(f"**{CHECKS[code].title}**")
    explanation, example, advice = re.split(r"^```.*$", text, flags=re.MULTILINE)
    assert explanation.partition(CHECKS[code].title)[2].strip("* \n")
    assert example.strip()
    assert advice.strip()


def test_no_other_code_is_explained() -> None:
    assert re.findall(r"^### (AZ\w+)$", PAGE.text, re.MULTILINE) == list(CHECKS)


# --- each code by itself -------------------------------------------------------------------------


@each_code
def test_the_example_of_a_code_has_the_finding(code: str, surroundings: None) -> None:
    (first, *_) = [one for one in found_in_example(code, []) if one.code == code]
    assert first.severity == CHECKS[code].severity
    assert str(first) == f"{first.message} [{code}]"


@each_code
def test_a_code_is_silenced_unless_it_never_can_be(code: str, surroundings: None) -> None:
    codes = {one.code: one.message for one in found_in_example(code, [code])}
    if CHECKS[code].can_be_silenced:
        assert code not in codes
        assert "AZ201" not in codes
    elif code == "AZ403":  # which stops all other checks
        assert codes.keys() == {"AZ403"}
    else:
        assert f"AUTHZ_SILENCE has {code}, which cannot be silenced" in codes["AZ201"]


def test_to_silence_one_code_silences_no_other() -> None:
    app = guarded_app(AUTHZ_SILENCE=["AZ101"])
    asked = requires("article:burn", has_role("king"))
    app.add_url_rule("/", "view", asked(lambda: "in"))
    with app.app_context():
        found = app.extensions["jwt_authz"].findings()
    assert [one.code for one in found] == ["AZ102"]


@pytest.mark.parametrize(
    ("code", "near"),
    [("AZ01", "AZ01"), ("az105", "AZ105"), ("AZ999", "AZ"), ("", "AZ001"), ("unguarded", "AZ001")],
)
def test_an_unknown_code_is_an_error_that_names_near_ones(code: str, near: str) -> None:
    app = guarded_app(AUTHZ_SILENCE=["AZ105", code])
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    with app.app_context(), pytest.raises(MisuseError) as refused:
        app.extensions["jwt_authz"].check()
    text = str(refused.value)
    assert text.startswith(f"AUTHZ_SILENCE has the unknown code {code!r}: did you mean {near}")
    assert text.endswith(" [AZ201]")
    assert app.test_client().get("/").status_code == 500


def test_what_is_silenced_is_served_and_refused_as_before() -> None:
    app = guarded_app(authz={"default": "deny"}, AUTHZ_SILENCE=["AZ001", "AZ102"])
    app.add_url_rule("/bare", "bare", lambda: "in")
    app.add_url_rule("/king", "king", requires(has_role("king"))(lambda: "in"))
    token = token_for(app, "alice", "admin")
    assert get(app.test_client(), "/bare", token).status_code == 403
    assert get(app.test_client(), "/king", token).status_code == 403


def test_an_unusable_key_that_is_silenced_hides_no_weak_one() -> None:
    app = guarded_app(
        JWT_SECRET_KEY="short",
        JWT_DECODE_ALGORITHMS=["HS256", "HS1024"],
        AUTHZ_SILENCE=["AZ204"],
    )
    with app.app_context():
        assert [one.code for one in app.extensions["jwt_authz"].findings()] == ["AZ205"]


# --- as values -----------------------------------------------------------------------------------


def test_findings_have_the_place_they_are_about() -> None:
    app = guarded_app(AUTHZ_DISCLOSE="everything")
    app.add_url_rule("/orders/<int:id>", "order", requires("a:b")(lambda id: "in"))
    exempt("nowhere", app)
    with app.app_context():
        found = app.extensions["jwt_authz"].findings()
    assert [(one.code, one.severity, one.place) for one in found] == [
        ("AZ004", "error", {"endpoint": "nowhere"}),
        ("AZ101", "error", {"endpoint": "order", "method": "GET", "rule": "/orders/<int:id>"}),
        ("AZ201", "error", {"setting": "AUTHZ_DISCLOSE"}),
    ]


def test_findings_are_returned_where_check_raises_and_leave_out_what_is_for_the_command() -> None:
    app = guarded_app()
    app.add_url_rule("/bare", "bare", lambda: "in")
    app.add_url_rule("/", "view", requires("a:b")(lambda: "in"))
    authz = app.extensions["jwt_authz"]
    with app.app_context():
        (one,) = authz.findings()
        with pytest.raises(MisuseError) as refused:
            authz.check()
    assert str(refused.value) == str(one)
    assert one.code == "AZ101"


def test_one_finding_is_reported_once_though_two_blueprints_check_it() -> None:
    app = guarded_app()
    app.register_blueprint(token_blueprint())
    app.register_blueprint(password_blueprint())
    with app.app_context():
        codes = [one.code for one in app.extensions["jwt_authz"].findings()]
    assert codes == ["AZ501", "AZ502"]


def test_patched_threads_stop_the_other_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    app = guarded_app(AUTHZ_DISCLOSE="everything")
    monkeypatch.setattr(threading, "Lock", threading.RLock)
    with app.app_context():
        assert [one.code for one in app.extensions["jwt_authz"].findings()] == ["AZ403"]


# --- the command ---------------------------------------------------------------------------------


def command(app: Flask, *options: str) -> Result:
    return app.test_cli_runner().invoke(commands, ["check", *options])


def warning_app(**config: Any) -> Flask:
    app = guarded_app(authz={"roles": Roles(Role("clerk", "order:read"))}, **config)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    return app


def test_strict_fails_for_a_warning_and_only_then() -> None:
    assert command(warning_app()).exit_code == 0
    strict = command(warning_app(), "--strict")
    assert (strict.exit_code, strict.stderr) == (1, "")
    assert strict.stdout.splitlines() == [
        "warning: nothing asks for 'order:read', which a role grants: guard a view by it, or "
        "remove it from the role [AZ105]"
    ]
    silent = command(warning_app(AUTHZ_SILENCE=("AZ105",)), "--strict")
    assert (silent.exit_code, silent.stderr) == (0, "")
    assert silent.stdout == "every view has a guard, or is exempt; silenced: AZ105\n"


def test_json_has_each_finding_as_an_object_and_the_same_exit_codes() -> None:
    app = warning_app()
    result = command(app, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    (one,) = json.loads(result.stdout)
    assert one == {
        "code": "AZ105",
        "severity": "warning",
        "message": "nothing asks for 'order:read', which a role grants: guard a view by it, or "
        "remove it from the role",
        "place": {"permission": "order:read"},
        "docs": "docs/checking.md#az105",
    }
    assert command(app, "--json", "--strict").exit_code == 1
    app.add_url_rule("/bare", "bare", lambda: "in")
    result = command(app, "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert [one["code"] for one in json.loads(result.stdout)] == ["AZ002", "AZ105"]


def test_json_of_nothing_is_an_empty_array_and_of_the_application_has_no_place() -> None:
    assert json.loads(command(warning_app(AUTHZ_SILENCE=["AZ105"]), "--json").stdout) == []
    app = guarded_app(authz={"roles": None}, JWT_SECRET_KEY="short")
    (one,) = json.loads(command(app, "--json").stdout)
    assert (one["code"], one["place"]) == ("AZ205", None)


def test_wrong_arguments_exit_2() -> None:
    assert command(warning_app(), "--jsonl").exit_code == 2


def test_the_summary_does_not_claim_guards_that_are_silenced() -> None:
    app = guarded_app(authz={"roles": None}, AUTHZ_SILENCE=["AZ002"])
    app.add_url_rule("/bare", "bare", lambda: "in")
    assert command(app).stdout == "no errors found; silenced: AZ002\n"
