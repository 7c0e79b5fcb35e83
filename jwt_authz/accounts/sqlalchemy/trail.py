"""The trail of changes: who changed what, before and after. Rows are only added.

class Change(ChangeMixin, Base):
    __tablename__ = "admin_changes"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from ..._extras import needs_extra
from ..user import MAX_TEXT
from .names import ExactName

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import BigInteger, Integer, String, Text
    from sqlalchemy.orm import Mapped, mapped_column

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: `actor` and `subject` are subjects, with the usernames at that time.

    `actor_issuer` is None for an actor of this application. `tenant` is the user's. For a change of
    a role, `role` is its name, and `subject`, `username` and `tenant` are those of a user who loses
    it, or None. `at` is in seconds since 1970. `before` and `after` have what was changed, such as
    roles, or None. There is never a password, a hash or a token.
    """

    at: int
    actor: str
    actor_issuer: str | None
    actor_name: str
    action: str
    subject: str | None
    username: str | None
    tenant: str | None
    role: str | None
    before: State | None
    after: State | None

    @property
    def name(self) -> str:
        """The name of the user or the role."""
        return self.username or self.role or ""

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def when(self) -> str:
        """The time in UTC, formatted for people."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class ChangeMixin:
    """A table of changes, on the application's own base, in the same database as the users."""

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(ExactName(MAX_TEXT), index=True)
    actor_issuer: Mapped[str | None] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(ExactName(MAX_TEXT))
    action: Mapped[str] = mapped_column(String(MAX_TEXT))
    subject: Mapped[str | None] = mapped_column(ExactName(MAX_TEXT), index=True)
    username: Mapped[str | None] = mapped_column(ExactName(MAX_TEXT))
    tenant: Mapped[str | None] = mapped_column(ExactName(MAX_TEXT), index=True)
    role: Mapped[str | None] = mapped_column(ExactName(MAX_TEXT), index=True)
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)


def row_of(Change: type[ChangeMixin], entry: Entry) -> ChangeMixin:
    """Return the row for an entry."""
    row = Change()
    for name, value in entry.as_dict().items():
        is_state = name in ("before", "after") and value is not None
        setattr(row, name, json.dumps(value) if is_state else value)
    return row


def entry_of(row: ChangeMixin) -> Entry:
    """Return the entry in a row."""
    return Entry(
        row.at,
        row.actor,
        row.actor_issuer,
        row.actor_name,
        row.action,
        row.subject,
        row.username,
        row.tenant,
        row.role,
        _state(row.before),
        _state(row.after),
    )


def _state(text: str | None) -> State | None:
    return None if text is None else json.loads(text)
