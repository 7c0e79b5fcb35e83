"""Moved: modules that 0.2 renamed stay importable by their old names until 0.3, with a warning.

Importing this module installs the finder, which Python asks when it finds no module of a name.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

MOVED = {
    f"jwt_authz.{old}": f"jwt_authz.{new}"
    for old, new in {
        "accounts.tables": "accounts.sqlalchemy.tables",
        "accounts.trail": "accounts.sqlalchemy.trail",
        "catalogue": "policy.role_sources",
        "claims": "issuers",
        "claims.marks": "issuers.claim_checks",
        "claims.pointers": "issuers.pointers",
        "claims.presets": "issuers.presets",
        "decision": "policy.decision",
        "decision_points": "contrib.authzen",
        "explanation": "policy.explanation",
        "fields": "contrib.marshmallow",
        "filters": "conditions.sql",
        "has": "policy.standard",
        "identity": "policy.identity",
        "loading": "contrib.sqlalchemy",
        "metrics": "contrib.prometheus",
        "overrides": "guards.overrides",
        "pages": "contrib.browser",
        "parts": "application",
        "permissions": "policy.permissions",
        "predicates": "policy.functions",
        "problem": "policy.problem",
        "requirements": "policy.requirements",
        "revocation.memory": "revocation.stores.memory",
        "revocation.redis": "revocation.stores.redis",
        "revocation.sqlalchemy": "revocation.stores.sqlalchemy",
        "revocation.tables": "revocation.stores.tables",
        "roles": "policy.roles",
        "roles_document": "policy.roles_document",
        "rules": "conditions.rules",
        "sessions": "contrib.sessions",
        "tenants": "guards.tenants",
        "trust": "issuers.trust",
    }.items()
}


class MovedModules(MetaPathFinder, Loader):
    """Finds a module by its old name: another module with the same contents."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old name, else None."""
        if fullname not in MOVED:
            return None
        return spec_from_loader(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        """Warn with the new name."""
        message = f"{spec.name} is now {MOVED[spec.name]}: the old name will be removed in 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module with the names of the new one."""
        new = vars(import_module(MOVED[module.__name__]))
        vars(module).update({name: new[name] for name in new if not name.startswith("__")})


sys.meta_path.append(MovedModules())
