"""The role catalog in a database, loaded as `Roles` and changed row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..._extras import needs_extra
from ...errors import MisuseError
from ...policy.permissions import Permission
from ...policy.roles import Role, Roles
from ..user import is_storable, role_names
from .role_tables import CatalogueRoleMixin, permission_of
from .transactions import OWN_COLUMNS, Transactions, wait_for_others

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import String, delete, insert, literal, select, union_all
    from sqlalchemy import cast as sql_cast
    from sqlalchemy.orm import Session, aliased


class SQLAlchemyRoles:
    """The catalog in the tables of a class with `CatalogueRoleMixin`; implements `ManagedRoles`.

    `sessions` is the application's sessionmaker. Each change is one transaction, and changes are
    serialized: a change that would make the catalog invalid (roles that include each other) is not
    committed, even if other changes are made at the same time.
    """

    def __init__(self, sessions: Callable[[], Session], Role: type[CatalogueRoleMixin]) -> None:
        if not (isinstance(Role, type) and issubclass(Role, CatalogueRoleMixin)):
            raise MisuseError(
                "roles of a catalog need permissions: write class Role(CatalogueRoleMixin, Base)"
            )
        self._transactions = Transactions(sessions)
        self._roles = Role
        self._permissions = permission_of(Role)

    @property
    def is_thread_bound(self) -> bool:
        """Whether the database belongs to one thread, like SQLite in memory."""
        return self._transactions.are_in_memory(self._roles)

    def are_rows_of(self, Role: type[Any]) -> bool:
        """Return whether the catalog is stored in the table of this class."""
        return self._roles is Role

    def load(self) -> Roles:
        """Return the current catalog, loaded with one query; see `RolesSource`."""
        return self._transactions.run(self.read_in)

    def add(
        self,
        name: str,
        *permissions: str | Permission,
        includes: str | Iterable[str] = (),
        level: int | None = None,
    ) -> None:
        """Add a role; the name can be that of a removed role.

        Raise `MisuseError` if the name is taken or cannot be stored.
        """
        (role,) = role_names([name])
        made = Role(role, *permissions, includes=includes, level=level)

        def add(session: Session) -> None:
            if role in self.read_in(session):
                raise MisuseError(f"the role {role!r} already exists: grant it more, or remove it")
            self.put_in(session, made)
            retired = self._roles.retired
            session.execute(delete(retired).where(retired.c.name == role))

        self._change(add)

    def remove(self, name: str) -> None:
        """Remove a role, and take it from all users.

        Raise `MisuseError` with the name of another role that includes it, if there is one.
        """

        def delete(session: Session) -> None:
            by = self.read_in(session).including(name)
            if by:
                raise MisuseError(f"the role {by[0]!r} includes {name!r}: exclude it first")
            self.delete_in(session, name)

        self._change(delete)

    def grant(self, name: str, *permissions: str | Permission) -> None:
        """Give the role these permissions in addition to those that it has; see `ManagedRoles`."""
        wanted = Role(name, *permissions).permissions

        def give(session: Session) -> None:
            row = self._row(session, name)
            for permission in self._permission_rows(session, wanted):
                if permission not in row.permissions:
                    row.permissions.append(permission)

        self._change(give)

    def take(self, name: str, *permissions: str | Permission) -> None:
        """Take these permissions from the role; see `ManagedRoles`."""
        unwanted = {str(held) for held in Role(name, *permissions).permissions}

        def take(session: Session) -> None:
            row = self._row(session, name)
            row.permissions = [held for held in row.permissions if held.name not in unwanted]

        self._change(take)

    def include(self, name: str, *others: str) -> None:
        """Make the role include these; see `ManagedRoles`."""

        self._change(lambda session: self.include_in(session, name, *others))

    def exclude(self, name: str, *others: str) -> None:
        """Make the role no longer include these; see `ManagedRoles`."""

        def exclude(session: Session) -> None:
            row = self._row(session, name)
            row.includes = [other for other in row.includes if other.name not in others]

        self._change(exclude)

    def set_level(self, name: str, level: int | None) -> None:
        """Set or remove the level of the role; see `ManagedRoles`."""
        Role(name, level=level)

        def change(session: Session) -> None:
            self._row(session, name).level = level

        self._change(change)

    def read_in(self, session: Session) -> Roles:
        """Return the catalog as seen by a session."""
        # A single statement, so that no other change comes in between its parts.
        role, other = self._roles, aliased(self._roles)
        permission = self._permissions
        rows = session.execute(
            union_all(
                select(role.name, literal("level"), sql_cast(role.level, String)),
                select(role.name, literal("permission"), permission.name).join(role.permissions),
                select(role.name, literal("includes"), other.name).join(
                    role.includes.of_type(other)
                ),
            )
        ).all()
        return _catalog(rows)

    def put_in(self, session: Session, role: Role) -> None:
        """Store the role, as a new one or in place of the one with its name."""
        row = self._found(session, role.name)
        if row is None:
            row = self._roles()
            row.name = role.name
            session.add(row)
        row.level = role.level
        row.permissions = self._permission_rows(session, role.permissions)
        row.includes = [self._row(session, other) for other in dict.fromkeys(role.includes)]

    def include_in(self, session: Session, name: str, *others: str) -> None:
        """Make the role include these, in addition to those that it includes."""
        row = self._row(session, name)
        for other in (self._row(session, one) for one in others):
            if other not in row.includes:
                row.includes.append(other)

    def delete_in(self, session: Session, name: str) -> None:
        """Delete the role, also from all users and roles that include it, and retire its name."""
        row = self._row(session, name)
        including = select(self._roles).where(self._roles.includes.any(self._roles.id == row.id))
        for other in session.scalars(including):
            other.includes.remove(row)
        session.flush()
        session.delete(row)
        if not self.is_retired_in(session, name):
            session.execute(insert(self._roles.retired).values(name=name))

    def is_retired(self, name: str) -> bool:
        """Return whether a role of this name was removed, and not added again with `add`."""
        return self._transactions.run(lambda session: self.is_retired_in(session, name))

    def is_retired_in(self, session: Session, name: str) -> bool:
        """Return `is_retired` as seen by a session."""
        retired = self._roles.retired
        return session.scalar(select(retired.c.name).where(retired.c.name == name)) is not None

    def _change(self, work: Callable[[Session], None]) -> None:
        """Do the work and commit it, unless the resulting catalog is invalid."""

        def change(session: Session) -> None:
            wait_for_others(session, self._roles)
            work(session)
            session.flush()
            self.read_in(session)

        self._transactions.write(change, OWN_COLUMNS)

    def _found(self, session: Session, name: str) -> Any:
        if not is_storable(name):
            return None
        query = select(self._roles).where(self._roles.name == name)
        rows = session.scalars(query)  # more than one if the table's collation ignores case
        return next((row for row in rows if row.name == name), None)

    def _row(self, session: Session, name: str) -> Any:
        row = self._found(session, name)
        if row is None:
            raise MisuseError(f"no role is named {name!r}: add it first, or fix the spelling")
        return row

    def _permission_rows(self, session: Session, wanted: Iterable[Permission]) -> list[Any]:
        names = dict.fromkeys(str(permission) for permission in wanted)
        query = select(self._permissions).where(self._permissions.name.in_(names))
        rows = {row.name: row for row in session.scalars(query)}
        for name in names:
            if name not in rows:
                rows[name] = self._permissions()
                rows[name].name = name
        return list(rows.values())


def _catalog(rows: Iterable[Any]) -> Roles:
    fields: dict[str, dict[str, list[str]]] = {}
    for name, kind, value in rows:
        of_role = fields.setdefault(name, {"permission": [], "includes": [], "level": []})
        if value is not None:
            of_role[kind].append(value)
    return Roles(*(_role(name, **fields[name]) for name in sorted(fields)))


def _role(name: str, permission: list[str], includes: list[str], level: list[str]) -> Role:
    try:
        return Role(
            name,
            *sorted(permission),
            includes=sorted(includes),
            level=int(level[0]) if level else None,
        )
    except MisuseError as error:
        raise MisuseError(f"the role {name!r} in the database: {error}") from None
