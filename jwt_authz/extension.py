"""The Flask extension `Authz`: configure authorization, issue and revoke tokens, run the check."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, Literal, TypeVar

from flask import Flask, current_app, has_app_context, request_started
from flask_jwt_extended import JWTManager

from .accounts import Accounts, User
from .application import KEY, AppState, current_state
from .authentication.identity_loader import IdentitySource
from .conditions.rules import Rules
from .errors import InvalidToken, MisuseError, StoreUnavailable, TokenDoesNotFit
from .findings import Finding
from .guards import jwt_required as blocklist
from .guards.arguments import NOT_GIVEN
from .guards.error_handlers import answer_complete, answer_refusal
from .guards.filtering import add_expression, add_rule, criterion
from .guards.flask_hooks import (
    answer_invalid,
    answer_token_does_not_fit,
    answer_unavailable,
    deny_unguarded,
    for_templates,
)
from .inspection.first_request import FirstRequest
from .issuers.issuer import Issuer
from .issuers.trust import Trust
from .jwt_extended.bridge import EXTENSION
from .jwt_extended.manager import OWN_TOKENS
from .jwt_extended.slots import make_slots_lazy
from .jwt_extended.times import use_default_leeway
from .logins.issuing import claims_of, issue
from .logins.log_in import Logins, Tokens
from .logins.own_tokens import ApplicationTokens
from .logins.revoking import families_of, revoke
from .policy.decision import Decision
from .policy.functions import NO_RESOURCE
from .policy.identity import Identity
from .policy.permissions import Permission
from .policy.requirements import Requirement
from .policy.role_sources import RolesSource
from .policy.roles import Roles
from .refusals import CompleteAnswer, Failing, Refusal
from .revocation import Family, target_of
from .tokens import KeySet

Loader = TypeVar("Loader", bound=Callable[..., Any])


class Authz:
    """The Flask extension: `Authz(app, roles=Roles(...))`, or `Authz(...)` and `init_app(app)`.

    `roles` is the role catalog, or a source from which it is loaded and reloaded after each change
    (`jwt_authz.policy.role_sources`). `accounts` are the users for the token endpoint. `default`,
    "allow" or "deny", applies to views with neither a guard nor `exempt`. `abort` is called with
    the `Problem` of a refusal and returns a response or raises. `on_fail` and `throws` are the
    defaults of guards. A `JWTManager` is created if the application has none.

    >>> from flask import Flask
    >>> from jwt_authz import Authz, Role, Roles, requires
    >>> app = Flask("shop")
    >>> app.config["JWT_SECRET_KEY"] = "a secret of at least 32 bytes, not this one"
    >>> authz = Authz(app, roles=Roles(Role("clerk", "orders:read")))
    >>> @app.get("/orders")
    ... @requires("orders:read")
    ... def orders():
    ...     return "orders"
    >>> app.test_client().get("/orders").status
    '401 UNAUTHORIZED'
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        roles: Roles | RolesSource | None = None,
        accounts: Accounts | None = None,
        default: Literal["allow", "deny"] = "allow",
        abort: Callable[..., Any] | None = None,
        on_fail: Any = None,
        throws: Any = None,
    ) -> None:
        if roles is not None and not isinstance(roles, Roles | RolesSource):
            raise MisuseError(
                f"Invalid roles {roles!r}: expected a role catalog, as in "
                "roles=Roles(Role(...)), or a source of one."
            )
        if default not in ("allow", "deny"):
            raise MisuseError(f"Invalid default {default!r}: expected 'allow' or 'deny'.")
        if abort is not None and not callable(abort):
            raise MisuseError(f"Invalid abort {abort!r}: expected a function of the problem.")
        if accounts is not None and not isinstance(accounts, Accounts):
            raise MisuseError(
                f"Invalid accounts of class {type(accounts).__name__}: expected an object with "
                "the methods authenticate(username, password) and find(subject)."
            )
        self.roles_given = roles
        self.accounts = accounts
        self.default = default
        self._failing = Failing(on_fail, throws)
        self._abort = abort
        self._source: IdentitySource | None = None
        self._trust: Trust | None = None
        self._rules = Rules()
        self._installed: weakref.WeakSet[AppState] = weakref.WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Initialize an application; one Authz may serve several.

        >>> authz = Authz(default="deny")
        >>> authz.init_app(Flask("shop"))
        """
        if KEY in app.extensions:
            raise MisuseError(
                f"the application {app.name!r} already has an Authz: create only one, and get it "
                'with app.extensions["jwt_authz"]'
            )
        if EXTENSION not in app.extensions:
            JWTManager(app)
        use_default_leeway(app)
        state = AppState(
            app,
            self.roles_given,
            self.accounts,
            self.default,
            self._failing,
            self._abort,
            self._rules,
        )
        state.take_identities_from(self._source)
        state.trust_in(self._trust)
        self._installed.add(state)
        app.extensions["jwt_authz"] = self
        app.extensions[KEY] = state
        app.extensions[OWN_TOKENS] = ApplicationTokens(state)
        make_slots_lazy(app)
        blocklist.install()
        app.context_processor(for_templates)
        handlers = app.error_handler_spec[None][None]
        handlers.setdefault(StoreUnavailable, answer_unavailable)
        handlers.setdefault(InvalidToken, answer_invalid)
        handlers.setdefault(TokenDoesNotFit, answer_token_does_not_fit)
        handlers.setdefault(Refusal, answer_refusal)
        handlers.setdefault(CompleteAnswer, answer_complete)
        request_started.connect(FirstRequest(), app, weak=False)
        if self.default == "deny":
            app.before_request(deny_unguarded)

    def identity_loader(self, loader: Loader) -> Loader:
        """Set the function that makes the identity from `(subject, claims)` on each request.

        `subject` is `get_jwt_identity()` and `claims` a copy of the payload. A function without
        parameters gets the identity elsewhere, for example from a session, and no token is read.
        The function returns an `Identity` or an object of your own, or None for no caller.

        >>> @authz.identity_loader
        ... def load_identity(subject, claims):
        ...     return authz.read_identity(subject, claims)
        """
        self._source = IdentitySource(loader)
        for state in self._installed:
            state.take_identities_from(self._source)
        return loader

    def trust(self, *issuers: Issuer) -> None:
        """Also accept access tokens of these issuers, each with its own keys and rules.

        A token with the `iss` of one of them is verified with that issuer's keys only, any other
        token with the application's own keys. Tokens of issuers are read from the header only.
        Raise `MisuseError` for an issuer that is already trusted, whose keys cannot be used, or
        that may grant a role that is not in the catalog.

        >>> authz.trust(
        ...     Issuer(
        ...         "https://idp.example",
        ...         "orders-api",
        ...         "RS256",
        ...         jwks_uri="https://idp.example/keys",
        ...         subject_prefix="idp:",
        ...     )
        ... )
        """
        in_code = self.roles_given if isinstance(self.roles_given, Roles) else None
        self._trust = (self._trust or Trust()).with_more(issuers, in_code)
        for state in self._installed:
            state.trust_in(self._trust)

    def rule(self, action: str | Permission, model: type, requirement: Any) -> Requirement:
        """Register the requirement of an action on a model, for `on=` and for `filter`.

        It also applies to subclasses of the model without a rule of their own. The rule replaces
        the check of the action's permission; inside the rule, the permission itself is checked.
        Return the requirement. Raise `MisuseError` if the action and model already have a rule, or
        if a condition does not fit the columns of a mapped class.

        >>> from jwt_authz.conditions import subject
        >>> class Order:
        ...     customer = "ann"
        >>> rule = authz.rule("orders:cancel", Order, attr("customer") == subject)
        >>> allowed("orders:cancel", on=Order(), identity=Identity("ann"))
        True
        """
        return add_rule(self._rules, action, model, requirement)

    def expression(self, model: type, name: str, sql: Callable[[Any], Any] | None = None) -> None:
        """Register the SQL of an attribute that is not a column, so that filters can compare it.

        `sql` is a function of the model, or of an alias of it, that returns an expression of
        SQLAlchemy. Without it, the class attribute of this name is used, such as that of a
        `hybrid_property`. A check of one object reads its attribute: make sure that both have
        the same value, also for NULL. Register it before the rules that use it. Raise
        `MisuseError` if the type of the expression is unknown, or if conditions cannot compare it.

        >>> authz.expression(OrderRow, "shouted", lambda order: order.customer + "!")
        >>> is_shouted = attr("shouted") == "ann!"
        >>> print(authz.filter(is_shouted, OrderRow, identity=Identity("ann")))
        ((order_row.customer || :customer_1) COLLATE BINARY) = :param_1
        """
        add_expression(self._rules, model, name, sql)

    def filter(self, requirement: Any, model: Any, *, identity: Any = NOT_GIVEN) -> Any:
        """Return a criterion for `select(model).where(...)`: the rows that `allowed` would allow.

        `requirement` is an action with a rule for the model, or a requirement that consists of
        `has_*` and conditions. `model` is a class mapped by SQLAlchemy, or an `aliased(...)` one.
        Without a caller it matches no rows. Raise `MisuseError` for a part that SQL cannot express
        and, without `identity`, outside a request; raise `AuthorizationUnavailable` if it cannot
        be evaluated.

        >>> from jwt_authz.conditions import subject
        >>> is_own = attr("customer") == subject
        >>> print(authz.filter(is_own, OrderRow, identity=Identity("ann")))
        order_row.customer = :param_1
        """
        return criterion(requirement, model, identity)

    def read_identity(self, subject: str, claims: Mapping[str, Any]) -> Identity:
        """Return the identity that is made of a token by default, for use in an identity loader.

        >>> authz.read_identity("ann", {"sub": "ann", "roles": ["clerk"]}).roles
        frozenset({'clerk'})
        """
        state = current_state()
        trusted = state.trust.find(claims.get("iss")) if state.trust is not None else None
        if trusted is not None:
            return trusted.issuer.read(subject, claims, state.catalog)
        return state.reader.read(subject, claims)

    def explain(
        self, *requirements: Any, on: Any = NO_RESOURCE, identity: Any = NOT_GIVEN
    ) -> Decision:
        """Return a complete `Decision`: why the caller meets the requirements for `on`, or why not.

        It includes parts that a request would not evaluate, and the claims that each part reads;
        the verdict is that of `allowed`. It refuses, counts and logs nothing.

        >>> print(authz.explain("orders:read", identity=Identity("ann")))
        no...
        """
        decision: Decision = _inspection("explain").explain(requirements, on, identity)
        return decision

    @property
    def roles(self) -> Roles | None:
        """Return the role catalog as of now, None if there is none.

        Pass it to identities that your identity loader makes. If roles change at run time, or a
        foreign issuer grants permissions of its own, this catalog also accepts permissions that
        no role grants, and refuses them as usual if the caller does not have them. Roles from a
        source are those of the current application; raise `StoreUnavailable` if they cannot be
        loaded.

        >>> "clerk" in authz.roles
        True
        """
        given = self.roles_given
        if given is None or (isinstance(given, Roles) and not self._is_current()):
            return given
        return current_state().catalog

    def _is_current(self) -> bool:
        """Return whether this is the Authz of the current application."""
        return has_app_context() and current_app.extensions.get("jwt_authz") is self

    def reload_roles(self) -> None:
        """Reload the role catalog from its source in all processes; call it after each change.

        This process reloads immediately, the others within `AUTHZ_REVOCATION_MAX_AGE`. Existing
        tokens then have the permissions that their roles have in the new catalog. Raise
        `StoreUnavailable` if the store or the source fails: call it again. Raise `MisuseError` if
        the roles are defined in code or `AUTHZ_STORE_URL` names no store.

        >>> class StoredRoles:
        ...     def load(self):
        ...         return Roles(Role("clerk", "orders:read"))
        >>> shop = Flask("shop")
        >>> shop.config.update(JWT_SECRET_KEY=64 * "s", AUTHZ_STORE_URL="memory:")
        >>> authz = Authz(shop, roles=StoredRoles())
        >>> with shop.app_context():
        ...     authz.reload_roles()
        """
        current_state().reload_roles()

    @property
    def counts(self) -> dict[str, int]:
        """The number of decisions of this process for the current application, by outcome.

        >>> authz.counts["allowed"]
        0
        """
        return current_state().audit.counts

    @property
    def keys(self) -> KeySet | None:
        """The current application's own key set, from `AUTHZ_KEYS_FILE`; None if it is not set.

        >>> authz.keys is None
        True
        """
        return current_state().keys

    def claims(
        self,
        *,
        roles: Iterable[str] = (),
        permissions: Iterable[str | Permission] | None = None,
        tenant: str | None = None,
        scope: str | Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Return the claims of a token with these roles, for FJE's `additional_claims`.

        `permissions` defaults to the permissions of the roles. Raise `MisuseError` for a role that
        is not in the catalog.

        >>> authz.claims(roles=["clerk"])
        {...'roles': ['clerk']...}
        """
        return claims_of(
            current_state(), roles=roles, permissions=permissions, tenant=tenant, scope=scope
        )

    def issue(
        self,
        subject: Any,
        *,
        roles: Iterable[str] = (),
        permissions: Iterable[str | Permission] | None = None,
        tenant: str | None = None,
        scope: str | Iterable[str] | None = None,
        fresh: bool | timedelta = False,
        expires: timedelta | None = None,
        issued_at: float | None = None,
    ) -> str:
        """Return an encoded access token for a subject in the format of RFC 9068.

        This needs an application context. `fresh` marks the token as coming from a log-in, for a
        limited time if it is a timedelta. `issued_at` is its `iat` in seconds since the epoch, by
        default now. Raise `MisuseError` for a role that is not in the catalog, and
        `TokenDoesNotFit` for a token longer than `AUTHZ_MAX_TOKEN_BYTES`.

        >>> token = authz.issue("ann", roles=["clerk"])
        >>> headers = {"Authorization": f"Bearer {token}"}
        >>> app.test_client().get("/orders", headers=headers).status
        '200 OK'
        """
        claims = self.claims(roles=roles, permissions=permissions, tenant=tenant, scope=scope)
        if issued_at is not None:
            claims["iat"] = issued_at
        return issue(current_state(), subject, claims, fresh=fresh, expires=expires)

    def now(self) -> float:
        """Return the time by the store's clock, as `since` of `log_in`, in seconds since the epoch.

        >>> since = authz.now()
        """
        return Logins(current_state(), current_state().accounts).now()

    def log_in(
        self, user: User, client: str | None = None, since: float | None = None
    ) -> Tokens | None:
        """Return tokens for a user who logged in with your own view; None if the user is removed.

        There is a refresh token if `AUTHZ_STORE_URL` names a store. `client` is the name of this
        log-in in the user's list of log-ins. `since` is the value of `now()` before the
        credentials were verified: if the user's tokens were revoked since then, the user must log
        in again. Raise `StoreUnavailable` in that case and if the store fails, and `MisuseError`
        if `user` is not a `User`.

        >>> tokens = authz.log_in(user, client="phone")
        >>> tokens.expires_in
        900
        """
        state = current_state()
        has_refresh = state.revocations is not None
        return Logins(state, state.accounts).start(
            user, has_refresh=has_refresh, since=since, client=client
        )

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token for new tokens; it cannot be used again (RFC 9700 4.14.2).

        The new tokens have the user's current roles. Raise `RefreshRefused`, a 401 in a view; for
        a token that was already used this is `TokenReused`, and all tokens of its log-in are
        revoked. Raise `StoreUnavailable` if the store does not answer: the call can be repeated.

        >>> tokens = authz.log_in(user)
        >>> authz.refresh(tokens.refresh_token).expires_in
        900
        """
        return Logins(current_state(), current_state().accounts).refresh(refresh_token)

    def families(self, subject: str) -> tuple[Family, ...]:
        """Return the log-ins of a subject that can still be refreshed, most recently used first.

        >>> tokens = authz.log_in(user, client="phone")
        >>> [family.client for family in authz.families("ann")]
        ['phone']
        """
        return families_of(current_state(), subject)

    def revoke(
        self,
        *,
        jti: str | None = None,
        subject: str | None = None,
        role: str | None = None,
        tenant: str | None = None,
        family: str | None = None,
        everything: bool = False,
        issuer: str | None = None,
        keeps_families: bool = False,
    ) -> None:
        """Revoke the tokens issued until now that match the one criterion given, in all processes.

        For a `subject`, a `tenant` or `everything` this includes refresh tokens; with
        `keeps_families` the refresh tokens of a subject whose roles have changed stay valid and
        return the new claims. `family` is the id of one log-in. `issuer` is the foreign issuer of
        a `jti` or a `subject`. Tokens issued later are valid: users can log in again immediately.
        Raise `MisuseError` unless exactly one criterion is given, for a role that is not in the
        catalog, or if `AUTHZ_STORE_URL` names no store. Raise `StoreUnavailable` if the store
        fails: call it again.

        >>> authz.revoke(subject="ann")
        """
        if role is not None and self.roles is not None and role not in self.roles:
            raise MisuseError(f"no role is named {role!r}: check the spelling")
        target = target_of(
            jti=jti,
            subject=subject,
            role=role,
            tenant=tenant,
            family=family,
            everything=everything,
            issuer=issuer,
        )
        revoke(current_state(), target, keeps_families=keeps_families)

    def distrust_store(self) -> None:
        """Revoke all tokens issued before now, including refresh tokens, in all processes.

        Call it after restoring an old copy of the store. Raise `StoreUnavailable`.

        >>> authz.distrust_store()
        """
        current_state().needed_revocations().distrust_store()

    def prepare_store(self) -> None:
        """Initialize the store of `AUTHZ_STORE_URL`: create its tables and mark it as complete.

        Call it once for a new store. Later calls change nothing, unless the store has lost its
        contents: then the call confirms that the loss is acceptable. With `AUTHZ_STORE_NAMESPACE`,
        the first call revokes all tokens issued before it, since the application may have revoked
        some of them without the namespace or in another one. Raise `StoreUnavailable`.

        >>> authz.prepare_store()
        """
        state = current_state()
        is_new = not state.settings.store_namespace
        state.needed_revocations().prepare_store(is_new=is_new)

    def check(self) -> list[str]:
        """Look for misuse in the current application; return the warnings.

        Raise `MisuseError` with all errors, one a line. Each line ends with a code, which
        `docs/checking.md` explains and `AUTHZ_SILENCE` silences. It runs once before the first
        request; you can also call it at the end of `create_app` or in a test. `flask authz check`
        reports more.

        >>> authz.check()
        []
        """
        warnings: list[str] = _inspection("check").check(current_state())
        return warnings

    def findings(self) -> list[Finding]:
        """Return what `check` finds in the current application, errors and warnings, as values.

        >>> @app.get("/refunds")
        ... @requires("refunds:read")
        ... def refunds():
        ...     return "refunds"
        >>> [(finding.code, finding.severity) for finding in authz.findings()]
        [('AZ101', 'error')]
        """
        found: list[Finding] = _inspection("check").find(current_state())
        return found


def _inspection(name: str) -> Any:
    """Return a module of `inspection`; it is imported late, since few requests need one."""
    return import_module(f"jwt_authz.inspection.{name}")
