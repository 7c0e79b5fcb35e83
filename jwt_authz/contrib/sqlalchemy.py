"""Load a guard's resource with SQLAlchemy, by primary key from an argument of the view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import NotFound

from .._extras import needs_extra
from ..errors import MisuseError

with needs_extra(__name__, "SQLAlchemy", "sqlalchemy"):
    from sqlalchemy.exc import DataError
    from sqlalchemy.orm import Session


def by_key(model: type, argument: str, session: Callable[[], Session]) -> Callable[..., Any]:
    """Return a loader for `on=` that gets the row whose primary key is an argument of the view.

    `session` is a function that returns the session of the request; the row stays in it. The
    loader raises werkzeug's `NotFound` if there is no such row or the key is invalid, and
    `MisuseError` if the view has no such argument.
    """

    def load(**arguments: Any) -> Any:
        if argument not in arguments:
            raise MisuseError(
                f"the view has no argument {argument!r}: write by_key({model.__name__}, ...) with "
                "an argument from its URL rule"
            )
        opened = session()
        try:
            found = opened.get(model, arguments[argument])
        except (DataError, OverflowError):  # a number that is too large, a text with a NUL
            opened.rollback()
            found = None
        if found is None:
            raise NotFound
        return found

    return load
