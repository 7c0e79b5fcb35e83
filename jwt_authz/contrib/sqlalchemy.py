"""Loading: the resource of a guard, by its model and an argument of the view."""

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
    """For `on=`: loads the row of a model whose primary key an argument of the view is.

    `session` is a function that gives the session of the request, the object stays in it. Raises
    werkzeug's `NotFound` where there is no such row, or the key is one that no row can have; and
    `MisuseError` where the view has no such argument.
    """

    def load(**arguments: Any) -> Any:
        if argument not in arguments:
            raise MisuseError(
                f"the view has no argument {argument}: write by_key({model.__name__}, ...) with "
                "one that stands in its rule"
            )
        opened = session()
        try:
            found = opened.get(model, arguments[argument])
        except (DataError, OverflowError):  # a number too large, a text with a NUL
            opened.rollback()
            found = None
        if found is None:
            raise NotFound
        return found

    return load
