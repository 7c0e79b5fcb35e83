"""`flask authz sessions ...`, `revoke` and `store check`: what each ends and says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz
from jwt_authz.audit import changed
from jwt_authz.cli.main import authz as commands
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView
from tests.managed import PASSWORD, Process, becomes

pytestmark = pytest.mark.usefixtures("cheap_argon2")
REFRESH = "refresh_token"


@pytest.fixture
def here(start: Callable[..., Process]) -> Process:
    """An application with the users ann and bob, who are clerks."""
    process = start()
    process.roles.add("clerk", "orders:read")
    process.accounts.add("ann", PASSWORD, roles=["clerk"], subject="a1")
    process.accounts.add("bob", PASSWORD, roles=["clerk"], subject="b1")
    return process


def listed(process: Process, *arguments: str) -> list[dict[str, Any]]:
    result = process.run("sessions", "list", *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_the_log_ins_of_a_user_are_listed_by_name_or_by_subject(here: Process) -> None:
    here.log_in()
    here.log_in()
    here.log_in("bob")
    assert len(listed(here, "ann")) == 2
    assert listed(here, "ann") == listed(here, "--subject", "a1")
    text = here.run("sessions", "list", "ann").stdout.splitlines()
    assert text[0].split() == ["id", "client", "tenant", "created", "used", "expires"]
    assert {line.split()[0] for line in text[1:]} == {one["id"] for one in listed(here, "ann")}


def test_without_a_log_in_the_list_says_so(here: Process) -> None:
    assert here.run("sessions", "list", "ann").stdout == "no log-in can be refreshed\n"
    assert listed(here, "ann") == []


def test_one_log_in_ends_and_the_others_go_on(here: Process, start: Callable[..., Process]) -> None:
    there = start()
    first = here.log_in()
    ended = listed(here, "ann")[0]["id"]
    second = here.log_in()
    result = here.run("sessions", "end", "ann", "--id", ended, "--yes")
    assert (result.exit_code, result.stdout) == (0, f"the log-in {ended} of ann is ended\n")
    assert becomes(401, lambda: there.status(first))
    assert there.refresh(first).status_code == 401
    assert there.status(second) == 200


def test_all_log_ins_of_a_user_end_and_nobody_elses(here: Process) -> None:
    anns, bobs = here.log_in(), here.log_in("bob")
    result = here.run("sessions", "end", "ann", "--yes")
    assert result.stdout == "all log-ins and tokens of ann are ended\n"
    assert [here.status(anns), here.status(bobs)] == [401, 200]
    assert here.refresh(anns).status_code == 401
    assert listed(here, "ann") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "end", "ann"],
        ["users", "disable", "ann"],
        ["users", "remove", "ann"],
        ["roles", "remove", "clerk"],
        ["revoke", "--subject", "a1"],
        ["revoke", "--everything"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("typed", ["n\n", "", "\n", "maybe\n"])
def test_what_ends_something_is_confirmed_first(
    here: Process, arguments: list[str], typed: str
) -> None:
    tokens = here.log_in()
    result = here.run(*arguments, input=typed)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Continue? [y/N]" in result.stderr
    assert result.stderr.splitlines()[-1] == ("Error: nothing was changed: answer y, or add --yes")
    assert here.status(tokens) == 200
    assert here.accounts.named("ann").roles == ("clerk",)  # type: ignore[union-attr]


def test_a_confirmation_is_typed(here: Process) -> None:
    tokens = here.log_in()
    result = here.run("users", "disable", "ann", input="y\n")
    assert result.exit_code == 0
    assert "The user ann will be disabled; log-ins and tokens will end." in result.stderr
    assert here.status(tokens) == 401


def test_the_removal_of_a_role_says_how_many_users_have_it(here: Process) -> None:
    asked = here.run("roles", "remove", "clerk", input="n\n").stderr
    assert "The role clerk will be removed (2 users have it)" in asked


@pytest.mark.parametrize(
    ("arguments", "ended"),
    [
        (["--subject", "a1"], ["ann"]),
        (["--role", "clerk"], ["ann", "bob"]),
        (["--everything"], ["ann", "bob"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_revoke_ends_the_tokens_that_match(
    here: Process, arguments: list[str], ended: list[str]
) -> None:
    held = {name: here.log_in(name) for name in ("ann", "bob")}
    assert here.run("revoke", *arguments, "--yes").exit_code == 0
    assert [name for name, tokens in held.items() if here.status(tokens) == 401] == ended


def test_revoke_is_audited_with_its_author(here: Process) -> None:
    seen: list[Any] = []
    with changed.connected_to(lambda app, **what: seen.append(what), here.app):
        here.run("revoke", "--subject", "a1", "--yes")
        here.run("sessions", "end", "ann", "--yes")
    assert [what["action"] for what in seen] == ["revoke", "sessions end"]
    assert {what["subject"] for what in seen} == {"a1"}
    assert all(what["by"].endswith("at the command line") for what in seen)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sessions", "list"], 2, "give either USERNAME or --subject"),
        (["sessions", "list", "ann", "--subject", "a1"], 2, "give either USERNAME or --subject"),
        (["sessions", "list", "ann", "--issuer", "https://i"], 2, "--issuer needs --subject"),
        (["sessions", "list", "nobody"], 1, "no user is named 'nobody'"),
        (["sessions", "end", "nobody", "--yes"], 1, "no user is named 'nobody'"),
        (["sessions", "end", "ann", "--id", "x", "--yes"], 1, "ann has no log-in 'x'"),
        (["revoke", "--yes"], 2, "give exactly one of --jti, --subject"),
        (["revoke", "--jti", "x", "--role", "clerk", "--yes"], 2, "give exactly one of"),
        (["revoke", "--role", "clrek", "--yes"], 1, "no role is named 'clrek'"),
        (["revoke", "--role", "clerk", "--keeps-families", "--yes"], 1, "requires subject="),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_misuse_is_one_line_and_ends_nothing(
    here: Process, arguments: list[str], code: int, message: str
) -> None:
    tokens = here.log_in()
    result = here.run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr.splitlines()[-1]
    assert here.status(tokens) == 200


def test_a_store_is_checked(here: Process) -> None:
    result = here.run("store", "check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("the store answers, in ")


def test_a_store_whose_clock_differs_is_warned_of(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = RevocationView.now
    monkeypatch.setattr(RevocationView, "now", lambda view: now(view) + 90)
    warned = here.run("store", "check").stdout
    assert "warning: its clock is 90 seconds ahead of this machine's" in warned


@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_a_store_that_is_not_prepared_is_an_error(start: Callable[..., Process]) -> None:
    app = Flask("unprepared")
    app.config.update(JWT_SECRET_KEY="m" * 40, AUTHZ_STORE_URL="redis://127.0.0.1:9/0")
    Authz(app)
    result = app.test_cli_runner().invoke(commands, ["store", "check"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: the store cannot be used: ")


def test_a_store_that_stops_to_answer_is_one_line(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*given: Any) -> None:
        raise StoreUnavailable("the store does not answer")

    monkeypatch.setattr(RevocationView, "ask_families", gone)
    for arguments in (["sessions", "list", "ann"], ["store", "check"]):
        result = here.run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "the store does not answer" in result.stderr.splitlines()[0]


def test_without_a_store_it_says_what_to_set() -> None:
    app = Flask("bare")
    app.config.update(JWT_SECRET_KEY="m" * 40)
    Authz(app)
    for arguments in (
        ["sessions", "list", "--subject", "a"],
        ["revoke", "--everything"],
        ["store", "check"],
        ["init"],
    ):
        result = app.test_cli_runner().invoke(commands, arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "set AUTHZ_STORE_URL" in result.stderr
