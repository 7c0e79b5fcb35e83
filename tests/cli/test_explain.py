"""The command `flask authz explain`: who is meant, what is asked, and no token anywhere."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from jwt_authz import Identity, has_claim, has_role, has_scope, requirement, requires
from jwt_authz.cli.main import authz
from tests.edge import bare_app, claims_of, guarded_app, token_for
from tests.foreign import ISSUER, trusted
from tests.hostile import token as hostile_token
from tests.patience import eventually

ROOT = Path(__file__).parents[2]


@requirement("is the author of this article")
def author(identity: Identity, article: dict[str, Any]) -> bool:
    return bool(identity.subject == article["author"])


def shop(**config: Any) -> Flask:
    app = guarded_app(**config)
    asked = author | has_role("admin")
    guarded = requires(asked, on=lambda id: {"id": id, "author": "alice"})
    app.add_url_rule("/articles/<int:id>", "article", guarded(lambda id: "in"))
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "in"), methods=["PUT"])
    return app


def explain(app: Flask, *arguments: str, standard_input: str | None = None) -> Result:
    return app.test_cli_runner().invoke(authz, ["explain", *arguments], input=standard_input)


def said(app: Flask, *arguments: str, code: int = 0, **options: Any) -> list[str]:
    result = explain(app, *arguments, **options)
    assert (result.exit_code, result.stderr) == (code, ""), result.output
    return result.stdout.splitlines()


# --- a call --------------------------------------------------------------------------------------


def test_a_call_is_explained_for_a_caller_with_these_roles() -> None:
    assert said(shop(), "GET", "/articles/1", "--role", "editor", code=1) == [
        "GET /articles/1 (article): refused, 403",
        "requires(author | has_role('admin')): 403 not-allowed",
        "  no author | has_role('admin')",
        "    no author",
        "    no has_role('admin') (claim roles)",
    ]
    assert said(shop(), "get", "/articles/1", "--subject", "alice") == [
        "GET /articles/1 (article): allowed",
        "requires(author | has_role('admin')): allowed",
        "  yes author | has_role('admin')",
        "    yes author",
        "    no has_role('admin') (claim roles, not asked)",
    ]


def test_a_call_in_one_word_is_the_same() -> None:
    app = shop()
    assert said(app, "PUT /edit", "--role", "editor") == said(app, "PUT", "/edit", "--role=editor")


def test_without_anybody_nobody_is_calling() -> None:
    assert said(shop(), "PUT", "/edit", code=1) == [
        "PUT /edit (edit): refused, 401",
        "requires(has_permission('article:edit')): 401 token-missing: no token was sent",
    ]


def test_json_says_the_same_as_the_text() -> None:
    result = explain(shop(), "GET", "/articles/1", "--role", "editor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "call": "GET /articles/1",
        "endpoint": "article",
        "allowed": False,
        "status": 403,
        "unguarded": None,
        "guards": [
            {
                "guard": "requires(author | has_role('admin'))",
                "status": 403,
                "problem": "not-allowed",
                "note": None,
                "enforced": True,
                "asked": True,
                "tree": {
                    "requirement": "author | has_role('admin')",
                    "verdict": "no",
                    "parts": [
                        {"requirement": "author", "verdict": "no"},
                        {
                            "requirement": "has_role('admin')",
                            "verdict": "no",
                            "claims": ["roles"],
                        },
                    ],
                },
            }
        ],
    }


@pytest.mark.parametrize(("call", "status"), [("GET /nowhere", "404"), ("DELETE /edit", "405")])
def test_a_call_that_no_view_answers_is_reported(call: str, status: str) -> None:
    result = explain(shop(), call)
    assert result.exit_code == 1
    assert f"no view answers this call: {status}" in result.stderr


# --- a permission --------------------------------------------------------------------------------


def test_a_permission_is_explained_in_place_of_a_call() -> None:
    app = shop(AUTHZ_ENCODING="roles", AUTHZ_ROLES_CLAIM="groups")
    assert said(app, "--needs", "article:edit", "--role", "viewer", code=1) == [
        "no has_permission('article:edit') (claim groups)"
    ]
    both = ("--needs", "article:read", "--needs", "article:edit")
    assert said(app, *both, "--role", "editor") == [
        "yes has_permission('article:read') & has_permission('article:edit')",
        "  yes has_permission('article:read') (claim groups)",
        "  yes has_permission('article:edit') (claim groups)",
    ]


def test_an_error_is_in_the_json_too() -> None:
    result = explain(shop(), "--needs", "aticle:edit", "--role", "viewer", "--json")
    assert result.exit_code == 1
    tree = json.loads(result.stdout)
    assert tree["verdict"] == "error"
    assert tree["error"] == (
        "no role grants 'aticle:edit': add it to a Role(...), or fix the spelling"
    )


# --- a hypothetical caller -----------------------------------------------------------------------


def test_a_hypothetical_caller_can_have_everything_that_a_token_can_carry() -> None:
    app = guarded_app()

    @requirement
    def is_as_told(identity: Identity) -> bool:
        assert identity.roles == {"viewer", "editor"}
        assert set(identity.permissions) == {"report:read"}
        assert identity.scopes == {"a", "b"}
        assert (identity.tenant, identity.subject) == ("acme", "ada")
        assert identity.claims["plan"] == {"name": "gold"}
        return identity.claims["sub"] == "ada"

    asked = is_as_told & has_claim("vip", True) & has_scope("a")
    app.add_url_rule("/", "view", requires(asked, fresh=True)(lambda: "in"))
    lines = said(
        app,
        *("GET", "/", "--role", "viewer", "--role", "editor", "--permission", "report:read"),
        *("--scope", "a", "--scope", "b", "--tenant", "acme", "--subject", "ada"),
        *("--claim", 'plan={"name": "gold"}', "--claim", "vip=true", "--claim", "fresh=true"),
    )
    assert lines[0] == "GET / (view): allowed"


def test_a_hypothetical_caller_can_have_a_foreign_issuer() -> None:
    app = guarded_app()
    app.extensions["jwt_authz"].trust(
        trusted(roles={"Sales": "editor"}, roles_at="/realm_access/roles")
    )
    somebody = (
        *("--subject", "ada", "--claim", f'iss="{ISSUER}"', "--claim", 'aud="https://api.example"'),
        *("--claim", 'realm_access={"roles": ["Sales"]}'),
    )
    assert said(app, "--needs", "article:edit", *somebody) == [
        "yes has_permission('article:edit') (claim /realm_access/roles)"
    ]
    result = explain(app, "--needs", "article:edit", "--claim", f'iss="{ISSUER}"')
    assert result.exit_code == 1
    assert "this token would be refused, audience-invalid" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--role", "boss"), "The catalog has no role 'boss'"),
        (("--permission", "x"), "Invalid permission"),
        (("--claim", "plan"), "a claim is NAME=JSON"),
        (("--claim", "plan=gold"), "a claim is NAME=JSON"),
        (("--claim", "=1"), "a claim is NAME=JSON"),
        (("--claim", "roles=1"), "this token would be refused, claim-invalid"),
    ],
)
def test_an_impossible_caller_is_reported_with_what_to_write(
    arguments: tuple[str, ...], message: str
) -> None:
    result = explain(shop(), "PUT", "/edit", *arguments)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [(), ("GET",), ("GET", "/", "x"), ("GET", "/", "--needs", "article:read")],
)
def test_what_is_asked_for_is_a_call_or_a_permission(arguments: tuple[str, ...]) -> None:
    result = explain(shop(), *arguments, "--role", "viewer")
    assert result.exit_code == 2
    assert "METHOD PATH or --needs PERMISSION" in result.stderr


def test_an_application_without_an_authz_is_reported() -> None:
    result = explain(bare_app(), "GET", "/")
    assert result.exit_code == 1
    assert "has no Authz: write Authz(app, roles=...)" in result.stderr


# --- a token -------------------------------------------------------------------------------------


def test_a_token_is_read_from_standard_input_or_a_file(tmp_path: Path) -> None:
    app = shop()
    token = token_for(app, "bob", "editor")
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    lines = ["yes has_permission('article:edit') (claim permissions)"]
    needs = ("--needs", "article:edit", "--token-file")
    assert said(app, *needs, "-", standard_input=f"{token}\n") == lines
    assert said(app, *needs, str(file)) == lines


def test_a_token_is_taken_where_the_application_looks_in_cookies_alone() -> None:
    app = shop(JWT_TOKEN_LOCATION=["cookies"])
    lines = said(
        app, "PUT", "/edit", "--token-file", "-", standard_input=token_for(app, "bob", "editor")
    )
    assert lines[0] == "PUT /edit (edit): allowed"


def test_a_token_and_a_hypothetical_caller_cannot_be_combined() -> None:
    app = shop()
    for more in (("--role", "viewer"), ("--subject", "x"), ("--claim", "x=1"), ("--tenant", "x")):
        result = explain(app, "PUT", "/edit", "--token-file", "-", *more, standard_input="x")
        assert result.exit_code == 2
        assert "cannot be combined" in result.stderr


def test_an_invalid_token_is_reported_with_the_reason() -> None:
    app = shop()
    expired = hostile_token(claims_of(exp=int(time.time()) - 60))
    for sent, problem in (("x.y.z", "token-malformed"), (expired, "token-expired"), ("", "token")):
        lines = said(app, "PUT", "/edit", "--token-file", "-", code=1, standard_input=sent)
        assert lines[0] == "PUT /edit (edit): refused, 401"
        assert f": 401 {problem}" in lines[1]


@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_a_store_that_does_not_answer_is_reported_and_nothing_is_explained() -> None:
    app = shop(AUTHZ_STORE_URL="redis://127.0.0.1:1/0")
    token = token_for(guarded_app(), "bob", "editor")
    result = explain(app, "PUT", "/edit", "--token-file", "-", standard_input=token)
    assert result.exit_code == 1
    assert "the store of revocations has not answered yet" in result.stderr
    app.extensions["jwt_authz.state"].revocations.stop()
    app.extensions["jwt_authz.state"].revocations.store.close()


def test_no_token_is_ever_echoed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    app = shop()
    good = token_for(app, "bob", "viewer")
    bad = hostile_token(claims_of(roles="admin"))
    for token in (good, bad, f"{good[:-4]}AAAA", f"Bearer {good}", f"{good} {good}"):
        for form in ((), ("--json",)):
            results = [
                explain(app, "PUT", "/edit", "--token-file", "-", *form, standard_input=token),
                explain(app, "PUT", "/edit", "--token-file", token, *form),
                explain(app, "PUT", "/edit", f"--token={token}", *form),
                explain(app, token, *form),
                explain(app, "--token-file", token, "--role", "viewer", *form),
            ]
            for result in results:
                assert result.exit_code != 0
                assert "eyJ" not in result.output
                assert "Traceback" not in result.output
    assert not any("eyJ" in record.getMessage() for record in caplog.records)


@pytest.mark.slow
def test_a_token_that_is_typed_into_a_terminal_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\n"
        "from jwt_authz import Authz\n"
        "from jwt_authz.cli import authz\n"
        "app = Flask('shop')\n"
        "app.config['JWT_SECRET_KEY'] = 64 * 'x'\n"
        "Authz(app)\n"
        "app.cli.add_command(authz)\n"
    )
    token = f"eyJhbGciOiJIUzI1NiJ9.{'A' * 40}.{'B' * 43}"
    reader, terminal = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flask", "--app", "shop", "authz", "explain"),
            *("--needs", "article:read", "--token-file", "-"),
        ],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    while b"Token" not in shown:
        shown += os.read(reader, 1_000)
    eventually(lambda: not termios.tcgetattr(reader)[3] & termios.ECHO)
    os.write(reader, f"{token}\n".encode())
    while True:
        try:
            more = os.read(reader, 1_000)
        except OSError:  # what Linux says at the end
            break
        if not more:
            break
        shown += more
    os.close(reader)
    assert process.wait(timeout=60) == 1
    assert b"AAAA" not in shown
    assert b"error has_permission('article:read')" in shown, shown
