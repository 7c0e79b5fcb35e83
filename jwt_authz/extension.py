"""Authz: the extension, which holds the parts, issues tokens and has the whole checked."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, Literal, TypeVar

from flask import Flask, current_app, has_app_context, request_started
from flask_jwt_extended import JWTManager

from .accounts import Accounts, User
from .application import KEY, Parts, current_parts
from .authentication.identity_loader import IdentitySource
from .conditions.rules import Rules
from .errors import InvalidToken, MisuseError, StoreUnavailable, TokenDoesNotFit
from .findings import Finding
from .guards import jwt_required as blocklist
from .guards.arguments import NOT_GIVEN
from .guards.filtering import add_rule, criterion
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
from .jwt_extended.bridge import EXTENSION, use_default_leeway
from .jwt_extended.manager import OWN_TOKENS
from .jwt_extended.slots import make_slots_lazy
from .logins.issuing import claims_of, issue
from .logins.log_in import Logins, Tokens
from .logins.own_tokens import PartsTokens
from .logins.revoking import families_of, revoke
from .policy.decision import Decision
from .policy.functions import NO_RESOURCE
from .policy.identity import Identity
from .policy.permissions import Permission
from .policy.requirements import Requirement
from .policy.role_sources import RolesSource
from .policy.roles import Roles
from .refusals import Failing
from .revocation import Family, target
from .tokens import KeySet

Loader = TypeVar("Loader", bound=Callable[..., Any])


class Authz:
    """The extension: `Authz(app, roles=Roles(...))`, or `Authz(...)` and `init_app(app)` later.

    `roles` is the catalogue of all roles, or a source that it is loaded from, and loaded anew from
    after each change (`jwt_authz.policy.role_sources`); `accounts` what the token endpoint asks at
    log-in; `default` is "allow" or "deny", what becomes of a view with neither guard nor `exempt`.
    `abort` gets the `Problem` of a refusal and returns a response or raises; `on_fail` and
    `throws` are those of guards that have none. Makes a `JWTManager` if the application has none.
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
                f"roles is a catalogue: write roles=Roles(Role(...)), or a source, not {roles!r}"
            )
        if default not in ("allow", "deny"):
            raise MisuseError(f"default is 'allow' or 'deny', not {default!r}")
        if abort is not None and not callable(abort):
            raise MisuseError(f"abort is a function of the problem, not {abort!r}")
        if accounts is not None and not isinstance(accounts, Accounts):
            raise MisuseError(
                f"accounts needs authenticate(username, password) and find(subject), which "
                f"{type(accounts).__name__} lacks"
            )
        self.roles_given = roles
        self.accounts = accounts
        self.default = default
        self._failing = Failing(on_fail, throws)
        self._abort = abort
        self._source: IdentitySource | None = None
        self._trust: Trust | None = None
        self._rules = Rules()
        self._installed: weakref.WeakSet[Parts] = weakref.WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Bind this Authz to an application; may be called for several."""
        if KEY in app.extensions:
            raise MisuseError(
                f"the application {app.name!r} has an Authz already: make one, and reach it "
                'everywhere by app.extensions["jwt_authz"]'
            )
        if EXTENSION not in app.extensions:
            JWTManager(app)
        use_default_leeway(app)
        parts = Parts(
            app,
            self.roles_given,
            self.accounts,
            self.default,
            self._failing,
            self._abort,
            self._rules,
        )
        parts.take_identities_from(self._source)
        parts.trust_in(self._trust)
        self._installed.add(parts)
        app.extensions["jwt_authz"] = self
        app.extensions[KEY] = parts
        app.extensions[OWN_TOKENS] = PartsTokens(parts)
        make_slots_lazy(app)
        blocklist.install()
        app.context_processor(for_templates)
        handlers = app.error_handler_spec[None][None]
        handlers.setdefault(StoreUnavailable, answer_unavailable)
        handlers.setdefault(InvalidToken, answer_invalid)
        handlers.setdefault(TokenDoesNotFit, answer_token_does_not_fit)
        request_started.connect(FirstRequest(), app, weak=False)
        if self.default == "deny":
            app.before_request(deny_unguarded)

    def identity_loader(self, loader: Loader) -> Loader:
        """Set what makes the identity: a function of `(subject, claims)`, called on each request.

        `subject` is `get_jwt_identity()`, `claims` a copy of the whole payload. A function
        without parameters takes the identity from elsewhere (a session, say), and no token is
        looked at. It returns an `Identity` or an object of the application's own; None is nobody.
        """
        self._source = IdentitySource(loader)
        for parts in self._installed:
            parts.take_identities_from(self._source)
        return loader

    def trust(self, *issuers: Issuer) -> None:
        """Accept the access tokens of these issuers, too, each by its own keys and rules.

        A token is the issuer's whose `iss` it has, and then that one's keys alone count; any
        other token is verified by the application's own keys, as before. They come in the
        header. Raises `MisuseError` for an issuer that is trusted already, whose keys cannot be
        used, or that may grant a role that the catalogue lacks.
        """
        in_code = self.roles_given if isinstance(self.roles_given, Roles) else None
        self._trust = (self._trust or Trust()).with_more(issuers, in_code)
        for parts in self._installed:
            parts.trust_in(self._trust)

    def rule(self, action: str | Permission, model: type, requirement: Any) -> Requirement:
        """Register what an action asks for on a model, once for `on=` one of it and for `filter`.

        It holds for classes below the model, too, that have no rule of their own. The rule is the
        whole answer; inside it the action's own permission is asked for as it stands. Returns the
        requirement. Raises `MisuseError` for an action and model that have one, and for a
        condition that does not fit the columns of a mapped class.
        """
        return add_rule(self._rules, action, model, requirement)

    def filter(self, requirement: Any, model: Any, *, identity: Any = NOT_GIVEN) -> Any:
        """A criterion for `select(model).where(...)`: the rows for which `allowed` would say yes.

        `requirement` is an action that has a rule for the model, or any requirement made of
        `has_*` and conditions; `model` a class that SQLAlchemy maps, or `aliased(...)` of one.
        It lets no row through where nobody is identified. Raises `MisuseError` for a part that
        only calling it answers, and outside a request unless `identity` is given;
        `AuthorizationUnavailable` where it cannot be known.
        """
        return criterion(requirement, model, identity)

    def read_identity(self, subject: str, claims: Mapping[str, Any]) -> Identity:
        """What is made of a token where no identity loader is set: for a loader to build upon."""
        parts = current_parts()
        trusted = parts.trust.find(claims.get("iss")) if parts.trust is not None else None
        if trusted is not None:
            return trusted.issuer.read(subject, claims, parts.catalogue)
        return parts.reader.read(subject, claims)

    def explain(
        self, *requirements: Any, on: Any = NO_RESOURCE, identity: Any = NOT_GIVEN
    ) -> Decision:
        """Why the caller meets the requirements for `on`, or does not: a `Decision` of all parts.

        It tells of parts that a request would not come to, too, and which claims each looks at;
        its verdict is that of `allowed`. Nobody is refused, and nothing is counted or logged.
        """
        decision: Decision = _inspection("explain").explain(requirements, on, identity)
        return decision

    @property
    def roles(self) -> Roles | None:
        """Return the role catalog as of now, None if there is none.

        It is the one to give to identities that an identity loader makes: where roles change at
        run time, or a foreign issuer grants permissions of its own, a permission that no role
        grants is known to it, and is refused like any other that the caller lacks. Roles from a
        source are those of the current application; raises `StoreUnavailable` if they cannot be
        loaded.
        """
        given = self.roles_given
        if given is None or (isinstance(given, Roles) and not self._is_current()):
            return given
        return current_parts().catalogue

    def _is_current(self) -> bool:
        """Whether this is the Authz of the current application."""
        return has_app_context() and current_app.extensions.get("jwt_authz") is self

    def reload_roles(self) -> None:
        """Have all processes load the catalogue anew from its source: say it after each change.

        They do within `AUTHZ_REVOCATION_MAX_AGE`, this one at once, and tokens that are in use have
        the permissions that their roles have then. Raises `StoreUnavailable` where the store does
        not take it, or the catalogue cannot be loaded, and then it must be said again;
        `MisuseError` where the roles are in code, or `AUTHZ_STORE_URL` names no store.
        """
        current_parts().reload_roles()

    @property
    def counts(self) -> dict[str, int]:
        """How many decisions the current application's process took, by outcome."""
        return current_parts().audit.counts

    @property
    def keys(self) -> KeySet | None:
        """The current application's own key set (`AUTHZ_KEYS_FILE`), None where it has none."""
        return current_parts().keys

    def claims(
        self,
        *,
        roles: Iterable[str] = (),
        permissions: Iterable[str | Permission] | None = None,
        tenant: str | None = None,
        scope: str | Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """The claims that a token of these roles carries, for FJE's `additional_claims`.

        Without `permissions` they are those of the roles. Raises `MisuseError` for a role that
        the catalogue lacks.
        """
        return claims_of(
            current_parts(), roles=roles, permissions=permissions, tenant=tenant, scope=scope
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
        """An encoded access token for the subject, of RFC 9068's shape; needs an app context.

        `fresh` marks a token that comes from a log-in, for a time if it is a timedelta; `issued_at`
        is its `iat`, seconds since the epoch, by default now. Raises
        `MisuseError` for a role that the catalogue lacks, and for a token that would be longer
        than `AUTHZ_MAX_TOKEN_BYTES`.
        """
        claims = self.claims(roles=roles, permissions=permissions, tenant=tenant, scope=scope)
        if issued_at is not None:
            claims["iat"] = issued_at
        return issue(current_parts(), subject, claims, fresh=fresh, expires=expires)

    def now(self) -> float:
        """The time that a log-in begins at: the store's clock, in seconds since the epoch."""
        return Logins(current_parts(), current_parts().accounts).now()

    def log_in(
        self, user: User, client: str | None = None, since: float | None = None
    ) -> Tokens | None:
        """Tokens for a user who has just logged in by a view of your own; None if they are gone.

        The refresh token is there where `AUTHZ_STORE_URL` names a store; `client` is what the
        user's list of log-ins calls this one. `since` is what `now()` gave before the proof was
        looked at: whose tokens were revoked since then has to prove it anew. Raises
        `StoreUnavailable`, and `MisuseError` for what is no `User`.
        """
        parts = current_parts()
        has_refresh = parts.revocations is not None
        return Logins(parts, parts.accounts).start(
            user, has_refresh=has_refresh, since=since, client=client
        )

    def refresh(self, refresh_token: str) -> Tokens:
        """The tokens that follow a refresh token, which is then used up (RFC 9700 section 4.14.2).

        The roles are those that the user has now. Raises `RefreshRefused`, a 401 in a view; for one
        that was used before it is `TokenReused`, and then all tokens of that log-in are ended.
        Raises `StoreUnavailable` where the store does not answer: then it may be repeated.
        """
        return Logins(current_parts(), current_parts().accounts).refresh(refresh_token)

    def families(self, subject: str) -> tuple[Family, ...]:
        """The log-ins of a subject that can still be refreshed, the one used last first."""
        return families_of(current_parts(), subject)

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
        """End the tokens issued until now that carry the one thing given, in all processes.

        Of a `subject`, a `tenant` or `everything` the refresh tokens end as well; of a subject
        whose roles have changed they go on with `keeps_families`, and bring the new claims.
        `family` is the id of one log-in. `issuer` names the foreign issuer of a `jti` or a
        `subject`. Tokens issued from now on are good: a log-in right after works. Raises
        `MisuseError` unless exactly one thing is given, for a role that the catalogue lacks, or
        where `AUTHZ_STORE_URL` names no store; `StoreUnavailable` where the store does not take
        it, and then it must be said again.
        """
        if role is not None and self.roles is not None and role not in self.roles:
            raise MisuseError(f"no role is named {role!r}: check the spelling")
        what = target(
            jti=jti,
            subject=subject,
            role=role,
            tenant=tenant,
            family=family,
            everything=everything,
            issuer=issuer,
        )
        revoke(current_parts(), what, keeps_families=keeps_families)

    def distrust_store(self) -> None:
        """Revoke all tokens issued before now, and end all refresh families, in all processes.

        For an operator who has put back an old copy of the store. Raises `StoreUnavailable`.
        """
        current_parts().needed_revocations().distrust_store()

    def prepare_store(self) -> None:
        """Say that the store of `AUTHZ_STORE_URL` is new: make its tables, and its mark.

        Once for a new store; later it changes nothing, unless the store has lost its contents, and
        then says that this does not matter. With `AUTHZ_STORE_NAMESPACE` all tokens issued before
        the first call are revoked: the application may have revoked some of them without the
        namespace, or under another one. Raises `StoreUnavailable`.
        """
        parts = current_parts()
        is_new = not parts.settings.store_namespace
        parts.needed_revocations().prepare_store(is_new=is_new)

    def check(self) -> list[str]:
        """Look for misuse in the current application; return the warnings.

        Raises `MisuseError` with all errors, one a line. Each line ends in the code under which
        `docs/checking.md` explains it, and which `AUTHZ_SILENCE` silences. Runs once before the
        first request, and wherever you call it: at the end of `create_app`, or in a test. `flask
        authz check` reports more.
        """
        warnings: list[str] = _inspection("check").check(current_parts())
        return warnings

    def findings(self) -> list[Finding]:
        """Return what `check` finds in the current application, errors and warnings, as values."""
        found: list[Finding] = _inspection("check").find(current_parts())
        return found


def _inspection(name: str) -> Any:
    """Return a module of `inspection`, which serving requests needs no more than once."""
    return import_module(f"jwt_authz.inspection.{name}")
