"""Fields of marshmallow schemas that are shown, or may be written, only with a requirement.

How it works. A guarded field is of a class of its own below the field's class, whose `serialize`
and `deserialize` ask first; schemas call these two for each of their fields, whatever else they do.
Importing this file wraps `Schema._deserialize`, so that a schema that takes unknown members reports
those with the name that a guarded field is loaded under.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from marshmallow import INCLUDE, RAISE, Schema, fields, missing

from ..application import current_parts
from ..errors import MisuseError
from ..guards.arguments import refuse_mappings
from ..guards.guard import Guard
from ..policy.functions import NO_RESOURCE
from ..refusals import raise_response

AnyField = TypeVar("AnyField", bound=fields.Field[Any])
_edited: ContextVar[Any] = ContextVar("jwt_authz_edited", default=NO_RESOURCE)


def guarded(field: AnyField, *, shown: Any = None, written: Any = None) -> AnyField:
    """The field, shown only to who meets `shown`, and written only by who meets `written`.

    Each is a requirement, or a tuple of them; what is not given asks for nothing. On output the
    object is the resource, and a field that is not shown is left out. On input the resource is
    that of `editing`, and a member that may not be written is refused by a 403 that names it, a
    401 where nobody is identified. Where it cannot be known it is a 503. Raises `MisuseError` for
    what is no field or no requirement, and for a field inside of another, such as a list's items.
    """
    if not isinstance(field, fields.Field):
        raise MisuseError(
            f"{field!r} is no field: write guarded(fields.String(), shown='article:audit')"
        )
    if shown is None and written is None:
        raise MisuseError("a guarded field asks for something: write shown=..., written=...")
    kept: Any = field
    kept.shown_to, kept.written_by = _guard_of(shown), _guard_of(written)
    kind: Any = type(field)
    kept.__class__ = _guarded_class(kind)
    return field


@contextmanager
def editing(resource: Any) -> Iterator[None]:
    """Within the block, bodies are loaded for this resource: `with editing(article): ...`."""
    before = _edited.set(resource)
    try:
        yield
    finally:
        _edited.reset(before)


class _Guarded(fields.Field[Any]):
    """What a guarded field does beside being of its class."""

    shown_to: Guard | None
    written_by: Guard | None

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **keywords: Any) -> Any:
        if self.shown_to is not None and not _is_met(self.shown_to, obj):
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
                f"{field_name} guards what stands inside of a {type(parent).__name__}, which does "
                f"not ask: write guarded(fields.{type(parent).__name__}(...), ...) around it"
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
    """Load as the schema does, but report unknown members that stand for a guarded field.

    With `unknown=INCLUDE` a member arrives under its own name. The name of a guarded field would
    be a way around its guard where the field is read from another (`data_key`), or not read at all
    (`only`, `exclude`, `dump_only`).
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
    """The names under which guarded fields are loaded, and no field of the schema is read."""
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


def _is_met(guard: Guard, resource: Any) -> bool:
    """Whether the caller meets it, as `allowed` says; raises the 503 where it cannot be known."""
    asking = _about(guard, resource)
    asking.is_question = True
    parts = current_parts()
    problem, _ = asking.ask(parts)
    if problem is not None and problem.status == 503:
        raise_response(parts.refusing.refuse(problem, asking.failing))
    return problem is None


def _insist(guard: Guard, name: str) -> None:
    """Raises the refusal, which names the member, unless the caller meets it."""
    asking, parts = _about(guard, _edited.get()), current_parts()
    problem, _ = asking.ask(parts)
    if problem is None or not asking.is_enforced(parts):
        return
    if problem.status == 403:
        problem = dataclasses.replace(
            problem, detail=f"The member {name} may not be written. {problem.detail}"
        )
    raise_response(parts.refusing.refuse(problem, asking.failing))


def _about(guard: Guard, resource: Any) -> Guard:
    """The same guard, for one resource."""
    made = copy.copy(guard)
    made.on = resource
    return made
