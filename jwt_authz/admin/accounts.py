"""Accounts in a database that can be listed and changed, with a trail of changes.

How it works. Changes are serialized: each locks the rows of all roles until it is committed with
its entry in the trail. So a check before the commit, such as whether an administrator remains, sees
the result of every earlier change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from .._extras import needs_extra
from ..accounts.passwords import hash_password
from ..accounts.sqlalchemy.accounts import SQLAlchemyAccounts, user_of
from ..accounts.sqlalchemy.roles import SQLAlchemyRoles
from ..accounts.sqlalchemy.tables import UserMixin
from ..accounts.sqlalchemy.trail import ChangeMixin, Entry, State, entry_of, row_of
from ..accounts.sqlalchemy.transactions import OWN_COLUMNS, wait_for_others
from ..accounts.user import User, is_storable, new_user, role_names
from ..errors import MisuseError
from ..policy.roles import Role
from .change import END_SESSIONS, Actor, ChangeContext, Changed, RoleSet, Rule
from .shown import shown, shown_role
from .user_query import Wanted
from .versions import ANY, Seen, refuse_missing, refuse_stale, version_of

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import and_, false, func, select
    from sqlalchemy.orm import Session


_Result = TypeVar("_Result")


class AdminAccounts(SQLAlchemyAccounts):
    """The accounts of the class `User`, with the trail of their changes in the class `Change`.

    Pass them to `Authz(accounts=...)`. All methods raise `StoreUnavailable` if the database does
    not answer.
    """

    def __init__(
        self,
        sessions: Callable[[], Session],
        User: type[UserMixin],
        Change: type[ChangeMixin],
    ) -> None:
        super().__init__(sessions, User)
        if not (isinstance(Change, type) and issubclass(Change, ChangeMixin)):
            raise MisuseError(
                "changes need a table: write class Change(ChangeMixin, Base) and pass the class"
            )
        self._changes = Change

    def keep_rows_of(self, roles: SQLAlchemyRoles) -> bool:
        """Return whether the catalog is stored in the table of the users' roles."""
        return roles.are_rows_of(self._roles)

    def page_of(self, wanted: Wanted) -> tuple[list[User], int]:
        """Return a page of the requested users, and the number on all pages."""
        query, order = wanted.query(self._users, self._roles)
        return self._page(query, order, wanted.page, wanted.page_size, user_of)

    def changes(
        self,
        page: int,
        page_size: int,
        subject: str | None = None,
        tenant: str | None = None,
        role: str | None = None,
    ) -> tuple[list[Entry], int]:
        """Return a page of the trail, newest first, and the number of entries.

        `subject` limits it to one user, `tenant` to the users of one tenant, `role` to one role.
        """
        change = self._changes
        query = select(change)
        for column, value in (
            (change.subject, subject),
            (change.tenant, tenant),
            (change.role, role),
        ):
            if value is not None:
                query = query.where(column == value)

        return self._page(query, change.id.desc(), page, page_size, entry_of)

    def _page(
        self, query: Any, order: Any, page: int, page_size: int, shown: Callable[[Any], _Result]
    ) -> tuple[list[_Result], int]:
        """Return a page of a query's results, and the number on all pages."""

        def read(session: Session) -> tuple[list[_Result], int]:
            total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
            rows = query.order_by(order).limit(page_size).offset((page - 1) * page_size)
            return [shown(row) for row in session.scalars(rows)], total

        return self._transactions.run(read)

    def create(
        self,
        actor: Actor,
        username: str,
        password: str | None,
        roles: tuple[str, ...],
        tenant: str | None,
        rule: Rule,
    ) -> tuple[User, Entry]:
        """Create a user; raise `MisuseError` if the name is taken or the password is invalid."""
        user = new_user(username, roles, tenant, None)
        password_hash = None if password is None else hash_password(password)

        def insert(context: ChangeContext) -> Entry:
            self._insert(context.session, user, password_hash)
            rule(context, replace(user, roles=()), user)
            entry = actor.entry("create user", None, {"roles": [*user.roles]}, user)
            return self.keep(context.session, entry)

        return user, self.in_turn(insert)

    def give_roles(
        self, actor: Actor, subject: str, roles: tuple[str, ...], rule: Rule, seen: Seen = ANY
    ) -> Changed:
        """Replace the user's roles; without an entry if nothing changed."""
        names = role_names(roles)

        def change(session: Session, row: UserMixin) -> None:
            row.roles = self._role_rows(session, names)

        return self._administer(actor, subject, "change roles", change, rule, _roles_of, seen)

    def set_disabled(
        self, actor: Actor, subject: str, disabled: bool, rule: Rule, seen: Seen = ANY
    ) -> Changed:
        """Disable or enable the user; without an entry if nothing changed."""

        def change(session: Session, row: UserMixin) -> None:
            row.disabled = disabled

        action = "disable user" if disabled else "enable user"

        def state(user: User) -> State:
            return {"disabled": user.disabled}

        return self._administer(actor, subject, action, change, rule, state, seen)

    def judge(self, subject: str, rule: Rule, seen: Seen = ANY) -> User:
        """Raise what the rule raises for an action on the user that changes none of their rows."""

        def look(context: ChangeContext) -> User:
            user = user_of(self._existing(context.session, subject))
            refuse_stale(self._version_in(context.session, user), seen)
            rule(context, user, user)
            return user

        return self.in_turn(look)

    def record(self, actor: Actor, action: str, user: User, before: State, after: State) -> Entry:
        """Add an entry for a change outside the accounts, and return it."""
        entry = actor.entry(action, before, after, user)
        return self._transactions.write(lambda session: self.keep(session, entry), OWN_COLUMNS)

    def _administer(
        self,
        actor: Actor,
        subject: str,
        action: str,
        work: Callable[[Session, UserMixin], None],
        rule: Rule,
        state: Callable[[User], State],
        seen: Seen,
    ) -> Changed:
        def change(context: ChangeContext) -> Changed:
            row = self._existing(context.session, subject)
            before = user_of(row)
            version = self._version_in(context.session, before)
            work(context.session, row)
            context.session.flush()
            after = user_of(row)
            # If nothing changed, this may be a repeated call whose response was lost.
            if before != after:
                refuse_stale(version, seen)
            rule(context, before, after)
            refuse_missing(seen)
            if before == after:
                return Changed(after, version, None)
            entry = self.keep(
                context.session, actor.entry(action, state(before), state(after), after)
            )
            context.session.flush()
            return Changed(after, self._version_in(context.session, after), entry)

        return self.in_turn(change)

    def versioned(self, subject: str) -> tuple[User, str] | None:
        """Return the current user and their version; None if there is no such user."""

        def read(session: Session) -> tuple[User, str] | None:
            user = self._found_as_in(session, subject, None)
            return None if user is None else (user, self._version_in(session, user))

        return self._transactions.run(read)

    def role_version(self, role: Role) -> str:
        """Return the version of the role."""
        return self._transactions.run(
            lambda session: self.role_version_in(session, role.name, role)
        )

    def role_version_in(self, session: Session, name: str, role: Role | None) -> str:
        """Return `role_version` as seen by a session; `role` is None for a removed role."""
        shown = {} if role is None else shown_role(role)
        return version_of(shown, self._last_change(session, self._changes.role == name))

    def _version_in(self, session: Session, user: User) -> str:
        change = self._changes
        about = and_(change.subject == user.subject, change.action != END_SESSIONS)
        return version_of(shown(user), self._last_change(session, about))

    def _last_change(self, session: Session, about: Any) -> int | None:
        return session.scalar(select(func.max(self._changes.id)).where(about))

    def entries_of_loss(self, context: ChangeContext, actor: Actor, role: str) -> list[Entry]:
        """Return an entry for each user who loses the role, in each tenant where they have it."""
        session, users = context.session, self._users
        has_it = users.roles.any(self._roles.name == role)
        at_home = session.scalars(select(users).where(has_it).order_by(users.id))
        held = [user_of(row) for row in at_home]
        for row, tenant in self._elsewhere.holders(session, role):
            held.append(self._as_in(session, row, tenant))
        entries = []
        for user in held:
            rest = [name for name in user.roles if name != role]
            change = _roles_of(user), {"roles": rest}
            entries.append(actor.entry("change roles", *change, user, role))
        return entries

    def in_turn(self, change: Callable[[ChangeContext], _Result]) -> _Result:
        """Run a change in a transaction that begins after earlier ones, and return its result."""

        def serialized(session: Session) -> _Result:
            wait_for_others(session, self._roles)
            return change(
                ChangeContext(
                    session,
                    lambda: self._role_sets(session),
                    lambda subject, tenant: self._found_as_in(session, subject, tenant),
                    lambda subject: self._elsewhere.all_names(session, subject),
                )
            )

        return self._transactions.write(serialized, OWN_COLUMNS)

    def _found_as_in(self, session: Session, subject: str, tenant: str | None) -> User | None:
        row = session.scalars(self._of(subject)).one_or_none() if is_storable(subject) else None
        return None if row is None else self._as_in(session, row, tenant)

    def _role_sets(self, session: Session) -> set[RoleSet]:
        users, roles = self._users, self._roles
        rows = session.execute(
            select(users.id, users.tenant, roles.name)
            .select_from(users)
            .outerjoin(users.roles)
            .where(users.disabled == false())
        )
        found: dict[int, tuple[str | None, set[str]]] = {}
        for user, tenant, name in rows:
            names = found.setdefault(user, (tenant, set()))[1]
            if name is not None:
                names.add(name)
        return {(tenant, frozenset(names)) for tenant, names in found.values()}

    def keep(self, session: Session, entry: Entry) -> Entry:
        """Add an entry to the trail."""
        session.add(row_of(self._changes, entry))
        return entry


def _roles_of(user: User) -> State:
    return {"roles": [*user.roles]}
