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
        "accounts.catalogue_tables": "accounts.sqlalchemy.role_tables",
        "accounts.slots": "_concurrency.slots",
        "accounts.sqlalchemy_roles": "accounts.sqlalchemy.roles",
        "accounts.tables": "accounts.sqlalchemy.tables",
        "accounts.tenant_roles": "accounts.sqlalchemy.tenant_roles",
        "accounts.trail": "accounts.sqlalchemy.trail",
        "accounts.transactions": "accounts.sqlalchemy.transactions",
        "admin.administration": "admin.user_changes",
        "admin.asked": "admin.guard_parts",
        "admin.entry": "admin.login",
        "admin.queries": "admin.schemas",
        "admin.role_administration": "admin.role_changes",
        "admin.rules": "admin.safeguards",
        "admin.turn": "admin.change",
        "admin.wanted": "admin.user_query",
        "arguments": "guards.arguments",
        "blocklist": "guards.jwt_required",
        "bounded": "_concurrency.bounded",
        "catalogue": "policy.role_sources",
        "checking": "inspection.check",
        "claims": "issuers",
        "claims.compact": "tokens.compact",
        "claims.encodings": "tokens.encodings",
        "claims.grants": "issuers.grants",
        "claims.issuers": "issuers.issuer",
        "claims.marks": "issuers.claim_checks",
        "claims.names": "tokens.claim_names",
        "claims.pointers": "issuers.pointers",
        "claims.presets": "issuers.presets",
        "claims.schema": "tokens.claims",
        "claims.sizes": "tokens.sizes",
        "claims.tenants": "issuers.tenants",
        "cli_changes": "cli.common",
        "cli_explain": "cli.explain",
        "cli_roles": "cli.roles",
        "cli_users": "cli.users",
        "context": "_context",
        "deadlines": "_concurrency.deadlines",
        "decision": "policy.decision",
        "decision_points": "contrib.authzen",
        "decision_points.answers": "contrib.authzen.answers",
        "decision_points.asks": "contrib.authzen.asks",
        "decision_points.authzen": "contrib.authzen.client",
        "decision_points.question": "contrib.authzen.question",
        "endpoints.attempts_memory": "endpoints.attempts_in_memory",
        "endpoints.login_gate": "endpoints.login_attempt",
        "endpoints.login_rate": "endpoints.rate_limit",
        "explaining": "inspection.explain",
        "explanation": "policy.explanation",
        "fields": "contrib.marshmallow",
        "filtering": "guards.filtering",
        "filters": "conditions.sql",
        "filters.columns": "conditions.sql.columns",
        "filters.leaves": "conditions.sql.leaves",
        "filters.plans": "conditions.sql.plan",
        "filters.texts": "conditions.sql.dialects",
        "has": "policy.standard",
        "hooks": "guards.flask_hooks",
        "identity": "policy.identity",
        "issuing": "logins.issuing",
        "jwt_manager": "jwt_extended.manager",
        "live_catalogue": "revocation.live_roles",
        "loading": "contrib.sqlalchemy",
        "locations": "jwt_extended.locations",
        "managing": "logins.changes",
        "matrix": "inspection.matrix",
        "metrics": "contrib.prometheus",
        "openapi.command": "cli.openapi",
        "overrides": "guards.overrides",
        "pages": "contrib.browser",
        "parts": "application",
        "patching": "_concurrency.patching",
        "permissions": "policy.permissions",
        "places": "guards.placement",
        "predicates": "policy.functions",
        "problem": "policy.problem",
        "reports": "inspection",
        "reports.access": "inspection.access",
        "reports.changes": "inspection.diff",
        "reports.commands": "cli.reports",
        "reports.documents": "inspection.documents",
        "reports.loading": "inspection.loading",
        "reports.page": "inspection.page",
        "reports.revision": "inspection.revision",
        "reports.routes": "inspection.routes",
        "reports.rows": "inspection.rows",
        "reports.tables": "inspection.tables",
        "request_slots": "jwt_extended.slots",
        "requirements": "policy.requirements",
        "revocation.breaker": "_concurrency.breaker",
        "revocation.database": "revocation.stores.database",
        "revocation.forks": "_concurrency.forks",
        "revocation.memory": "revocation.stores.memory",
        "revocation.redis": "revocation.stores.redis",
        "revocation.redis_family_scripts": "revocation.stores.redis_family_scripts",
        "revocation.redis_scripts": "revocation.stores.redis_scripts",
        "revocation.redis_server": "revocation.stores.redis_server",
        "revocation.sql_families": "revocation.stores.sql_families",
        "revocation.sqlalchemy": "revocation.stores.sqlalchemy",
        "revocation.tables": "revocation.stores.tables",
        "revoking": "logins.revoking",
        "roles": "policy.roles",
        "roles_document": "policy.roles_document",
        "rules": "conditions.rules",
        "sessions": "contrib.sessions",
        "shared_store": "authentication.shared_store",
        "subjects": "inspection.subjects",
        "tenants": "guards.tenants",
        "token_sizes": "logins.token_sizes",
        "tokens.fetch": "issuers.http",
        "tokens.foreign": "issuers.foreign",
        "tokens.issue": "logins.access_token",
        "tokens.jwk_set": "issuers.jwk_set",
        "tokens.remote_keys": "issuers.remote_keys",
        "tokens.strength": "tokens.key_strength",
        "trust": "issuers.trust",
        "unasked": "inspection.unused",
        "verbs": "guards.verbs",
        "verification": "authentication.verification",
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
