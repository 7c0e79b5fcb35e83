"""Show or accept marshmallow fields only if the caller meets a requirement.

How it works. A guarded field gets a subclass of its own class whose `serialize` and `deserialize`
check the requirement first; every schema calls these two methods for each of its fields. Importing
this module wraps `Schema._deserialize`, so that a schema that accepts unknown members rejects those
that would replace the loaded value of a guarded field.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from marshmallow import INCLUDE, RAISE, Schema, fields, missing

from ..application import current_state
from ..errors import MisuseError
from ..guards.arguments import refuse_mappings
from ..guards.guard import Guard
from ..policy.functions import NO_RESOURCE
from ..refusals import raise_response

AnyField = TypeVar("AnyField", bound="fields.Field[Any]")
_edited: ContextVar[Any] = ContextVar("jwt_authz_edited", default=NO_RESOURCE)


def guarded(field: AnyField, *, shown: Any = None, written: Any = None) -> AnyField:
    """Return the field, shown only if `shown` is met and accepted only if `written` is met.

    Each is a requirement or a tuple of requirements; without it there is no restriction. On output
    the dumped object is the resource, and a field that must not be shown is omitted. On input the
    resource comes from `editing`; a member that must not be written is refused with a 403 that
    names it, or a 401 if the caller is unauthenticated. If the requirement cannot be evaluated,
    the response is 503. Raise `MisuseError` if the field or a requirement is invalid, or if the
    field is nested in another field, such as the items of a list.
    """
    if not isinstance(field, fields.Field):
        raise MisuseError(
            f"Invalid field {field!r}: expected a marshmallow field, as in "
            "guarded(fields.String(), shown='article:audit')."
        )
    if shown is None and written is None:
        raise MisuseError("guarded(...) has no requirement: pass shown=..., written=... or both")
    kept: Any = field
    kept.shown_to, kept.written_by = _guard_of(shown), _guard_of(written)
    kind: Any = type(field)
    kept.__class__ = _guarded_class(kind)
    return field


@contextmanager
def editing(resource: Any) -> Iterator[None]:
    """Set the resource for which request bodies are loaded: `with editing(article): ...`."""
    before = _edited.set(resource)
    try:
        yield
    finally:
        _edited.reset(before)


if TYPE_CHECKING:
    _Field = fields.Field[Any]
else:
    _Field = fields.Field  # not generic in marshmallow 3


class _Guarded(_Field):
    """The mixin that adds the checks to the class of a guarded field."""

    shown_to: Guard | None
    written_by: Guard | None

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **keywords: Any) -> Any:
        if self.shown_to is not None and not self.shown_to.is_met(current_state(), obj):
            return missing
        return super().serialize(attr, obj, accessor, **keywords)

    def deserialize(
        self, value: Any, attr: str | None = None, data: Any = None, **keywords: Any
    ) -> Any:
        if self.written_by is not None and value is not missing:
            _insist(self.written_by, str(self.data_key or attr or self.name))
        return super().deserialize(value, attr, data, **keywords)

    def _bind_to_schema(self, field_name: str, parent: Any) -> None:
        if not isinstance(parent, Schema):
            raise MisuseError(
                f"{field_name} has a guarded field inside {type(parent).__name__}, which does not "
                f"check it: write guarded(fields.{type(parent).__name__}(...), ...) instead"
            )
        super()._bind_to_schema(field_name, parent)


@functools.cache
def _guarded_class(kind: type[fields.Field[Any]]) -> type[Any]:
    if issubclass(kind, _Guarded):
        return kind
    return type(f"Guarded{kind.__name__}", (_Guarded, kind), {})


_deserialize: Any = Schema._deserialize


@functools.wraps(_deserialize)
def _deserialize_guarded(
    schema: Schema,
    data: Any,
    *,
    error_store: Any,
    many: bool = False,
    unknown: str = RAISE,
    index: int | None = None,
    **keywords: Any,
) -> Any:
    """Load as the schema does, but reject unknown members with the name of a guarded field.

    With `unknown=INCLUDE` a member is loaded under its own name. The name of a guarded field would
    bypass its guard if the field is read from another name (`data_key`) or not at all (`only`,
    `exclude`, `dump_only`).
    """
    if unknown == INCLUDE and not many and isinstance(data, Mapping):
        hidden = _names_of_guarded(schema) & data.keys()
        for name in sorted(hidden):
            error_store.store_error([schema.error_messages["unknown"]], name, index)
        data = {name: value for name, value in data.items() if name not in hidden}
    return _deserialize(
        schema,
        data,
        error_store=error_store,
        many=many,
        unknown=unknown,
        index=index,
        **keywords,
    )


Schema._deserialize = _deserialize_guarded  # type: ignore[method-assign, assignment]


def _names_of_guarded(schema: Any) -> set[str]:
    """Return the names under which guarded fields are loaded but which no field reads."""
    loaded = {
        (field.attribute or name).partition(".")[0]
        for name, field in schema.declared_fields.items()
        if getattr(field, "written_by", None) is not None
    }
    return loaded - {
        name if field.data_key is None else field.data_key
        for name, field in schema.load_fields.items()
    }


def _guard_of(asked: Any) -> Guard | None:
    if asked is None:
        return None
    requirements = asked if isinstance(asked, tuple) else (asked,)
    refuse_mappings("guarded(...)", requirements)
    return Guard(requirements)


def _insist(guard: Guard, name: str) -> None:
    """Raise a refusal that names the member unless the caller meets the guard."""
    state = current_state()
    problem, _ = guard.ask(state, _edited.get())
    if problem is None or not guard.is_enforced(state):
        return
    if problem.status == 403:
        problem = dataclasses.replace(
            problem, detail=f"You cannot write the member {name}. {problem.detail}"
        )
    raise_response(state.refusing.refuse(problem, guard.failing))
