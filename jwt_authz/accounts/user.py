"""The user, and the protocol between the log-in and whatever keeps the users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol, TypeGuard, runtime_checkable

from ..errors import MisuseError

MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can log in, as they were when the store was asked.

    `subject` is what their tokens carry as `sub`: never given to anybody else, also not to a later
    user of the same name. `roles` are names from the application's catalogue.

    Raises MisuseError when a field has the wrong type (an integer key in place of a string, say).
    """

    subject: str
    username: str
    roles: tuple[str, ...] = ()
    tenant: str | None = None
    disabled: bool = False

    def __post_init__(self) -> None:
        for name in ("subject", "username"):
            if not _is_text(getattr(self, name)):
                raise MisuseError(f"User.{name} must be a string that is not empty: write str(...)")
        if self.tenant is not None and not _is_text(self.tenant):
            raise MisuseError(
                "User.tenant must be None or a string that is not empty: write str(...)"
            )
        if not isinstance(self.roles, tuple) or not all(map(_is_text, self.roles)):
            raise MisuseError("User.roles must be a tuple of role names: write roles=('editor',)")


@runtime_checkable
class Accounts(Protocol):
    """What a log-in asks; an application with a users table of its own implements it."""

    def authenticate(self, username: str, password: str) -> User | None:
        """The user whose name and password these are, else None.

        None for an unknown user, a wrong password, a disabled user and one without a password,
        and all four after the same work (OWASP ASVS 6.3.8): `verify_password` of
        `jwt_authz.accounts.passwords` takes a None for the hash and does that work. Raises
        StoreUnavailable when the store does not answer.
        """
        ...

    def find(self, subject: str) -> User | None:
        """The user with this subject as they are now, disabled or not; None when there is none.

        Raises StoreUnavailable when the store does not answer.
        """
        ...


@runtime_checkable
class TenantAccounts(Accounts, Protocol):
    """Accounts whose users may have roles in other tenants than their own.

    A log-in that names a tenant, and a refresh of it, ask them.
    """

    def find_in(self, subject: str, tenant: str) -> User | None:
        """The user as one of this tenant, with the roles that they have there, disabled or not.

        Of their own tenant it is what `find` gives; None where they have no role in it. Raises
        StoreUnavailable when the store does not answer.
        """
        ...


@runtime_checkable
class NamedAccounts(Accounts, Protocol):
    """Accounts that can look up a user by name.

    The limit on guesses then knows an account by its subject, whatever its name is.
    """

    def named(self, username: str) -> User | None:
        """Return the user that a log-in by this name is for, disabled or not; None if none is.

        Raises StoreUnavailable when the store does not answer.
        """
        ...


@runtime_checkable
class ManagedAccounts(NamedAccounts, Protocol):
    """Accounts that can be changed here: what `flask authz users` and a change of password need.

    Each change is made as a whole or not at all, and may be repeated: what is so already stays.
    All raise MisuseError for a subject that nobody has, and StoreUnavailable. What becomes of
    tokens issued before is not theirs to say.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes see a change."""
        ...

    def users(self) -> list[User]:
        """All users, in the order of their names."""
        ...

    def add(
        self,
        username: str,
        password: str | None = None,
        roles: Iterable[str] = (),
        tenant: str | None = None,
        subject: str | None = None,
    ) -> User:
        """Keep a new user; without a password they cannot log in by one.

        Raises MisuseError where the name is taken, and for a password that `hash_password` refuses.
        """
        ...

    def grant_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Give the user these roles besides those that they have.

        In another `tenant` than their own where one is given, as `TenantAccounts` have it; then the
        user is returned as one of it.
        """
        ...

    def take_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Take these roles from the user, in another `tenant` where one is given."""
        ...

    def check_new_password(self, password: str) -> None:
        """Raises PasswordRefused for a password that `set_password` would refuse."""
        ...

    def set_password(self, subject: str, password: str) -> User:
        """Have the user log in by another password; raises what `hash_password` raises."""
        ...

    def disable(self, subject: str) -> User:
        """Let the user log in no more."""
        ...

    def enable(self, subject: str) -> User:
        """Let the user log in again."""
        ...

    def remove(self, subject: str) -> None:
        """Forget the user; a later one of the same name is another subject."""
        ...


def new_user(username: str, roles: Iterable[str], tenant: str | None, subject: str | None) -> User:
    """A user whose texts every store can hold, with a random 128-bit subject unless one is given.

    Raises MisuseError for a text that is empty, longer than 255 characters, holds a NUL or is no
    UTF-8, and for roles given as one string.
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
    """The names in order, each once; raises MisuseError where they are not several good strings."""
    if isinstance(roles, str):
        raise MisuseError("roles must be several names, not one string: write roles=('editor',)")
    names = tuple(roles)
    for name in names:
        refuse_unstorable(name)
    return tuple(sorted(set(names)))


def is_storable(text: object) -> bool:
    """Whether every store can hold, and so find, the text: 1 to 255 characters, UTF-8, no NUL."""
    return _is_text(text) and len(text) <= MAX_TEXT and "\0" not in text and _is_utf8(text)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""


def refuse_unstorable(text: object) -> None:
    """Raises MisuseError for what not every store can hold."""
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
