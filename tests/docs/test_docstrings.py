"""Docstrings of public names: their examples run, and each of these names has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

import jwt_authz
from jwt_authz import issuers

# Names whose docstrings still lack an example. Shrink it; never add to it.
WITHOUT_EXAMPLE = {
    *("Authz", "allowed", "authorize", "exempt", "guard", "requires"),
    *("AuthzError", "InvalidToken", "MisuseError", "NotAllowed", "NotIdentified"),
    "current_identity",
}


def examples(module: ModuleType, names: list[str]) -> Iterator[tuple[str, doctest.DocTest]]:
    """Yield the examples in the docstrings of these names, and of the methods of classes."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            home = importlib.import_module(value.__module__)
            found = finder.find(value, name, module=home, globs={})
            yield from ((test.name, test) for test in found if test.examples)


PUBLIC = [*examples(jwt_authz, list(jwt_authz.__all__)), *examples(issuers, list(issuers.__all__))]


@pytest.mark.parametrize("test", [test for _, test in PUBLIC], ids=[name for name, _ in PUBLIC])
def test_an_example_prints_what_it_shows(test: doctest.DocTest) -> None:
    report = list[str]()
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", sorted(set(jwt_authz.__all__) - WITHOUT_EXAMPLE))
def test_a_public_name_has_an_example(name: str) -> None:
    assert name in {found for found, _ in PUBLIC}
