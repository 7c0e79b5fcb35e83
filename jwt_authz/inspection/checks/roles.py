"""Checks of roles: unknown names, unused permissions, long tokens and broken rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...errors import MisuseError
from ...findings import Found, Place, misuse_of
from ...logins.token_sizes import roles_too_long
from ...policy.functions import NO_RESOURCE
from ...policy.requirements import Requirement, has_permission
from ...policy.roles import Roles
from ...policy.standard import has_level, has_role
from ..inspected import Inspected, place_of
from ..unused import unused


def unknown_permissions(seen: Inspected) -> Iterator[Found]:
    """Yield the permissions that no role can grant."""
    return _unknown(seen, seen.lasting_roles, has_permission)


def unknown_roles(seen: Inspected) -> Iterator[Found]:
    """Yield the roles that are not in the catalog."""
    return _unknown(seen, seen.lasting_roles, has_role)


def unknown_levels(seen: Inspected) -> Iterator[Found]:
    """Yield the levels that are not in the catalog."""
    return _unknown(seen, seen.lasting_roles, has_level)


def unknown_at_the_moment(seen: Inspected) -> Iterator[Found]:
    """Yield the names that the catalog lacks now, but that may exist later or elsewhere.

    Roles that change at run time may lack a name for a while, and another issuer may grant
    permissions of its own.
    """
    kinds = has_permission, has_role, has_level
    lasting = list(_unknown(seen, seen.lasting_roles, *kinds))
    yield from (found for found in _unknown(seen, seen.roles_known, *kinds) if found not in lasting)


def unused_permissions(seen: Inspected) -> Iterator[Found]:
    """Yield the permissions that a role grants and nothing requires."""
    if seen.roles_known is None:
        return
    for permission in unused(seen.accesses, seen.roles_known, seen.rules):
        yield Found(
            f"nothing asks for {permission!r}, which a role grants: guard a view by it, or remove "
            "it from the role",
            {"permission": permission},
        )


def long_tokens(seen: Inspected) -> Iterator[Found]:
    """Yield the roles whose tokens fit in no encoding."""
    if seen.roles_known is not None:
        yield from roles_too_long(seen.state, seen.roles_known)


def live_roles_without_store(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if other processes would not notice changes of the catalog."""
    if seen.settings is None:
        return
    if seen.state.has_live_roles and seen.settings.store_url is None:
        yield Found(
            "the roles come from a source, and without a store no process learns of a change: set "
            "AUTHZ_STORE_URL, or write Authz(app, roles=source.load()) for roles that never change"
        )


def compact_without_catalog(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if the encoding is `compact` and there is no catalog."""
    has_roles = seen.state.has_live_roles or seen.roles_known is not None
    if seen.settings is not None and seen.settings.encoding == "compact" and not has_roles:
        yield Found(
            "AUTHZ_ENCODING='compact' needs a role catalog: write Authz(app, roles=Roles(...))",
            {"setting": "AUTHZ_ENCODING"},
        )


def not_loaded(seen: Inspected) -> Iterator[Found]:
    """Yield why the catalog could not be loaded from its source."""
    if seen.not_loaded is not None and seen.settings is not None:
        yield Found(f"names of roles and permissions were not checked: {seen.not_loaded}")


def broken_rules(seen: Inspected) -> Iterator[Found]:
    """Yield the rules that cannot be applied, such as two rules that require each other."""
    for action, model, _ in seen.rules:
        asked, place = has_permission(action), {"rule": f"{action} for {model.__name__}"}
        for found in misuse_of(lambda: seen.rules.applied_to(asked, model)):  # noqa: B023 used here
            yield found._replace(place=place)


class _Named(NamedTuple):
    """A requirement that names something in the catalog, and where."""

    asked: Requirement
    where: str
    place: Place


def _unknown(seen: Inspected, catalog: Roles | None, *kinds: type[Requirement]) -> Iterator[Found]:
    """Yield what guards and rules require but the catalog does not have."""
    if catalog is None:
        return
    for named in (*_in_guards(seen), *_in_rules(seen)):
        text = _lacking(named.asked, catalog) if isinstance(named.asked, kinds) else None
        if text is not None:
            yield Found(f"{named.where}: {text}", named.place)


def _in_guards(seen: Inspected) -> Iterator[_Named]:
    """Yield what guards require, except permissions that a rule replaces."""
    for access in seen.accesses:
        for guard in access.guards:
            for asked in guard.requirement_for(access.method, access.has_head).walk():
                if guard.on is NO_RESOURCE or not _has_rule(seen, asked):
                    yield _Named(asked, access.endpoint, place_of(access))


def _in_rules(seen: Inspected) -> Iterator[_Named]:
    """Yield what rules require, except permissions that another rule replaces."""
    for action, model, rule in seen.rules:
        place = {"rule": f"{action} for {model.__name__}"}
        for asked in rule.walk():
            is_own = isinstance(asked, has_permission) and asked.value == action
            if is_own or not _has_rule(seen, asked):
                yield _Named(asked, f"the rule of {action!r} for {model.__name__}", place)


def _has_rule(seen: Inspected, asked: Requirement) -> bool:
    """Return whether a rule replaces a permission, so that no role needs to grant it."""
    return isinstance(asked, has_permission) and asked.permission in seen.rules


def _lacking(asked: Requirement, catalog: Roles) -> str | None:
    """Return a sentence if the catalog lacks what a requirement names, else None."""
    if isinstance(asked, has_role) and asked.value not in catalog:
        return f"no role is named {asked.value!r}: add Role({asked.value!r}, ...) to Roles(...)"
    if isinstance(asked, has_permission) and not catalog.knows(asked.permission):
        return f"no role grants {asked.value!r}: add it to a Role(...), or fix the spelling"
    if isinstance(asked, has_level) and isinstance(asked.value, str):
        try:
            catalog.level_named(asked.value)
        except MisuseError as error:
            return str(error)
    return None
