"""Operands: `attr(...)`, `subject`, `tenant`, `issuer`, `claim(...)` and `now`.

Comparing one with `==`, `<` and so on makes a condition; code that compares operands uses `key`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ..errors import MisuseError
from ..policy.functions import Undecided
from ..policy.identity import SUBJECT_CLAIM, Identity
from ..policy.requirements import Requirement
from .comparisons import MISSING, HasAny, IsNull, Operand
from .kinds import UNKNOWN, kind_of, named
from .operators import Comparable


class attr(Comparable):
    """An attribute of the resource, `attr("owner_id")`, or of a related one, `attr("team.id")`.

    Comparing it with `==`, `!=`, `<`, `<=`, `>`, `>=`, `in_` or `is_` makes a condition, which is
    evaluated on an object or a mapping. An attribute that is missing or None is unknown, which
    refuses, also under `~`. Raises `MisuseError` for an invalid name, and for a comparison of
    different kinds.

    >>> from jwt_authz import Identity, attr
    >>> from jwt_authz.conditions import subject
    >>> own_draft = (attr("owner_id") == subject) & (attr("status") == "draft")
    >>> ada = Identity("7")
    >>> bool(own_draft.evaluate(ada, {"owner_id": "7", "status": "draft"}))
    True
    >>> bool(own_draft.evaluate(ada, {"owner_id": "8", "status": "draft"}))
    False
    >>> bool(attr("price").in_([1, 2]).evaluate(ada, {"price": 2}))
    True
    """

    rank = 4

    def __init__(self, path: str) -> None:
        names = path.split(".") if isinstance(path, str) else []
        if not names or not all(name.isidentifier() and name[:2] != "__" for name in names):
            raise MisuseError(
                f"Invalid attribute {path!r}: expected a name or a dotted path, as in "
                "attr('team.id')."
            )
        self.path = tuple(names)

    @property
    def is_attribute(self) -> bool:
        return True

    def is_(self, value: None) -> IsNull:
        """Return the condition that the attribute is present and None (SQL's NULL)."""
        if value is not None:
            raise MisuseError(f"is_() takes only None: write {self!r} == {value!r}.")
        return IsNull(self)

    def is_not(self, value: None) -> Requirement:
        """Return the condition that the attribute is present and not None."""
        return ~self.is_(value)

    def any(self, requirement: Requirement) -> HasAny:
        """Return the condition that one of several related objects meets a requirement.

        The attribute is a list or another collection of objects or mappings, in a model a to-many
        relation. Inside, `attr(...)` is an attribute of the related object. Unknown if none of
        them meets it and one of them is unknown. Raises `MisuseError` for anything but a
        requirement.

        >>> from jwt_authz import Identity, attr
        >>> from jwt_authz.conditions import subject
        >>> is_member = attr("members").any(attr("user_id") == subject)
        >>> bool(is_member.evaluate(Identity("7"), {"members": [{"user_id": "7"}]}))
        True
        """
        if not isinstance(requirement, Requirement):
            raise MisuseError(
                f"any() takes a condition on the related objects, not {requirement!r}: write "
                f"{self!r}.any(attr(...) == ...)."
            )
        return HasAny(self, requirement)

    def read(self, identity: Any, on: Any) -> Any:
        for name in self.path:
            if on is None:
                return None
            is_mapping = isinstance(on, Mapping)
            on = on.get(name, MISSING) if is_mapping else getattr(on, name, MISSING)
            if on is MISSING:
                return MISSING
        return on

    @property
    def words(self) -> str:
        return f"the resource's {'.'.join(self.path)}"

    @property
    def key(self) -> tuple[Any, ...]:
        return ("attr", self.path)

    def __repr__(self) -> str:
        return f"attr({'.'.join(self.path)!r})"


class _IdentityField(Comparable):
    """A string attribute of the identity."""

    rank = 2

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def kind(self) -> type | None:
        return str

    def as_(self, kind: type[int] | type[UUID]) -> Converted:
        """Return the same as an `int` or a `UUID`; not known where it is not exactly one's text."""
        return Converted(self, kind)

    @property
    def is_subject(self) -> bool:
        return self.name == "subject"

    def read(self, identity: Any, on: Any) -> Any:
        value = getattr(_identity(self, identity), self.name)
        if value is None or (identity.subject_is_foreign and self.is_subject):
            return UNKNOWN
        return value

    @property
    def words(self) -> str:
        return f"their {self.name}"

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.name,)

    def __repr__(self) -> str:
        return self.name


class claim(Comparable):
    """A claim of the caller's token: `attr("team") == claim("team")`.

    A claim that is missing or null is unknown. A claim of another JSON type than the other side
    is an error, which refuses.
    """

    rank = 1

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise MisuseError(f"claim() takes the name of a claim, not {name!r}.")
        self.name = name

    @property
    def claims(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def is_subject(self) -> bool:
        return self.name == SUBJECT_CLAIM

    @property
    def may_be_list(self) -> bool:
        return True

    def as_(self, kind: type[int] | type[UUID]) -> Converted:
        """Return the same as an `int` or a `UUID`; not known where it is not exactly one's text."""
        return Converted(self, kind)

    def read(self, identity: Any, on: Any) -> Any:
        value = _identity(self, identity).claims.get(self.name)
        if value is None or (identity.subject_is_foreign and self.is_subject):
            return UNKNOWN
        return value

    @property
    def words(self) -> str:
        return f"their claim {self.name}"

    @property
    def key(self) -> tuple[Any, ...]:
        return ("claim", self.name)

    def __repr__(self) -> str:
        return f"claim({self.name!r})"


class Converted(Comparable):
    """A string of the identity, read as a value of another kind."""

    rank = 2

    def __init__(self, source: Operand, kind: type[int] | type[UUID]) -> None:
        if kind is not int and kind is not UUID:
            raise MisuseError(f"{source!r}.as_() takes int or UUID, not {kind!r}.")
        self.source = source
        self._kind = kind

    @property
    def kind(self) -> type | None:
        return self._kind

    @property
    def claims(self) -> tuple[str, ...]:
        return self.source.claims

    @property
    def is_subject(self) -> bool:
        return self.source.is_subject

    def read(self, identity: Any, on: Any) -> Any:
        text = self.source.read(identity, on)
        if text is UNKNOWN:
            return UNKNOWN
        if not isinstance(text, str):
            raise Undecided(f"{self.source!r} is {named(kind_of(text))}, expected a string")
        try:
            value: object = self._kind(text)
        except ValueError:
            return UNKNOWN
        # " 1", "01" and "1" are three subjects: accept only the text that str() returns.
        return value if str(value) == text else UNKNOWN

    @property
    def words(self) -> str:
        return self.source.words

    @property
    def key(self) -> tuple[Any, ...]:
        return ("as", self.source.key, self._kind)

    def __repr__(self) -> str:
        return f"{self.source!r}.as_({self._kind.__name__})"


class _Now(Comparable):
    """The time of the evaluation."""

    rank = 2

    @property
    def kind(self) -> type | None:
        return datetime

    def read(self, identity: Any, on: Any) -> Any:
        return _instant.get() or datetime.now(UTC)

    @property
    def words(self) -> str:
        return "now"

    @property
    def key(self) -> tuple[Any, ...]:
        return ("now",)

    def __repr__(self) -> str:
        return "now"


_instant: ContextVar[datetime | None] = ContextVar("jwt_authz_instant", default=None)


@contextlib.contextmanager
def one_instant(instant: datetime | None = None) -> Iterator[None]:
    """Fix `now` inside the block, by default to the time of an outer block or of its start."""
    token = _instant.set(instant or _instant.get() or datetime.now(UTC))
    try:
        yield
    finally:
        _instant.reset(token)


subject = _IdentityField("subject")
"""The caller's subject, a string; `subject.as_(int)` for a column of integers.

Unknown for a caller of another issuer, unless its `Issuer` has a `subject_prefix`.
"""
tenant = _IdentityField("tenant")
"""The caller's tenant, a string; unknown if the token has none."""
issuer = _IdentityField("issuer")
"""The issuer of the caller's token; unknown for one of our own tokens without `iss`."""
now = _Now()
"""The time of the evaluation, time-zone aware; a naive datetime counts as UTC."""


def _identity(operand: Operand, identity: Any) -> Identity:
    if not isinstance(identity, Identity):
        raise Undecided(
            f"{operand!r} needs an Identity, not {type(identity).__name__}: "
            "return an Identity from the identity loader"
        )
    return identity
