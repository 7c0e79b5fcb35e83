"""Arguments: what a guard is given, checked and joined when it is made."""

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
    """Met by nobody: what stands where a requirement is missing."""

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
    """What holds for every method, and all that holds for each method that has an entry.

    Of requirements and mappings of methods, as `requires` takes them; None without a mapping.
    Raises `MisuseError` for what is neither, and for a method that there is not.
    """
    always = [part for part in asked if not isinstance(part, Mapping)]
    mappings = [_methods(part) for part in asked if isinstance(part, Mapping)]
    return _joined(always), _by_method(always, mappings) if mappings else None


def refuse_mappings(verb: str, requirements: tuple[Any, ...]) -> None:
    """Raises `MisuseError` for a mapping of methods where a verb asks here and now."""
    if any(isinstance(part, Mapping) for part in requirements):
        raise MisuseError(f"a mapping of HTTP methods belongs into requires({{...}}), not {verb}")


def refuse_unfit_fresh(fresh: Any, identity: Any) -> None:
    """Raises `MisuseError` for a freshness that is neither True nor a time, or has no token."""
    if not isinstance(fresh, bool) and not (isinstance(fresh, timedelta) and fresh > _NO_TIME):
        raise MisuseError(
            f"fresh= is True, or how long ago the log-in may be, not {fresh!r}: write "
            "fresh=timedelta(minutes=5)"
        )
    if fresh is not False and identity is not NOT_GIVEN:
        raise MisuseError("fresh= looks at a token, and identity= stands in for it: use one")


def refuse_unfit_identity(identity: Any) -> None:
    """Raise `MisuseError` for a function or class in place of an identity."""
    is_proxy = isinstance(identity, LocalProxy)
    if not is_proxy and (inspect.isroutine(identity) or inspect.isclass(identity)):
        raise MisuseError(
            f"identity= is who is calling, not {identity!r}: call it, or write "
            "@authz.identity_loader above it"
        )


def refuse_unfit_into(into: Any, on: Any) -> None:
    """Raise `MisuseError` if `into` is not a name, or there is no resource to pass."""
    if into is not None and not (isinstance(into, str) and into.isidentifier()):
        raise MisuseError(f"into= is the name of an argument of the view, not {into!r}")
    if into is not None and on is NO_RESOURCE:
        raise MisuseError("into= hands over what on= loads: write on=load_article, into='article'")


def refuse_unfit_view(view: Any) -> None:
    """Raises `MisuseError` for what a guard cannot be put around."""
    if inspect.isclass(view):
        raise MisuseError(
            f"{view.__name__} is a class: write decorators = [requires(...)] in it, or guard "
            "its methods"
        )
    if not callable(view):
        raise MisuseError(f"requires(...) decorates a view, not {type(view).__name__}")


def _joined(requirements: list[Any]) -> Requirement:
    return as_requirement(requirements[0]) if len(requirements) == 1 else And(*requirements)


def _methods(mapping: Mapping[Any, Any]) -> dict[str, Requirement]:
    for method in mapping:
        if method not in _METHODS:
            known = isinstance(method, str) and method.upper() in _METHODS
            hint = f"write {method.upper()!r}" if known else f"write one of {', '.join(_METHODS)}"
            raise MisuseError(f"{method!r} is not an HTTP method: {hint}")
    return {method: as_requirement(asked) for method, asked in mapping.items()}


def _by_method(always: list[Any], mappings: list[dict[str, Requirement]]) -> dict[str, Requirement]:
    """For each method the requirements that hold always, and its entry in each mapping."""
    methods = dict.fromkeys(method for mapping in mappings for method in mapping)
    return {
        method: _joined([*always, *(mapping.get(method, NO_ENTRY) for mapping in mappings)])
        for method in methods
    }
