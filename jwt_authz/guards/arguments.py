"""Arguments: validate the arguments of a guard, and combine its requirements, at its creation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from werkzeug.local import LocalProxy

from ..errors import MisuseError
from ..policy.decision import NO, Verdict
from ..policy.functions import NO_RESOURCE
from ..policy.identity import Identity
from ..policy.requirements import And, Requirement, as_requirement

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
_NO_TIME = timedelta()


class _NotGiven:
    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Any = _NotGiven()


class _Never(Requirement):
    """A requirement that nobody meets, in place of a missing one."""

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self._sentence = sentence

    def fulfill(self, identity: Any) -> bool:
        return False

    @property
    def sentence(self) -> str:
        return self._sentence

    def analyse(self, identity: Identity) -> Verdict:
        return NO

    def __repr__(self) -> str:
        return self.name


NO_ENTRY = _Never("no_entry_for_this_method", "may use this method")
NO_GUARD = _Never("no_guard", "may call a view that has no guard")


def requirements_of(
    asked: tuple[Any, ...],
) -> tuple[Requirement, dict[str, Requirement] | None]:
    """Return the requirement for all methods, and the complete one for each method with an entry.

    `asked` are the arguments of `requires`; without a mapping of methods, the second value is None.
    Raise `MisuseError` for anything else, and for an unknown method.
    """
    always = [part for part in asked if not isinstance(part, Mapping)]
    mappings = [_methods(part) for part in asked if isinstance(part, Mapping)]
    return _joined(always), _by_method(always, mappings) if mappings else None


def refuse_mappings(verb: str, requirements: tuple[Any, ...]) -> None:
    """Raise `MisuseError` for a mapping of methods outside `requires`."""
    if any(isinstance(part, Mapping) for part in requirements):
        raise MisuseError(
            f"A mapping of HTTP methods is only valid in requires({{...}}), not in {verb}."
        )


def refuse_unfit_fresh(fresh: Any, identity: Any) -> None:
    """Raise `MisuseError` for an invalid `fresh`, or for `fresh` without a token."""
    if not isinstance(fresh, bool) and not (isinstance(fresh, timedelta) and fresh > _NO_TIME):
        raise MisuseError(
            f"Invalid fresh {fresh!r}: expected True, or the maximum age of the log-in, as in "
            "fresh=timedelta(minutes=5)."
        )
    if fresh is not False and identity is not NOT_GIVEN:
        raise MisuseError("fresh= needs a token, which identity= replaces: use only one of them.")


def refuse_unfit_identity(identity: Any) -> None:
    """Raise `MisuseError` for a function or class in place of an identity."""
    is_proxy = isinstance(identity, LocalProxy)
    if not is_proxy and (inspect.isroutine(identity) or inspect.isclass(identity)):
        raise MisuseError(
            f"Invalid identity {identity!r}: expected an identity. Call the function, or write "
            "@authz.identity_loader above it."
        )


def refuse_unfit_into(into: Any, on: Any) -> None:
    """Raise `MisuseError` if `into` is not a name, or there is no resource to pass."""
    if into is not None and not (isinstance(into, str) and into.isidentifier()):
        raise MisuseError(f"Invalid into {into!r}: expected the name of an argument of the view.")
    if into is not None and on is NO_RESOURCE:
        raise MisuseError("into= needs a resource: write on=load_article, into='article'.")


def refuse_unfit_view(view: Any) -> None:
    """Raise `MisuseError` if a guard cannot wrap it."""
    if inspect.isclass(view):
        raise MisuseError(
            f"{view.__name__} is a class: write decorators = [requires(...)] in it, or guard "
            "its methods."
        )
    if not callable(view):
        raise MisuseError(f"requires(...) decorates views, not {type(view).__name__}.")


def _joined(requirements: list[Any]) -> Requirement:
    return as_requirement(requirements[0]) if len(requirements) == 1 else And(*requirements)


def _methods(mapping: Mapping[Any, Any]) -> dict[str, Requirement]:
    for method in mapping:
        if method not in _METHODS:
            known = isinstance(method, str) and method.upper() in _METHODS
            hint = f"write {method.upper()!r}" if known else f"write one of {', '.join(_METHODS)}"
            raise MisuseError(f"Invalid HTTP method {method!r}: {hint}.")
    return {method: as_requirement(asked) for method, asked in mapping.items()}


def _by_method(always: list[Any], mappings: list[dict[str, Requirement]]) -> dict[str, Requirement]:
    """Return for each method the requirements for all methods, and its entry in each mapping."""
    methods = dict.fromkeys(method for mapping in mappings for method in mapping)
    return {
        method: _joined([*always, *(mapping.get(method, NO_ENTRY) for mapping in mappings)])
        for method in methods
    }
