"""Docstrings of public names: their examples run, and each of these names has one."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import jwt_authz
from jwt_authz import issuers
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.guards import verbs


class Base(DeclarativeBase):
    pass


class OrderRow(Base):
    """A mapped class."""

    __tablename__ = "order_row"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


def shop() -> dict[str, Any]:
    """Return what examples may use: the public names, and an application with a store."""
    app = Flask("shop")
    app.config["JWT_SECRET_KEY"] = "a secret of at least 32 bytes, not this one"
    app.config["AUTHZ_STORE_URL"] = "memory:"
    roles = jwt_authz.Roles(
        jwt_authz.Role("clerk", "orders:read"), jwt_authz.Role("manager", "orders:*")
    )
    accounts = MemoryAccounts()
    user = accounts.add("ann", roles=["clerk"], subject="ann")
    authz = jwt_authz.Authz(app, roles=roles, accounts=accounts)

    @app.get("/orders")
    @jwt_authz.requires("orders:read")
    def orders() -> str:
        return "orders"

    names = {name: getattr(jwt_authz, name) for name in jwt_authz.__all__}
    more = {"Issuer": issuers.Issuer, "Flask": Flask, "OrderRow": OrderRow}
    return {**names, **more, "app": app, "authz": authz, "user": user}


def examples(module: ModuleType, names: list[str]) -> Iterator[tuple[str, doctest.DocTest]]:
    """Yield the examples in the docstrings of these names, and of the methods of classes."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            home = importlib.import_module(value.__module__)
            found = finder.find(value, name, module=home, globs={})
            yield from ((test.name, test) for test in found if test.examples)


def example_of_current_identity() -> tuple[str, doctest.DocTest]:
    """Return the example below the assignment: a proxy has the docstring of what it stands for."""
    file = Path(verbs.__file__)
    body = ast.parse(file.read_text()).body
    (at,) = (n for n, node in enumerate(body) if "current_identity" in ast.unparse(node)[:16])
    text = ast.literal_eval(ast.unparse(body[at + 1]))
    name = "current_identity"
    return name, doctest.DocTestParser().get_doctest(text, {}, name, str(file), body[at + 1].lineno)


PUBLIC = [*examples(jwt_authz, list(jwt_authz.__all__)), *examples(issuers, list(issuers.__all__))]
PUBLIC.append(example_of_current_identity())


@pytest.mark.parametrize("test", [test for _, test in PUBLIC], ids=[name for name, _ in PUBLIC])
def test_an_example_prints_what_it_shows(test: doctest.DocTest) -> None:
    report = list[str]()
    test.globs.update(shop())  # another one for each docstring
    with test.globs["app"].app_context():
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)


METHODS = [f"Authz.{name}" for name in vars(jwt_authz.Authz) if not name.startswith("_")]


@pytest.mark.parametrize("name", [*jwt_authz.__all__, *METHODS])
def test_a_public_name_has_an_example(name: str) -> None:
    assert name in {found for found, _ in PUBLIC}
