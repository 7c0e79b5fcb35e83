"""Holdings: what roles grant, and what of it an administrator does not hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..policy.identity import Identity
from ..policy.permissions import PermissionSet
from ..policy.roles import Roles


@dataclass(frozen=True, slots=True)
class Holdings:
    """The permissions of some roles, their highest level, and the roles that give neither.

    Such a role matters only by its name, to code that asks for it.
    """

    permissions: PermissionSet
    level: int | None
    names: frozenset[str]

    def missing_from(self, identity: Identity) -> str | None:
        """Describe something of this that the identity does not hold; None if it holds it all."""
        for permission in sorted(self.permissions):
            if permission not in identity.permissions:
                return f"the permission {permission}"
        if self.level is not None and self.level > identity.level:
            return f"the level {self.level}"
        for name in sorted(self.names):
            if not identity.has_role(name):
                return f"the role {name}"
        return None


def holdings_of(roles: Iterable[str], catalog: Roles | None) -> Holdings:
    """Return what the roles give according to the catalog, including the roles that they include.

    A role that is not in the catalog gives nothing. Without a catalog, roles are only names.
    """
    if catalog is None:
        return Holdings(PermissionSet(()), None, frozenset(roles))
    names = catalog.with_included(roles)
    levels = [level for name in names if (level := catalog[name].level) is not None]
    only_named = (name for name in names if _is_only_a_name(name, catalog))
    level, permissions = max(levels, default=None), catalog.permissions_of(names)
    return Holdings(permissions, level, frozenset(only_named))


def _is_only_a_name(name: str, catalog: Roles) -> bool:
    names = catalog.with_included([name])
    has_level = any(catalog[one].level is not None for one in names)
    return not has_level and not catalog.permissions_of(names).held
