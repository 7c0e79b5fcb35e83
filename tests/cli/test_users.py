"""`flask authz users ...`: what each command does, says and ends, and how it fails."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz, Role, Roles
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.audit import changed
from jwt_authz.cli.main import authz as commands
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView
from tests.managed import PASSWORD, Process, becomes

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("cheap_argon2")


@pytest.fixture
def here(start: Callable[..., Process]) -> Process:
    """An application with two roles and the user ann, who has one of them."""
    process = start()
    process.roles.add("clerk", "orders:read")
    process.roles.add("editor", "orders:write")
    process.accounts.add("ann", PASSWORD, roles=["clerk"])
    return process


def test_a_fresh_application_has_no_user_and_no_role(start: Callable[..., Process]) -> None:
    """SECURITY 2.42."""
    process = start()
    assert process.run("init").exit_code == 0
    result = process.run("users", "list", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert json.loads(process.run("roles", "list", "--json").stdout) == {"roles": {}}


def test_add_takes_the_password_from_standard_input_and_says_the_subject(here: Process) -> None:
    result = here.run("users", "add", "bob", "--role", "clerk", "--tenant", "north", input="x" * 9)
    bob = here.accounts.named("bob")
    assert bob is not None
    assert (result.exit_code, result.stdout) == (
        0,
        f"bob is added, now clerk; subject {bob.subject}\n",
    )
    assert (bob.roles, bob.tenant) == (("clerk",), "north")
    assert here.accounts.authenticate("bob", "x" * 9) == bob


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nmore"])
def test_a_password_is_one_line_whose_end_does_not_count(here: Process, end: str) -> None:
    assert here.run("users", "add", "bob", input=f"  two spaces {end}").exit_code == 0
    assert here.accounts.authenticate("bob", "  two spaces ") is not None


def test_no_command_takes_a_password_as_an_argument() -> None:
    for command in commands.commands["users"].commands.values():  # type: ignore[attr-defined]
        for parameter in command.params:
            assert "password" not in parameter.name or parameter.is_flag, command.name


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append({"text": text, **options})
        return "typed by hand"

    monkeypatch.setattr("jwt_authz.cli.users.click.prompt", prompt)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True)
    assert here.run("users", "add", "bob").exit_code == 0
    assert here.accounts.authenticate("bob", "typed by hand") is not None
    options = {"hide_input": True, "confirmation_prompt": True, "err": True}
    assert asked == [{"text": "Password of bob", **options}]


def test_a_generated_password_is_printed_once_and_works(here: Process) -> None:
    result = here.run("users", "add", "bob", "--random")
    found = re.search(r"^password of bob: (\S{22})$", result.stdout, re.MULTILINE)
    assert found is not None
    assert here.accounts.authenticate("bob", found[1]) is not None
    assert here.run("users", "list").stdout.count(found[1]) == 0


def test_a_user_without_a_password_cannot_log_in_by_one(here: Process) -> None:
    assert here.run("users", "add", "bob", "--no-password").exit_code == 0
    assert here.accounts.named("bob") is not None
    assert here.accounts.authenticate("bob", "") is None
    both = here.run("users", "add", "eve", "--no-password", "--random")
    assert both.exit_code == 2


def test_list_shows_everybody_by_name_and_nothing_secret(here: Process) -> None:
    here.accounts.add("al\x1b[2Jbert", roles=[], tenant="north")
    here.accounts.disable(here.accounts.named("ann").subject)  # type: ignore[union-attr]
    result = here.run("users", "list")
    header, albert, ann = result.stdout.splitlines()
    assert header.split() == ["user", "roles", "tenant", "state", "subject"]
    assert albert.split()[:3] == [r"al\x1b[2Jbert", "north", "enabled"]
    assert ann.split()[:3] == ["ann", "clerk", "disabled"]
    assert "argon2" not in result.stdout
    users = json.loads(here.run("users", "list", "--json").stdout)
    assert [sorted(user) for user in users] == [
        ["disabled", "roles", "subject", "tenant", "username"]
    ] * 2


# --- at once, in every process -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["disable", "remove"])
def test_who_is_disabled_or_removed_is_out_at_once_in_another_process(
    here: Process, start: Callable[..., Process], command: str
) -> None:
    """SECURITY 2.36."""
    there = start()
    tokens = there.log_in()
    assert there.status(tokens) == 200
    result = here.run("users", command, "ann", "--yes")
    assert result.exit_code == 0
    assert (
        result.stdout == f"ann is {command}d, and log-ins and tokens issued until now are ended\n"
    )
    assert here.status(tokens) == 401
    assert becomes(401, lambda: there.status(tokens))
    assert there.refresh(tokens).status_code == 401
    assert "access_token" not in there.log_in()


@pytest.mark.slow
def test_who_is_enabled_again_logs_in_and_old_tokens_stay_dead(here: Process) -> None:
    tokens = here.log_in()
    here.run("users", "disable", "ann", "--yes")
    assert here.run("users", "enable", "ann").stdout == "ann is enabled\n"
    assert here.status(tokens) == 401
    assert here.status(here.log_in()) == 200


def test_a_role_that_is_taken_is_gone_at_once_and_the_log_in_goes_on(
    here: Process, start: Callable[..., Process]
) -> None:
    there = start()
    granted = here.run("users", "grant", "ann", "editor")
    assert granted.stdout == "ann is now clerk, editor, from the next log-in or refresh\n"
    tokens = there.log_in()
    assert there.status(tokens, "/write") == 200
    taken = here.run("users", "take", "ann", "editor")
    assert taken.stdout == ("ann is now clerk, and access tokens issued until now are ended\n")
    assert becomes(401, lambda: there.status(tokens, "/write"))
    after = there.refresh(tokens).get_json()
    assert [there.status(after), there.status(after, "/write")] == [200, 403]


def test_a_password_that_is_reset_ends_what_was_there_and_the_old_one(
    here: Process, start: Callable[..., Process]
) -> None:
    """SECURITY 2.37."""
    there = start()
    tokens = there.log_in()
    result = here.run("users", "reset-password", "ann", input="another good password\n")
    assert result.stdout == (
        "ann has a new password, and log-ins and tokens issued until now are ended\n"
    )
    assert becomes(401, lambda: there.status(tokens))
    assert there.refresh(tokens).status_code == 401
    assert "access_token" not in there.log_in()
    assert there.status(there.log_in(password="another good password")) == 200


def test_a_reset_to_a_password_that_cannot_be_set_ends_nothing(here: Process) -> None:
    tokens = here.log_in()
    result = here.run("users", "reset-password", "ann", input="password1\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is too common" in result.stderr
    assert here.status(tokens) == 200


def test_a_reset_may_make_the_password_up(here: Process) -> None:
    result = here.run("users", "reset-password", "ann", "--random")
    found = re.search(r"^password of ann: (\S+)$", result.stdout, re.MULTILINE)
    assert found is not None
    assert here.accounts.authenticate("ann", found[1]) is not None


@pytest.mark.slow
def test_a_command_in_a_process_of_its_own_reaches_one_that_serves(
    here: Process, tmp_path: Path
) -> None:
    tokens = here.log_in()
    assert here.status(tokens) == 200
    (tmp_path / "shop.py").write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from tests.managed import Process

        def create_app():
            return Process(Path({str(tmp_path)!r})).app
        """)
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flask",
            "--app",
            "shop",
            "authz",
            "users",
            "disable",
            "ann",
            "--yes",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ann is disabled")
    assert becomes(401, lambda: here.status(tokens))


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "ann", "--random"], "the username is taken"),
        (
            ["add", "bob", "--random", "--role", "clrek"],
            "no role is named 'clrek': the roles are cl",
        ),
        (["add", "", "--random"], "must be a non-empty string"),
        (["add", "bob"], "the password is too short"),
        (["grant", "ann", "king"], "no role is named 'king'"),
        (["grant", "nobody", "clerk"], "no user is named 'nobody'"),
        (["take", "nobody", "clerk"], "no user is named 'nobody'"),
        (["remove", "nobody", "--yes"], "no user is named 'nobody'"),
        (["disable", "nobody"], "no user is named 'nobody'"),
        (["enable", "nobody"], "no user is named 'nobody'"),
        (["reset-password", "nobody"], "no user is named 'nobody'"),
        (["reset-password", "ann"], "the password is too short"),
    ],
)
def test_a_misuse_exits_1_with_a_message_and_changes_nothing(
    here: Process, arguments: list[str], message: str
) -> None:
    before = here.accounts.users()
    result = here.run("users", *arguments, input="short\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert here.accounts.users() == before
    assert here.accounts.authenticate("ann", PASSWORD) is not None


@pytest.mark.parametrize("command", ["add", "grant", "take", "remove", "reset-password"])
def test_a_command_without_its_arguments_exits_2(here: Process, command: str) -> None:
    assert here.run("users", command).exit_code == 2


@pytest.mark.parametrize("command", ["disable", "remove", "take", "reset-password"])
def test_a_store_that_does_not_take_it_is_said_and_the_command_may_be_repeated(
    here: Process, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    tokens = here.log_in()
    more = {"take": ["clerk"], "disable": ["--yes"], "remove": ["--yes"]}
    arguments = ["users", command, "ann", *more.get(command, ())]

    def gone(*given: Any) -> None:
        raise StoreUnavailable("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(RevocationView, "revoke", gone)
        result = here.run(*arguments, input="another good password\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "tokens of 'ann' issued until now were not ended: repeat the change" in result.stderr
    if command == "reset-password":  # nothing was changed
        assert here.accounts.authenticate("ann", PASSWORD) is not None
    assert here.run(*arguments, input="another good password\n").exit_code == 0
    assert here.status(tokens) == 401


@pytest.mark.parametrize("store", [None, "memory:"])
def test_without_a_store_that_processes_share_the_words_say_that_tokens_go_on(
    tmp_path: Path, store: str | None
) -> None:
    app = Flask("unshared")
    app.config.update(JWT_SECRET_KEY="m" * 40, AUTHZ_STORE_URL=store)
    accounts = MemoryAccounts()
    accounts.add("ann", PASSWORD, roles=["clerk"])
    Authz(app, roles=Roles(Role("clerk", "orders:read")), accounts=accounts)
    result = app.test_cli_runner().invoke(commands, ["users", "disable", "ann", "--yes"])
    assert result.exit_code == 0
    assert "log-ins and tokens stay valid until they expire" in result.stdout
    assert "these users exist only in the memory of this process" in result.stderr
    assert accounts.named("ann").disabled  # type: ignore[union-attr]


def test_accounts_that_cannot_be_changed_say_what_they_lack() -> None:
    class Ours:
        def authenticate(self, username: str, password: str) -> User | None:
            return None

        def find(self, subject: str) -> User | None:
            return None

    for accounts, message in (
        (Ours(), "Ours does not have is_shared, named, users, add"),
        (None, "accounts=..."),
    ):
        app = Flask("ours")
        app.config["JWT_SECRET_KEY"] = "m" * 40
        Authz(app, accounts=accounts)
        result = app.test_cli_runner().invoke(commands, ["users", "list"])
        assert result.exit_code == 1
        assert message in result.stderr


# --- who did what --------------------------------------------------------------------------------


def test_the_audit_records_who_did_what_to_whom(
    here: Process, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    changes: list[dict[str, Any]] = []

    def receive(app: Flask, **what: Any) -> None:
        changes.append(what)

    ann = here.accounts.named("ann")
    assert ann is not None
    with changed.connected_to(receive, here.app), caplog.at_level(logging.INFO, "jwt_authz"):
        here.run("users", "grant", "ann", "editor")
        here.run("users", "take", "ann", "editor")
        here.run("users", "reset-password", "ann", input="another good password\n")
        here.run("users", "disable", "ann", "--yes")
        here.run("users", "disable", "nobody")
        here.run("users", "remove", "ann", "--yes")
        here.run("roles", "take", "clerk", "orders:read")
    actions = ["grant", "take", "password", "disable", "disable", "remove"]
    assert [what["action"] for what in changes] == [
        *(f"users {action}" for action in actions),
        "roles take",
    ]
    assert {what["by"] for what in changes} == {"root at the command line"}
    assert {what["subject"] for what in changes[:-1]} == {ann.subject}
    assert (changes[-1]["name"], changes[-1]["subject"]) == ("clerk", None)
    records = [r for r in caplog.records if r.getMessage().startswith("changed | ")]
    assert records[0].getMessage() == ("changed | users grant ann | by root at the command line")
    assert len(records) == len(changes)
    assert all("another good password" not in r.getMessage() for r in caplog.records)


def test_roles_are_granted_and_taken_in_another_tenant_than_ones_own(here: Process) -> None:
    ann = here.accounts.named("ann")
    assert ann is not None
    granted = here.run("users", "grant", "ann", "editor", "--tenant", "north")
    assert "ann is now editor, from the next log-in" in granted.stdout
    assert here.accounts.find(ann.subject) == ann
    found = here.accounts.find_in(ann.subject, "north")
    assert found is not None and found.roles == ("editor",)
    taken = here.run("users", "take", "ann", "editor", "--tenant", "north")
    assert "ann is now without a role" in taken.stdout
    assert here.accounts.find_in(ann.subject, "north") is None
    assert here.accounts.find(ann.subject) == ann


def test_what_a_receiver_raises_keeps_no_token_alive(here: Process) -> None:
    def fail(sender: Flask, **what: Any) -> None:
        raise RuntimeError("the receiver's own")

    here.accounts.add("bob", PASSWORD, roles=["clerk"])
    ann, bob = here.log_in("ann"), here.log_in("bob")
    assert (here.status(ann), here.status(bob)) == (200, 200)
    with changed.connected_to(fail, here.app):
        assert str(here.run("users", "take", "ann", "clerk").exception) == "the receiver's own"
        assert here.status(ann) == 401
        assert str(here.run("roles", "take", "clerk", "orders:read").exception)
        assert here.status(bob) == 403


def test_a_user_without_a_name_is_recorded(
    here: Process, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise OSError

    monkeypatch.setattr("getpass.getuser", nameless)
    with caplog.at_level(logging.INFO, "jwt_authz"):
        here.run("users", "enable", "ann")
    assert "changed | users enable ann | by unknown user at the command line" in caplog.messages
