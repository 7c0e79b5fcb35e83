"""Change users and roles while the application runs, with effect in all its processes.

A change that takes something away ends the tokens that had it. If the store does not accept that,
the change itself stays, and the error asks to repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeGuard

from .._context import get_app
from ..accounts import Accounts, ManagedAccounts, TenantAccounts, User
from ..application import AppState
from ..audit import tell_change
from ..errors import MisuseError, StoreUnavailable
from ..policy.role_sources import ManagedRoles
from ..policy.roles import Role, Roles
from ..revocation import Target
from .revoking import revoke
from .token_sizes import SOME_SUBJECT, refuse_role_change, refuse_user_change


class Users:
    """Changes of the current application's users; each is audited with the author `by`.

    All raise `MisuseError` for an unknown name, and `StoreUnavailable`. Tokens are ended if
    `AUTHZ_STORE_URL` is set; otherwise they stay valid until they expire.
    """

    def __init__(self, state: AppState, accounts: ManagedAccounts, by: str) -> None:
        self._state = state
        self._accounts = accounts
        self._by = by

    def add(
        self,
        username: str,
        password: str | None = None,
        roles: Iterable[str] = (),
        tenant: str | None = None,
    ) -> User:
        """Add a user; see `ManagedAccounts`. Raise `MisuseError` for an unknown role."""
        names = self._known(roles)
        refuse_user_change(self._state, (), User(SOME_SUBJECT, username, names, tenant))
        return self._audited("add", self._accounts.add(username, password, names, tenant))

    def remove(self, username: str) -> User:
        """Remove a user, and end all their log-ins and tokens."""
        user = self.disable(
            username
        )  # first, so that it can be repeated if the store does not answer
        self._accounts.remove(user.subject)
        return self._audited("remove", user)

    def grant(self, username: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Give a user roles, which take effect with their next log-in or refresh.

        `tenant` is the tenant of the roles, by default the user's own.
        """
        names, user = self._known(roles), self.find(username)
        held = self._as_in(user, tenant)
        wanted = replace(held, roles=tuple({*held.roles, *names}))
        refuse_user_change(self._state, held.roles, wanted)
        user = self._accounts.grant_roles(user.subject, names, **_in(tenant))
        return self._audited("grant", user)

    def take(self, username: str, roles: Iterable[str], tenant: str | None = None) -> User:
        """Take roles from a user, and end the access tokens that have them; log-ins stay."""
        subject = self.find(username).subject
        user = self._accounts.take_roles(subject, roles, **_in(tenant))
        return self._end_and_audit("take", user, keeps_families=True)

    def disable(self, username: str) -> User:
        """Disable a user, and end all their log-ins and tokens."""
        return self._end_and_audit("disable", self._accounts.disable(self.find(username).subject))

    def enable(self, username: str) -> User:
        """Let a user log in again."""
        return self._audited("enable", self._accounts.enable(self.find(username).subject))

    def set_password(self, user: User, password: str) -> User:
        """Set a user's password, and end all their log-ins and tokens.

        Raise `PasswordRefused` for a password that cannot be set.
        """
        self._accounts.check_new_password(password)
        # Before the change, so that nothing changes if the store does not answer. And after it,
        # to end a log-in with the old password that was in progress.
        self._end(user)
        return self._end_and_audit("password", self._accounts.set_password(user.subject, password))

    def find(self, username: str) -> User:
        """Return the user with this name; raise `MisuseError` if there is none."""
        found = self._accounts.named(username)
        if found is None:
            raise MisuseError(f"no user is named {username!r}: fix the spelling")
        return found

    def _as_in(self, user: User, tenant: str | None) -> User:
        """Return the user as one of a tenant, without a role if they have none there."""
        if tenant is None or tenant == user.tenant:
            return user
        accounts = self._accounts
        there = accounts.find_in(user.subject, tenant) if _has_tenants(accounts) else None
        return there or replace(user, tenant=tenant, roles=())

    def _known(self, roles: Iterable[str]) -> tuple[str, ...]:
        names, catalog = tuple(roles), self._state.roles
        for name in names:
            if catalog is not None and name not in catalog:
                there = f"the roles are {', '.join(catalog)}" if catalog else "add it first"
                raise MisuseError(f"no role is named {name!r}: {there}")
        return names

    def _end(self, user: User, *, keeps_families: bool = False) -> None:
        if self._state.revocations is None:
            return
        try:
            what = Target("subject", user.subject)
            revoke(self._state, what, keeps_families=keeps_families)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"tokens of {user.username!r} issued until now were not ended: repeat the change: "
                f"{error}"
            ) from None

    def _end_and_audit(self, action: str, user: User, *, keeps_families: bool = False) -> User:
        """End the tokens that a change outdates. Audit it last, since a receiver may raise."""
        try:
            self._end(user, keeps_families=keeps_families)
        finally:
            self._audited(action, user)
        return user

    def _audited(self, action: str, user: User) -> User:
        tell_change(get_app(), self._by, f"users {action}", user.username, user.subject)
        return user


def _has_tenants(accounts: Accounts) -> TypeGuard[TenantAccounts]:
    """Return whether the accounts support users with roles in other tenants."""
    return isinstance(accounts, TenantAccounts)


def _in(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {"tenant": tenant}  # not all accounts have the parameter


class RoleChanges:
    """Changes of the current application's role catalog; each is audited with the author `by`.

    All raise `MisuseError` for a change that would make the catalog invalid, and
    `StoreUnavailable`.
    """

    def __init__(
        self,
        state: AppState,
        roles: ManagedRoles,
        by: str,
        users: Callable[[], Iterable[User]] = tuple,
    ) -> None:
        state.needed_revocations()  # fail before a change that no process would learn of
        self._state = state
        self._roles = roles
        self._by = by
        self._users = users

    def add(
        self, name: str, permissions: Iterable[str], includes: Iterable[str], level: int | None
    ) -> None:
        """Add a role."""
        self._refuse_too_long(Role(name, *permissions, includes=tuple(includes), level=level))
        self._roles.add(name, *permissions, includes=tuple(includes), level=level)
        self._reload_and_audit("add", name)

    def remove(self, name: str) -> None:
        """Remove a role from the catalog and from all users, and end the tokens that have it."""
        catalog = self._roles.load()
        if name not in catalog:
            # Perhaps by an earlier call that failed afterwards: finish it.
            reload_everywhere(self._state, name)
        elif not catalog.including(name):
            # Also before the change, so that nothing changes if the store does not answer.
            revoke(self._state, Target("role", name))
        self._roles.remove(name)
        self._reload_and_audit("remove", name, is_gone=True)

    def grant(self, name: str, permissions: Iterable[str]) -> None:
        """Give a role permissions."""
        self._refuse_too_long(Role(name, *permissions))
        self._roles.grant(name, *permissions)
        self._reload_and_audit("grant", name)

    def take(self, name: str, permissions: Iterable[str]) -> None:
        """Take permissions from a role, and from all tokens that have it."""
        self._roles.take(name, *permissions)
        self._reload_and_audit("take", name)

    def include(self, name: str, others: Iterable[str]) -> None:
        """Make a role include others."""
        self._refuse_too_long(Role(name, includes=tuple(others)))
        self._roles.include(name, *others)
        self._reload_and_audit("include", name)

    def exclude(self, name: str, others: Iterable[str]) -> None:
        """Make a role no longer include others."""
        self._roles.exclude(name, *others)
        self._reload_and_audit("exclude", name)

    def set_level(self, name: str, level: int | None) -> None:
        """Set or remove the level of a role."""
        self._roles.set_level(name, level)
        self._reload_and_audit("level", name)

    def _refuse_too_long(self, more: Role) -> None:
        """Raise `TokenDoesNotFit` if adding `more` to the role would make tokens too long."""
        before = self._roles.load()
        known = before.get(more.name, Role(more.name))
        included = {*known.includes, *more.includes}
        if included <= {*before, more.name}:  # otherwise the change itself is refused
            changed = Role(
                more.name, *known.permissions, *more.permissions, includes=sorted(included)
            )
            others = (role for role in before.values() if role.name != more.name)
            after = Roles(*others, changed)
            refuse_role_change(self._state, before, after, self._role_sets)

    def _role_sets(self) -> set[tuple[str, ...]]:
        return {user.roles for user in self._users()}

    def _reload_and_audit(self, action: str, name: str, is_gone: bool = False) -> None:
        try:
            reload_everywhere(self._state, name if is_gone else None)
        finally:  # last, since a receiver may raise
            tell_change(get_app(), self._by, f"roles {action}", name)


def reload_everywhere(state: AppState, removed: str | None = None) -> None:
    """Make all processes reload the catalog after a change; raise `StoreUnavailable`.

    End the tokens with the role `removed`: they would be valid again if its name were reused.
    """
    try:
        if removed is not None:
            revoke(state, Target("role", removed))
        state.reload_roles()
    except StoreUnavailable as error:
        again = "run `flask authz roles reload`" if removed is None else "repeat the change"
        raise StoreUnavailable(
            f"the change is made, but other processes may not know of it: {again}: {error}"
        ) from None
