"""Old module names: they still work, and say what to write instead."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module

import pytest

from jwt_authz._moved import MOVED


@pytest.fixture(autouse=True)
def forget_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MOVED:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_gives_what_the_new_one_has(old: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = import_module(old)

    new = import_module(MOVED[old])
    public = [name for name in vars(new) if not name.startswith("_")]
    assert all(getattr(module, name) is getattr(new, name) for name in public)


def test_the_warning_names_the_new_module_and_the_line_that_imports_the_old_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"is now jwt_authz\.policy\.role_sources") as seen:
        import jwt_authz.catalogue  # type: ignore[import-not-found] # noqa: F401

    assert [warning.filename for warning in seen] == [__file__]


@pytest.mark.slow
def test_a_module_below_an_old_name_is_found_first_of_all() -> None:
    code = "from jwt_authz.claims.marks import NOT_ACCESS_TOKENS; print(NOT_ACCESS_TOKENS)"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert "/at_hash" in run.stdout


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module("jwt_authz.no_such_module")


@pytest.mark.slow
def test_importing_the_package_warns_of_nothing() -> None:
    command = [sys.executable, "-W", "error", "-c", "import jwt_authz"]
    assert subprocess.run(command, check=False).returncode == 0
