"""Accounts in a database, on the tables of the mixins in `tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..._extras import needs_extra
from ...errors import HashingBusy, MisuseError
from ..password_rules import check_new_password
from ..passwords import hash_password, is_still_good, upgraded_hash, verify_password
from ..user import User, is_storable, new_user, role_names
from .role_tables import CatalogueRoleMixin
from .tables import RoleMixin, UserMixin, role_of
from .tenant_roles import TenantRoles
from .transactions import OWN_COLUMNS, Transactions, wait_for_others

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import select
    from sqlalchemy.orm import Session


class SQLAlchemyAccounts:
    """Accounts in the tables of a class with `UserMixin` and of its role class.

    `sessions` is the application's sessionmaker: each call opens its own session, and closes it
    before a password is verified. All methods raise `StoreUnavailable` if the database does not
    answer.
    """

    is_shared = True

    def __init__(
        self,
        sessions: Callable[[], Session],
        User: type[UserMixin],
        Role: type[RoleMixin] | None = None,
    ) -> None:
        self._transactions = Transactions(sessions)
        self._users = User
        self._roles = role_of(User)
        self._elsewhere = TenantRoles(User, self._roles)
        if Role not in (None, self._roles):
            raise MisuseError("Role differs from User.__role__: omit the argument Role")

    @property
    def is_thread_bound(self) -> bool:
        """Whether the database belongs to one thread, like SQLite in memory."""
        return self._transactions.are_in_memory(self._users)

    def authenticate(self, username: str, password: str) -> User | None:
        """Return the user with this name and password, else None; see `Accounts`.

        Replace a hash that does not have the current parameters (OWASP ASVS 11.4.2).
        """
        subject, password_hash = self._credentials(username)
        if not verify_password(password_hash, password) or password_hash is None:
            return None
        self._upgrade(subject, password_hash, password)
        # Read again: hashing took time, in which everything may have changed.
        if not is_still_good(password_hash, password, self._credentials(username)[1]):
            return None
        user = self.find(subject)
        return None if user is None or user.disabled else user

    def find(self, subject: str) -> User | None:
        """Return the current user with this subject, even if disabled; None if there is none."""
        if not is_storable(subject):
            return None
        return self._found(self._of(subject))

    def find_in(self, subject: str, tenant: str) -> User | None:
        """Return the user with this tenant and their roles there; see `TenantAccounts`."""
        if not (is_storable(subject) and is_storable(tenant)):
            return None

        def read(session: Session) -> User | None:
            row = session.scalars(self._of(subject)).one_or_none()
            if row is None:
                return None
            user = self._as_in(session, row, tenant)
            return user if user.roles or row.tenant == tenant else None

        return self._transactions.run(read)

    def named(self, username: str) -> User | None:
        """Return the current user with this name, even if disabled; None if there is none."""
        if not is_storable(username):
            return None
        return self._found(select(self._users).where(self._users.username == username))

    def users(self) -> list[User]:
        """Return all users, sorted by name."""
        query = select(self._users).order_by(self._users.username)
        return self._transactions.run(
            lambda session: [user_of(row) for row in session.scalars(query)]
        )

    def add(
        self,
        username: str,
        password: str | None = None,
        roles: Iterable[str] = (),
        tenant: str | None = None,
        subject: str | None = None,
    ) -> User:
        """Add a user and return it; without a password, they cannot log in with one.

        The subject is random unless given. A missing role is added to the table of roles, unless
        that table is the catalog; then raise `MisuseError`. The database compares names, by default
        exactly. Raise `MisuseError` also if the name or the subject is taken, and for a password
        that `hash_password` refuses.
        """
        user = new_user(username, roles, tenant, subject)
        password_hash = None if password is None else hash_password(password)

        def insert(session: Session) -> User:
            self._insert(session, user, password_hash)
            return user

        return self._transactions.write(insert, OWN_COLUMNS)

    def set_roles(self, subject: str, roles: Iterable[str]) -> User:
        """Replace all roles of the user with these; missing roles are handled as in `add`.

        Raise `MisuseError` for an unknown subject.
        """
        names = role_names(roles)

        def change(session: Session, row: UserMixin) -> None:
            row.roles = self._role_rows(session, names)

        return self._change(subject, change, OWN_COLUMNS, in_turn=True)

    def grant_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Give the user these roles in addition to those that they have; see `ManagedAccounts`."""
        names = role_names(roles)

        def change(session: Session, row: UserMixin) -> None:
            given = self._role_rows(session, names)
            if tenant is None or tenant == row.tenant:
                row.roles.extend(role for role in given if role not in row.roles)
            else:
                self._elsewhere.grant(session, row, tenant, given)

        return self._change(subject, change, OWN_COLUMNS, tenant, in_turn=True)

    def take_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Take these roles from the user; see `ManagedAccounts`."""
        names = role_names(roles)

        def change(session: Session, row: UserMixin) -> None:
            if tenant is None or tenant == row.tenant:
                row.roles = [role for role in row.roles if role.name not in names]
            else:
                self._elsewhere.take(session, row, tenant, names)

        return self._change(subject, change, OWN_COLUMNS, tenant, in_turn=True)

    def check_new_password(self, password: str) -> None:
        """Raise `PasswordRefused` for a password that cannot be set; see `ManagedAccounts`."""
        check_new_password(password)

    def set_password(self, subject: str, password: str) -> User:
        """Set the user's password; see `ManagedAccounts`."""
        return self._set(subject, "password_hash", hash_password(password))

    def disable(self, subject: str) -> User:
        """Disable the user; raise `MisuseError` for an unknown subject."""
        return self._set(subject, "disabled", True)

    def enable(self, subject: str) -> User:
        """Let the user log in again; raise `MisuseError` for an unknown subject."""
        return self._set(subject, "disabled", False)

    def remove(self, subject: str) -> None:
        """Remove the user; a later user of the same name has another subject.

        Raise `MisuseError` for an unknown subject, or if rows of other tables refer to the user.
        """

        def delete(session: Session) -> None:
            session.delete(self._existing(session, subject))

        self._transactions.write(
            delete, "delete the rows that refer to the user first, or call disable()"
        )

    def _found(self, query: Any) -> User | None:
        def read(session: Session) -> User | None:
            row = session.scalars(query).one_or_none()
            return None if row is None else user_of(row)

        return self._transactions.run(read)

    def _change(
        self,
        subject: str,
        change: Callable[[Session, UserMixin], None],
        advice: str,
        tenant: str | None = None,
        in_turn: bool = False,
    ) -> User:
        """Return the user after a change of their row, which is locked during the change.

        With `in_turn`, lock the roles before the user, in the same order as an administrator's
        change: in different orders, two changes could deadlock.
        """

        def work(session: Session) -> User:
            if in_turn:
                wait_for_others(session, self._roles)
            row = self._existing(session, subject)
            change(session, row)
            return self._as_in(session, row, tenant)

        return self._transactions.write(work, advice)

    def _as_in(self, session: Session, row: UserMixin, tenant: str | None) -> User:
        """Return the user with a tenant, by default their own, even if they have no role there."""
        user = user_of(row)
        if tenant is None or tenant == user.tenant:
            return user
        return replace(user, tenant=tenant, roles=self._elsewhere.names(session, row, tenant))

    def _set(self, subject: str, column: str, value: object) -> User:
        advice = f"check your own constraints on `{column}`"
        return self._change(subject, lambda _, row: setattr(row, column, value), advice)

    def _credentials(self, username: str) -> tuple[str, str | None]:
        if not is_storable(username):
            return "", None
        users = self._users
        columns = select(users.subject, users.password_hash, users.disabled)
        query = columns.where(users.username == username)
        row = self._transactions.run(lambda session: session.execute(query).one_or_none())
        if row is None:
            return "", None
        # A disabled user's hash is not used, so right and wrong passwords take the same work.
        return row.subject, None if row.disabled else row.password_hash

    def _upgrade(self, subject: str, password_hash: str, password: str) -> None:
        try:
            new_hash = upgraded_hash(password_hash, password)
        except HashingBusy:  # try again at the next log-in
            return
        if new_hash is None:
            return

        def replace(session: Session) -> None:
            row = self._locked(session, subject)
            # Replace only the hash just verified: the password may have been changed since.
            if row is not None and row.password_hash == password_hash:
                row.password_hash = new_hash

        self._transactions.write(replace, "check your own constraints on `password_hash`")

    def _insert(self, session: Session, user: User, password_hash: str | None) -> None:
        self._refuse_taken(session, user)
        row = self._users()
        row.subject, row.username, row.tenant = user.subject, user.username, user.tenant
        row.password_hash, row.roles = password_hash, self._role_rows(session, user.roles)
        session.add(row)

    def _refuse_taken(self, session: Session, user: User) -> None:
        users = self._users
        if session.scalar(select(users.id).where(users.username == user.username)) is not None:
            raise MisuseError("the username is taken: choose another one")
        if session.scalar(select(users.id).where(users.subject == user.subject)) is not None:
            raise MisuseError("the subject is taken: omit subject= for a random one")

    def _existing(self, session: Session, subject: str) -> UserMixin:
        row = self._locked(session, subject) if is_storable(subject) else None
        if row is None:
            raise MisuseError("no user has this subject: pass User.subject, not the username")
        return row

    def _locked(self, session: Session, subject: str) -> UserMixin | None:
        # Without the lock, two simultaneous changes could be mixed.
        return session.scalars(self._of(subject).with_for_update()).one_or_none()

    def _of(self, subject: str) -> Any:
        return select(self._users).where(self._users.subject == subject)

    def _role_rows(self, session: Session, names: tuple[str, ...]) -> list[RoleMixin]:
        rows = list(session.scalars(select(self._roles).where(self._roles.name.in_(names))))
        for name in sorted(set(names) - {row.name for row in rows}):
            if issubclass(self._roles, CatalogueRoleMixin):  # it would be a role that does nothing
                raise MisuseError(f"no role is named {name!r}: add it first, or fix the spelling")
            row = self._roles()
            row.name = name
            rows.append(row)
        return rows


def user_of(row: UserMixin) -> User:
    """Return a row of the users as a `User`."""
    return User(
        subject=row.subject,
        username=row.username,
        roles=tuple(sorted(role.name for role in row.roles)),
        tenant=row.tenant,
        disabled=row.disabled,
    )
