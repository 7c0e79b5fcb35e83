"""The state of one application with an Authz: settings, keys, role catalog, store and caches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import time
from typing import Any, Literal, TypeVar

from flask import Flask, Request, current_app, has_app_context, has_request_context

from ._concurrency.deadlines import of_accounts
from ._context import get_app, get_request
from .accounts import Accounts
from .audit import Audit
from .authentication.authenticator import Authenticator
from .authentication.identity_loader import IdentitySource
from .authentication.shared_store import open_view
from .authentication.snapshot import Snapshot
from .authentication.verification import Verification
from .authentication.verified import Authentication
from .conditions.rules import Rules
from .errors import KeyUnknown, MisuseError
from .issuers.trust import Trust
from .jwt_extended.challenge import challenge_scheme, ways_to_send
from .jwt_extended.own_claims import own_claims
from .jwt_extended.slots import filled_slots
from .policy.problem import Problem, token_missing
from .policy.role_sources import RolesSource
from .policy.roles import Roles
from .refusals import Failing, Refusing
from .revocation import RevocationView
from .revocation.live_roles import LiveCatalog
from .revocation.sharing import Sharing
from .settings import Settings
from .tokens import KeySet
from .tokens.encodings import IdentityReader
from .tokens.key_set import KeyFile

Found = TypeVar("Found")

KEY = "jwt_authz.state"
"""The key of an application's `AppState` in `app.extensions`."""


class AppState:
    """What an Authz keeps for one application; get it with `current_state()`."""

    def __init__(
        self,
        app: Flask,
        roles: Roles | RolesSource | None,
        accounts: Accounts | None,
        default: Literal["allow", "deny"],
        failing: Failing,
        abort: Any,
        rules: Rules,
    ) -> None:
        self.rules = rules
        self.roles_given = roles
        self.accounts = accounts
        self.denies_unguarded = default == "deny"
        self._roles = roles if isinstance(roles, Roles) else None
        self._opened = self._roles  # with any permission that issuers may grant
        self._roles_source = None if isinstance(roles, Roles) else roles
        self._live: LiveCatalog | None = None
        self.source: IdentitySource | None = None
        self.audit = Audit()
        self.uses_flask_dispatch = _uses_flask_dispatch(app)
        self.exempt_endpoints: set[str] = set()
        self.exemptions: dict[tuple[str, str], bool] = {}  # cached by guards
        self.guarded: dict[tuple[str, str], Any] = {}  # views on which a guard was seen
        self._failing = failing
        self._abort = abort
        self._settings: Settings | None = None
        self._refusing: Refusing | None = None
        self._reader: IdentityReader | None = None
        self._authenticator: Authenticator | None = None
        self._counts_before = (0, 0)  # of former caches
        self._key_file: KeyFile | None = None
        self.trust: Trust | None = None
        self._revocations: RevocationView | None = None
        self._sharing: Sharing
        self.deadline = of_accounts(lambda: self.settings.accounts_timeout, filled_slots)
        self._lock = threading.Lock()

    @property
    def settings(self) -> Settings:
        """The application's `AUTHZ_*` settings, read once, when they are first needed."""
        if self._settings is None:
            self._settings = Settings.read(current_app.config)
        return self._settings

    @property
    def refusing(self) -> Refusing:
        """How the application refuses."""
        if self._refusing is None:
            realm, scheme = self.settings.realm, lambda: challenge_scheme(self._takes_token)
            self._refusing = Refusing(self._failing, self._abort, realm, scheme)
        return self._refusing

    @property
    def _takes_token(self) -> bool:
        return self.source is None or self.source.takes_token

    def missing_token(self) -> Problem:
        """Return the 401 of a request without a token, which says where to put one."""
        return token_missing(ways_to_send() if self._takes_token else "")

    @property
    def catalog(self) -> Roles | None:
        """The current catalog, which knows every permission if issuers may grant their own.

        If it comes from a source, it may change between calls; raise `StoreUnavailable` if it
        cannot be loaded.
        """
        return self._opened if self._roles_source is None else self._live_catalog.current().opened

    @property
    def roles(self) -> Roles | None:
        """The current catalog, which knows only the permissions that its roles grant."""
        return self._roles if self._roles_source is None else self._live_catalog.current().roles

    @property
    def roles_known(self) -> Roles | None:
        """The catalog as last loaded, without a call to its source; None if not loaded yet."""
        loaded = self._live.loaded if self._live is not None else None
        return self._roles if loaded is None else loaded.roles

    @property
    def has_live_roles(self) -> bool:
        """Whether the roles come from a source, and so may change between requests."""
        return self._roles_source is not None

    def reload_roles(self) -> None:
        """Reload the catalog in all processes; see `Authz.reload_roles`."""
        live = self._live_catalog
        self.needed_revocations().announce_catalogue()
        live.reload()

    @property
    def _live_catalog(self) -> LiveCatalog:
        if self._live is not None:
            return self._live
        if self._roles_source is None:
            raise MisuseError(
                "The roles are defined in code: to change them at run time, pass a source to "
                "Authz(roles=...), such as RolesFile(path) or SQLAlchemyRoles(sessions, Role)."
            )
        view = self.needed_revocations()
        with self._lock:
            if self._live is None:
                ages = self.settings.revocation_max_age, self.settings.accounts_timeout
                self._live = LiveCatalog(self._roles_source, view, *ages, filled_slots)
        return self._live

    @property
    def reader(self) -> IdentityReader:
        """The reader of the application's own tokens, shared so that it logs each warning once."""
        settings, catalog = self.settings, self.catalog
        made = self._reader
        if made is None or made.catalog is not catalog:
            made = IdentityReader(settings.encoding, catalog, settings.claim_names)
            self._reader = made
        return made

    @property
    def revocations(self) -> RevocationView | None:
        """This process's view of the revocations; None without `AUTHZ_STORE_URL`."""
        if self._revocations is None and self.settings.store_url is not None:
            with self._lock:
                if self._revocations is None:
                    view, self._sharing = open_view(self.settings, lambda: self.keys)
                    self._revocations = view
        return self._revocations

    def sharing_warnings(self) -> list[str]:
        """Return a warning for each other application on the store with the same namespace."""
        return [] if self.revocations is None else self._sharing.warnings()

    @property
    def application_id(self) -> str:
        """The namespace or issuer, which distinguishes applications that share a store."""
        return self.settings.store_namespace or own_claims(self.settings)["iss"]

    def needed_revocations(self) -> RevocationView:
        """Return `revocations`; raise `MisuseError` without a store."""
        view = self.revocations
        if view is None:
            raise MisuseError(
                "There is no store for revocations and token families: set AUTHZ_STORE_URL to "
                "redis://..., a SQLAlchemy URL, or memory: for a single process."
            )
        return view

    def take_identities_from(self, source: IdentitySource | None) -> None:
        """Use another identity loader from now on, and forget the verified tokens."""
        with self._lock:
            self.source = source
            self._drop_authenticator()

    def trust_in(self, trust: Trust | None) -> None:
        """Accept the tokens of these issuers from now on, and forget the verified tokens."""
        with self._lock:
            self.trust = trust
            self._drop_authenticator()
            if trust is not None and self._roles is not None:
                self._opened = self._roles.open_ended()

    @property
    def keys(self) -> KeySet | None:
        """The application's current key set; None if it has none."""
        if self._key_file is None and self.settings.keys_file is not None:
            self._key_file = KeyFile(self.settings.keys_file)
        return self._key_file.current(time()) if self._key_file is not None else None

    def keys_knowing(self, kid: str) -> KeySet | None:
        """Return the current key set; read its file immediately if no key has this `kid`."""
        keys = self.keys
        if keys is None or self._key_file is None or kid in keys.verifying:
            return keys
        return self._key_file.current(time(), look=True)

    def authenticate(self, app: Flask, answered: Request | None = None) -> Authentication:
        """Return who sent the current request, or the error of their token.

        If no key has the token's `kid`, check the key file immediately. `answered` is the current
        request if the caller of this function will set `Vary` on the response.
        """
        authenticator = self.authenticator(app)
        request = get_request() if answered is None else answered
        found = authenticator.authenticate(request, answered is not None)
        if found.error is not None and isinstance(found.error, KeyUnknown):
            newer = self.authenticator(app, look=True)
            if newer is not authenticator:
                return newer.authenticate(request)
        return found

    def read_token(self, read: Callable[[Verification], Found]) -> Found:
        """Return what `read` reads from a token that does not authenticate the request.

        If no key has its `kid`, check the key file immediately. Raise what `read` raises.
        """
        app = get_app()
        authenticator = self.authenticator(app)
        try:
            return read(authenticator.verification)
        except KeyUnknown:
            newer = self.authenticator(app, look=True)
            if newer is authenticator:
                raise
        return read(newer.verification)

    def authenticator(self, app: Flask, look: bool = False) -> Authenticator:
        """Return the current authenticator: a new one if its snapshot is outdated.

        With `look`, check the key file even if that was done recently. Raise `StoreUnavailable` if
        roles change at run time and cannot be loaded.
        """
        file = self._key_file
        keys = file.current(time(), look) if file is not None else None
        catalog = self._opened if self._roles_source is None else self.catalog
        made = self._authenticator
        if made is None or not made.snapshot.is_current(app, keys, catalog):
            return self._renew_authenticator(app)
        return made

    def _renew_authenticator(self, app: Flask) -> Authenticator:
        keys, revocations, reader = self.keys, self.revocations, self.reader
        with self._lock:
            made = self._authenticator
            if made is None or not made.snapshot.is_current(app, keys, reader.catalog):
                snapshot = Snapshot.take(
                    app, self.settings, reader, keys, self.trust, self.source, revocations
                )
                made = Authenticator(snapshot)
                self._drop_authenticator()
                self._authenticator = made
        return made

    def _drop_authenticator(self) -> None:
        if self._authenticator is not None:
            hits, misses = self._authenticator.snapshot.cache.counts
            self._counts_before = self._counts_before[0] + hits, self._counts_before[1] + misses
        self._authenticator = None

    @property
    def cache_counts(self) -> tuple[int, int]:
        """The numbers of hits and misses of the verified-token cache."""
        with self._lock:
            made, before = self._authenticator, self._counts_before
            hits, misses = (0, 0) if made is None else made.snapshot.cache.counts
            return before[0] + hits, before[1] + misses

    @property
    def revocation_age(self) -> float | None:
        """The age of the view of the revocations in seconds; None if it was not used yet."""
        return None if self._revocations is None else self._revocations.age()


def _uses_flask_dispatch(app: Flask) -> bool:
    """Return whether the application calls views, and makes their responses, as Flask does.

    A method that it overrides may expect the value that the view returned, not a response.
    """
    names = ("full_dispatch_request", "dispatch_request", "finalize_request", "make_response")
    own = (getattr(getattr(app, name), "__func__", None) for name in names)
    return all(method is getattr(Flask, name) for method, name in zip(own, names, strict=True))


def current_state() -> AppState:
    """Return the state of the current application; raise `MisuseError` if it has no Authz."""
    if not has_app_context():
        raise MisuseError("There is no application context: write with app.app_context(): ...")
    try:
        return current_app.extensions[KEY]  # type: ignore[no-any-return]
    except KeyError:
        raise MisuseError(
            f"the application {current_app.name!r} has no Authz: write Authz(app, roles=...)"
        ) from None


def require_request() -> None:
    """Raise `MisuseError` outside a request, where there is no caller."""
    if not has_request_context():
        raise MisuseError("There is no caller outside a request: pass one as identity=...")
