"""The user, and the protocols between the log-in and the accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol, TypeGuard, runtime_checkable

from ..errors import MisuseError

MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class User:
    """A user who can log in, as of the time of the query.

    `subject` is the `sub` of their tokens. It is never given to another user, not even to a later
    user of the same name. `roles` are names from the application's role catalog.

    Raise `MisuseError` if a field has the wrong type, for example an integer key.
    """

    subject: str
    username: str
    roles: tuple[str, ...] = ()
    tenant: str | None = None
    disabled: bool = False

    def __post_init__(self) -> None:
        for name in ("subject", "username"):
            if not _is_text(getattr(self, name)):
                raise MisuseError(f"User.{name} must be a non-empty string: write str(...)")
        if self.tenant is not None and not _is_text(self.tenant):
            raise MisuseError("User.tenant must be None or a non-empty string: write str(...)")
        if not isinstance(self.roles, tuple) or not all(map(_is_text, self.roles)):
            raise MisuseError("User.roles must be a tuple of role names: write roles=('editor',)")


@runtime_checkable
class Accounts(Protocol):
    """What a log-in needs. Implement it if the application has its own users table."""

    def authenticate(self, username: str, password: str) -> User | None:
        """Return the user with this name and password, else None.

        Return None for an unknown user, a wrong password, a disabled user and a user without a
        password, each after the same work (OWASP ASVS 6.3.8): `verify_password` of
        `jwt_authz.accounts.passwords` accepts None as the hash and does this work. Raise
        `StoreUnavailable` if the store does not answer.
        """
        ...

    def find(self, subject: str) -> User | None:
        """Return the current user with this subject, even if disabled; None if there is none.

        Raise `StoreUnavailable` if the store does not answer.
        """
        ...


@runtime_checkable
class TenantAccounts(Accounts, Protocol):
    """Accounts whose users can have roles in other tenants than their own.

    Used by a log-in that names a tenant, and by its refreshes.
    """

    def find_in(self, subject: str, tenant: str) -> User | None:
        """Return the user with this tenant and the roles that they have there, even if disabled.

        For the user's own tenant, return the same as `find`. Return None if they have no role in
        the tenant. Raise `StoreUnavailable` if the store does not answer.
        """
        ...


@runtime_checkable
class NamedAccounts(Accounts, Protocol):
    """Accounts that can look up a user by name.

    The rate limit then identifies an account by its subject, whatever its name.
    """

    def named(self, username: str) -> User | None:
        """Return the user who logs in with this name, even if disabled; None if there is none.

        Raise `StoreUnavailable` if the store does not answer.
        """
        ...


@runtime_checkable
class ManagedAccounts(NamedAccounts, Protocol):
    """Accounts that can be changed, as `flask authz users` and password changes require.

    Each change is atomic, and can be repeated without further effect. All methods raise
    `MisuseError` for an unknown subject, and `StoreUnavailable`. They do not affect tokens that
    were issued before.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes see a change."""
        ...

    def users(self) -> list[User]:
        """Return all users, sorted by name."""
        ...

    def add(
        self,
        username: str,
        password: str | None = None,
        roles: Iterable[str] = (),
        tenant: str | None = None,
        subject: str | None = None,
    ) -> User:
        """Add a user and return it; without a password, they cannot log in with one.

        Raise `MisuseError` if the name is taken, and for a password that `hash_password` refuses.
        """
        ...

    def grant_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Give the user these roles in addition to those that they have.

        With a `tenant` other than their own, as in `TenantAccounts`, give the roles there, and
        return the user with that tenant.
        """
        ...

    def take_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Take these roles from the user, in another `tenant` if one is given."""
        ...

    def check_new_password(self, password: str) -> None:
        """Raise `PasswordRefused` for a password that `set_password` would refuse."""
        ...

    def set_password(self, subject: str, password: str) -> User:
        """Set the user's password; raise what `hash_password` raises."""
        ...

    def disable(self, subject: str) -> User:
        """Disable the user, who can then no longer log in."""
        ...

    def enable(self, subject: str) -> User:
        """Let the user log in again."""
        ...

    def remove(self, subject: str) -> None:
        """Remove the user; a later user of the same name has another subject."""
        ...


def new_user(username: str, roles: Iterable[str], tenant: str | None, subject: str | None) -> User:
    """Return a user that every store can hold, with a random 128-bit subject unless one is given.

    Raise `MisuseError` for a string that is empty, longer than 255 characters, contains NUL or is
    not valid UTF-8, and for roles given as one string.
    """
    user = User(
        subject=token_hex(16) if subject is None else subject,
        username=username,
        roles=role_names(roles),
        tenant=tenant,
    )
    for text in (user.subject, username, tenant):
        if text is not None:
            refuse_unstorable(text)
    return user


def role_names(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the names sorted and without duplicates; raise `MisuseError` for invalid names."""
    if isinstance(roles, str):
        raise MisuseError("roles must be several names, not one string: write roles=('editor',)")
    names = tuple(roles)
    for name in names:
        refuse_unstorable(name)
    return tuple(sorted(set(names)))


def is_storable(text: object) -> bool:
    """Return whether every store can hold the text: 1 to 255 characters, UTF-8, no NUL."""
    return _is_text(text) and len(text) <= MAX_TEXT and "\0" not in text and _is_utf8(text)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""


def refuse_unstorable(text: object) -> None:
    """Raise `MisuseError` for a value that not every store can hold."""
    if not is_storable(text):
        raise MisuseError(
            "a username, subject, tenant or role cannot be stored: write a string of 1 to "
            f"{MAX_TEXT} characters, without NUL and without lone surrogates"
        )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
