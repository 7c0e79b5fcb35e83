"""Accounts in the memory of a process: for tests and first steps; lost at a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple

from ..errors import MisuseError
from .password_rules import check_new_password
from .passwords import hash_password, is_still_good, verify_password
from .user import User, new_user, refuse_unstorable, role_names


class MemoryAccounts:
    """Accounts in the memory of this process. The methods are thread-safe."""

    is_shared = False

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}
        self._subjects: dict[str, str] = {}

    def authenticate(self, username: str, password: str) -> User | None:
        """Return the user with this name and password, else None; see `Accounts`."""
        subject, password_hash = self._credentials(username)
        if not verify_password(password_hash, password):
            return None
        # Read again: hashing took time, in which everything may have changed.
        if not is_still_good(password_hash, password, self._credentials(username)[1]):
            return None
        user = self.find(subject)
        return None if user is None or user.disabled else user

    def find(self, subject: str) -> User | None:
        """Return the current user with this subject, even if disabled; None if there is none."""
        kept = self._kept.get(subject)
        return None if kept is None else kept.user

    def find_in(self, subject: str, tenant: str) -> User | None:
        """Return the user with this tenant and their roles there; see `TenantAccounts`."""
        kept = self._kept.get(subject)
        if kept is None:
            return None
        user = _as_in(kept, tenant)
        return user if user.roles or kept.user.tenant == tenant else None

    def named(self, username: str) -> User | None:
        """Return the current user with this name, even if disabled; None if there is none."""
        return self.find(self._subjects.get(username, ""))

    def users(self) -> list[User]:
        """Return all users, sorted by name."""
        with self._lock:
            found = [kept.user for kept in self._kept.values()]
        return sorted(found, key=lambda user: user.username)

    def add(
        self,
        username: str,
        password: str | None = None,
        roles: Iterable[str] = (),
        tenant: str | None = None,
        subject: str | None = None,
    ) -> User:
        """Add a user and return it; without a password, they cannot log in with one.

        Names are compared exactly: `Ann` and `ann` are two users. The subject is random unless
        given. Raise `MisuseError` if the name or the subject is taken, and for a password that
        `hash_password` refuses.
        """
        user = new_user(username, roles, tenant, subject)
        password_hash = None if password is None else hash_password(password)
        with self._lock:
            if user.username in self._subjects:
                raise MisuseError("the username is taken: choose another one")
            if user.subject in self._kept:
                raise MisuseError("the subject is taken: omit subject= for a random one")
            self._kept[user.subject] = _Kept(user, password_hash)
            self._subjects[user.username] = user.subject
        return user

    def set_roles(self, subject: str, roles: Iterable[str]) -> User:
        """Replace all roles of the user with these.

        Raise `MisuseError` for an unknown subject.
        """
        names = role_names(roles)
        return self._change_roles(subject, lambda held: names)

    def grant_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Give the user these roles in addition to those that they have; see `ManagedAccounts`."""
        names = role_names(roles)
        return self._change_roles(subject, lambda held: role_names({*held, *names}), tenant)

    def take_roles(self, subject: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Take these roles from the user; see `ManagedAccounts`."""
        names = role_names(roles)
        return self._change_roles(
            subject, lambda held: role_names({*held}.difference(names)), tenant
        )

    def check_new_password(self, password: str) -> None:
        """Raise `PasswordRefused` for a password that cannot be set; see `ManagedAccounts`."""
        check_new_password(password)

    def set_password(self, subject: str, password: str) -> User:
        """Set the user's password; see `ManagedAccounts`."""
        password_hash = hash_password(password)
        with self._lock:
            return self._keep(self._existing(subject)._replace(password_hash=password_hash))

    def disable(self, subject: str) -> User:
        """Disable the user; raise `MisuseError` for an unknown subject."""
        return self._set_disabled(subject, True)

    def enable(self, subject: str) -> User:
        """Let the user log in again; raise `MisuseError` for an unknown subject."""
        return self._set_disabled(subject, False)

    def remove(self, subject: str) -> None:
        """Remove the user; a later user of the same name has another subject.

        Raise `MisuseError` for an unknown subject.
        """
        with self._lock:
            kept = self._existing(subject)
            del self._kept[subject]
            del self._subjects[kept.user.username]

    def _credentials(self, username: str) -> tuple[str, str | None]:
        with self._lock:
            kept = self._kept.get(self._subjects.get(username, ""))
        if kept is None:
            return "", None
        # A disabled user's hash is not used, so right and wrong passwords take the same work.
        return kept.user.subject, None if kept.user.disabled else kept.password_hash

    def _change_roles(
        self,
        subject: str,
        change: Callable[[tuple[str, ...]], tuple[str, ...]],
        tenant: str | None = None,
    ) -> User:
        with self._lock:
            kept = self._existing(subject)
            if tenant in (None, kept.user.tenant):
                roles = change(kept.user.roles)
                return self._keep(kept._replace(user=replace(kept.user, roles=roles)))
            refuse_unstorable(tenant)
            changed = change(_as_in(kept, tenant).roles)
            kept = kept._replace(in_tenants={**kept.in_tenants, tenant: changed})
            self._keep(kept)
            return _as_in(kept, tenant)

    def _set_disabled(self, subject: str, disabled: bool) -> User:
        with self._lock:
            kept = self._existing(subject)
            return self._keep(kept._replace(user=replace(kept.user, disabled=disabled)))

    def _existing(self, subject: str) -> _Kept:
        kept = self._kept.get(subject)
        if kept is None:
            raise MisuseError("no user has this subject: pass User.subject, not the username")
        return kept

    def _keep(self, kept: _Kept) -> User:
        self._kept[kept.user.subject] = kept
        return kept.user


class _Kept(NamedTuple):
    user: User
    password_hash: str | None
    in_tenants: Mapping[str | None, tuple[str, ...]] = MappingProxyType({})

    def __repr__(self) -> str:
        return f"_Kept({self.user!r})"  # without the password hash


def _as_in(kept: _Kept, tenant: str | None) -> User:
    """Return the user with a tenant, even if they have no role there."""
    if tenant == kept.user.tenant:
        return kept.user
    return replace(kept.user, tenant=tenant, roles=kept.in_tenants.get(tenant, ()))
