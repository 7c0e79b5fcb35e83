"""The claims and times of the application's own tokens, set when they are issued."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from ..application import AppState
from ..errors import TokenDoesNotFit
from ..jwt_extended.times import encodes_nbf
from ..settings import Settings
from ..tokens import KeySet
from ..tokens.claim_names import CATALOG
from ..tokens.encodings import Encoding, granted_claims
from ..tokens.sizes import Written, claims_of_token, written_as


class ApplicationTokens:
    """The `OwnTokens` of an application: what an Authz adds to the tokens that it issues."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    @property
    def settings(self) -> Settings:
        """The application's `AUTHZ_*` settings."""
        return self._state.settings

    @property
    def keys(self) -> KeySet | None:
        """The application's own key set as of now, None if it has none."""
        return self._state.keys

    def keys_knowing(self, kid: str) -> KeySet | None:
        """Return the key set as of now, read again if no key has this `kid`."""
        return self._state.keys_knowing(kid)

    def is_of_trusted_issuer(self, payload: dict[str, Any]) -> bool:
        """Return whether the `iss` of a payload is a foreign issuer that is trusted."""
        trust = self._state.trust
        return trust is not None and trust.find(payload.get("iss")) is not None

    def complete(
        self, subject: Any, claims: dict[str, Any]
    ) -> tuple[dict[str, Any], Callable[[str], dict[str, Any] | None]]:
        """Return the claims that a token lacks, and a function of the finished token.

        The claims are the permissions of its roles, with the fingerprint of the catalog. If tokens
        can be revoked, they include an `iat` with fractions of a second, after every earlier
        revocation of the subject. The function returns None for a token that fits
        `AUTHZ_MAX_TOKEN_BYTES`; with `auto` it returns the claims of a shorter one. It raises
        `TokenDoesNotFit` if none fits.
        """
        state = self._state
        settings, view = state.settings, state.revocations
        names, limit, catalog = settings.claim_names, settings.max_token_bytes, state.catalog
        more: dict[str, Any] = {}
        roles = claims.get(names.roles)
        lacks = names.permissions not in claims and catalog is not None
        if lacks and isinstance(roles, list | tuple):
            more = granted_claims(settings.encoding, catalog, map(str, roles), names)
        if _are_its_own(state, claims):
            more[CATALOG] = ""  # so that another catalog does not change them
        if view is not None and "iat" not in claims:
            named = roles if isinstance(roles, list | tuple) else ()
            carried = catalog.with_included(named) if catalog is not None else named
            tenant = claims.get(names.tenant)
            more["iat"] = view.next_iat(subject, tenant=tenant, roles={*named, *carried})

        def shortened(token: str) -> dict[str, Any] | None:
            if len(token) <= limit:
                return None
            written = list(written_as(*claims_of_token(token), catalog, names))
            for one in written if settings.encoding == "auto" else ():
                if one.size <= limit:
                    kept = {**claims, **more}
                    for name in (names.permissions, CATALOG):
                        kept.pop(name, None)
                    return {**kept, **one.claims}
            raise TokenDoesNotFit(_too_long(len(token), written, limit))

        return more, shortened

    def times(
        self, subject: Any, claims: dict[str, Any], fresh: Any, expires: timedelta | None
    ) -> dict[str, Any]:
        """Return the `iat`, `nbf`, `exp` and `fresh` of a token by the store's clock.

        Without a store, return none of them: Flask-JWT-Extended then uses this machine's clock.
        Times in the claims take precedence.
        """
        state, view = self._state, self._state.revocations
        if view is None:
            return {}
        now = view.now()
        times: dict[str, Any] = {"nbf": int(now)} if encodes_nbf() else {}
        if "iat" not in claims:
            times["iat"] = view.next_iat(subject, tenant=claims.get(state.settings.tenant_claim))
        if expires:
            times["exp"] = int(now + expires.total_seconds())
        if isinstance(fresh, timedelta):
            times["fresh"] = now + fresh.total_seconds()
        return times


def _are_its_own(state: AppState, claims: dict[str, Any]) -> bool:
    """Return whether claims with the catalog's fingerprint differ from what their roles grant."""
    names, catalog = state.settings.claim_names, state.catalog
    held, roles = claims.get(names.permissions), claims.get(names.roles)
    if catalog is None or held is None or claims.get(CATALOG) != catalog.fingerprint:
        return False
    granted = catalog.permissions_of(map(str, roles)) if isinstance(roles, list | tuple) else ()
    return bool(held != sorted(granted))


def _too_long(length: int, written: Iterable[Written], limit: int) -> str:
    said = f"the token has {length} bytes and AUTHZ_MAX_TOKEN_BYTES is {limit}: "
    sizes = {one.encoding: one.size for one in written}
    fitting = [
        f"AUTHZ_ENCODING={encoding!r} would fit with {size} bytes"
        for encoding, size in sizes.items()
        if size <= limit
    ]
    advice = "give the subject fewer roles, or raise this limit and your server's"
    return said + (", ".join(fitting) or f"it would have {sizes_in_words(sizes)}, so {advice}")


def sizes_in_words(sizes: Mapping[Encoding, int]) -> str:
    """Return the sizes for a message: `5657 bytes as 'full', 408 bytes as 'roles'`."""
    return ", ".join(f"{size} bytes as {encoding!r}" for encoding, size in sizes.items())
