"""Inspected: what the checks look at, read once for all of them."""

from __future__ import annotations

from functools import cached_property

from flask import Flask

from ..application import AppState
from ..authentication.identity_loader import IdentitySource
from ..conditions.rules import Rules
from ..errors import MisuseError, StoreUnavailable
from ..findings import Place
from ..policy.roles import Roles
from ..settings import Settings
from .matrix import Access, read_matrix


class Inspected:
    """The current application, as the checks see it.

    If `loads_roles`, a catalog that comes from a source is loaded; if that fails, `not_loaded`
    says why.
    """

    def __init__(self, app: Flask, state: AppState, *, loads_roles: bool) -> None:
        self.app = app
        self.state = state
        self.not_loaded = _load_roles(state) if loads_roles else None

    @cached_property
    def accesses(self) -> list[Access]:
        """Each route and method, with its guards."""
        return list(read_matrix(self.app))

    @property
    def rules(self) -> Rules:
        return self.state.rules

    @property
    def source(self) -> IdentitySource | None:
        """The identity loader."""
        return self.state.source

    @property
    def takes_token(self) -> bool:
        """Whether identities are made of tokens."""
        return self.source is None or self.source.takes_token

    @property
    def settings(self) -> Settings | None:
        """The settings; None if they are invalid, which is a finding of its own."""
        try:
            return self.state.settings
        except MisuseError:
            return None

    @property
    def silenced(self) -> frozenset[str]:
        """The codes that `AUTHZ_SILENCE` names."""
        settings = self.settings
        return frozenset() if settings is None else frozenset(settings.silence)

    @property
    def has_key_set(self) -> bool:
        """Whether a key set of its own is configured, even if it is unusable."""
        return bool(self.app.config.get("AUTHZ_KEYS_FILE"))

    @property
    def lasting_roles(self) -> Roles | None:
        """The catalog if it cannot change while the application runs.

        With a foreign issuer it knows all permissions, since the issuer may grant others.
        """
        return None if self.state.has_live_roles else self.state.catalog

    @property
    def roles_known(self) -> Roles | None:
        """The catalog if it was already loaded."""
        return self.state.roles_known


def place_of(access: Access) -> Place:
    """Return the place of a route and method."""
    return {"endpoint": access.endpoint, "method": access.method, "rule": access.rule}


def named(access: Access) -> str:
    """Return the name of a route and method for messages."""
    return f"{access.method} {access.rule} ({access.endpoint})"


def _load_roles(state: AppState) -> str | None:
    """Load the catalog; return why that failed, or None."""
    try:
        _ = state.catalog
    except (MisuseError, StoreUnavailable) as error:
        return str(error)
    return None
