"""Snapshot: a change of the guards must change the file, and the message says what it gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from jwt_authz import Authz, MisuseError, Role, Roles, exempt, has_claim, requires
from jwt_authz.testing import assert_matrix

from .shop import make_shop


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snapshot of the shop."""
    made = tmp_path / "access.md"
    write(make_shop(), made, monkeypatch)
    return made


def write(app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("UPDATE_MATRIX", "1")
        assert_matrix(app, file)


def test_a_snapshot_of_what_is_unchanged_passes(file: Path) -> None:
    assert_matrix(make_shop(), file)
    assert_matrix(make_shop(), str(file))
    assert "| DELETE | /orders/\\<int:id\\> | no | no | no | yes |" in file.read_text()


def test_windows_line_breaks_make_no_difference(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert_matrix(make_shop(), file)


def test_without_a_file_it_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="UPDATE_MATRIX=1 to write it"):
        assert_matrix(make_shop(), tmp_path / "none.md")
    assert not (tmp_path / "none.md").exists()


def test_a_difference_says_who_was_given_what(file: Path) -> None:
    app = make_shop()
    app.get("/export")(requires("orders:read")(lambda: "all"))
    exempt("mine", app)
    before = file.read_text()
    with pytest.raises(AssertionError) as failed:
        assert_matrix(app, file)
    said = str(failed.value)
    assert "given   GET     /export" in said and "clerk" in said
    assert "+| GET | /export | no | no | yes | yes | has the permission orders:read |" in said
    assert "run the tests once with UPDATE_MATRIX=1" in said
    assert file.read_text() == before


def test_another_wording_with_the_same_access_is_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app_for(plan: str) -> Flask:
        app = Flask("plans")
        app.config["JWT_SECRET_KEY"] = "k" * 64
        Authz(app, roles=Roles(Role("a|b `c`", "x:y")))
        app.get("/")(requires(has_claim("plan", plan))(lambda: "in"))
        return app

    file = tmp_path / "access.md"
    write(app_for("gold"), file, monkeypatch)
    assert_matrix(app_for("gold"), file)
    with pytest.raises(AssertionError, match=r"changed +GET +/ +no role, a\|b `c`") as failed:
        assert_matrix(app_for("silver"), file)
    assert "value 'silver'" in str(failed.value)


def test_a_file_without_a_matrix_is_a_difference(file: Path) -> None:
    file.write_text("| this | is |\n| nothing |\n")
    with pytest.raises(AssertionError, match=r"-\| this \| is \|"):
        assert_matrix(make_shop(), file)


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    app = make_shop()
    for number in range(60):
        app.add_url_rule(f"/more/{number}", f"more{number}", requires("orders:read")(lambda: "in"))
    empty = tmp_path / "access.md"
    empty.write_text("")
    with pytest.raises(AssertionError, match=r"\.\.\. and \d+ more lines"):
        assert_matrix(app, empty)


def test_an_application_without_an_authz_is_a_misuse(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="has no Authz"):
        assert_matrix(Flask("bare"), tmp_path / "access.md")
