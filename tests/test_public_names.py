"""The names at the top of the package: sorted, complete, and nothing beside them."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import jwt_authz

VERBS = {"requires", "allowed", "authorize", "guard", "exempt", "current_identity"}
VALUES = {"Identity", "Permission", "Role", "Roles", "Decision", "Problem", "Requirement"}
REQUIREMENTS = {
    *("requirement", "has_permission", "has_role", "has_scope", "has_level", "has_claim"),
    "attr",
}
CONDITIONS = {"AuthzError", "MisuseError", "InvalidToken", "NotIdentified", "NotAllowed"}
PACKAGE = Path(jwt_authz.__file__).parent


def test_the_names_at_the_top_are_those_of_the_design() -> None:
    wanted = {"Authz"} | VERBS | VALUES | REQUIREMENTS | CONDITIONS
    assert set(jwt_authz.__all__) == wanted


def test_the_names_at_the_top_are_sorted_and_each_stands_once() -> None:
    assert list(jwt_authz.__all__) == sorted(set(jwt_authz.__all__))


def test_every_name_at_the_top_is_there_and_is_documented() -> None:
    for name in jwt_authz.__all__:
        value = getattr(jwt_authz, name)
        if name != "current_identity":
            assert inspect.getdoc(value), name


def test_what_is_imported_at_the_top_is_what_is_named_there() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if not alias.name.startswith("_")
    }
    assert imported == set(jwt_authz.__all__)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_an_init_file_imports_and_does_nothing_else(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert is_docstring or is_all or isinstance(node, ast.ImportFrom | ast.Import)


@pytest.mark.parametrize("family", ["tokens", "issuers", "accounts", "endpoints"])
def test_a_family_has_a_sorted_list_of_names_that_are_there(family: str) -> None:
    module = importlib.import_module(f"jwt_authz.{family}")
    assert list(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert hasattr(module, name)


def test_the_names_of_an_annotated_public_function_are_typed() -> None:
    for name in ("requires", "authorize", "allowed", "guard", "exempt"):
        signature = inspect.signature(getattr(jwt_authz, name))
        assert signature.return_annotation is not inspect.Signature.empty
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)


def test_every_verb_takes_requirements_first_and_the_rest_by_name() -> None:
    for name in ("requires", "authorize", "allowed"):
        first, *rest = inspect.signature(getattr(jwt_authz, name)).parameters.values()
        assert first.kind is first.VAR_POSITIONAL
        assert {one.kind for one in rest} == {first.KEYWORD_ONLY}
        assert "on" in {one.name for one in rest}


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


EXTRAS = (
    "sqlalchemy",
    "alembic",
    "redis",
    "argon2",
    "zxcvbn",
    "apispec",
    "limits",
    "prometheus_client",
)
WITHOUT_EXTRAS = f"""
import sys
from collections import Counter

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import jwt_authz, jwt_authz.cli, jwt_authz.endpoints
print(len(jwt_authz.__all__))
"""


@pytest.mark.slow
def test_the_package_can_be_imported_without_any_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_EXTRAS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(jwt_authz.__all__)


NOT_LOADED = (
    "jwt_authz.inspection.check",
    "jwt_authz.inspection.explain",
    "jwt_authz.inspection.matrix",
    "jwt_authz.tokens.payload_schema",
    "marshmallow",
    "tomllib",
)


def test_importing_the_package_loads_nothing_that_few_requests_need() -> None:
    code = "import sys, jwt_authz; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not set(NOT_LOADED) & set(done.stdout.split())


# The ready-made models of `accounts.models` are named like tables of any Flask application, and the
# classes of `compat` like those that they replace.
MODELS = ("User", "Role", "Permission")


def test_a_class_name_occurs_once_in_the_package() -> None:
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        if "compat" not in path.parts
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert sorted(name for name, count in names.items() if count > 1) == sorted(MODELS)
