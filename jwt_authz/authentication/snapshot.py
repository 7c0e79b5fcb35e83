"""Snapshot: all that decides about the tokens of one application, at one moment.

How it works. A snapshot never changes. `is_current` is the only place that checks whether anything
it was made from has changed. Then the application replaces the snapshot, and with it the cache of
verified tokens, so that nothing that was verified with other keys or settings is used.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager

from ..issuers.trust import Trust
from ..jwt_extended.bridge import EXTENSION, manager_of, read_callbacks, read_deciding
from ..policy.roles import Roles
from ..revocation import RevocationView
from ..settings import Settings
from ..tokens import KeySet
from ..tokens.cache import VerifiedCache
from ..tokens.encodings import IdentityReader
from .identity_loader import IdentitySource


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The settings, keys, catalog, issuers, revocations and cache that count together.

    `deciding` and `callbacks` are what `JWT_*` and the `JWTManager` said; `source` is the
    application's own identity loader.
    """

    app: Flask
    settings: Settings
    manager: JWTManager
    deciding: tuple[Any, ...]
    callbacks: tuple[Any, ...]
    reader: IdentityReader
    catalog: Roles | None
    keys: KeySet | None
    trust: Trust | None
    source: IdentitySource | None
    revocations: RevocationView | None
    cache: VerifiedCache

    @classmethod
    def take(
        cls,
        app: Flask,
        settings: Settings,
        reader: IdentityReader,
        keys: KeySet | None,
        trust: Trust | None,
        source: IdentitySource | None,
        revocations: RevocationView | None,
    ) -> Snapshot:
        """Return a snapshot of now, with an empty cache."""
        manager = manager_of(app)
        return cls(
            app=app,
            settings=settings,
            manager=manager,
            deciding=_copied(read_deciding(app.config)),
            callbacks=read_callbacks(manager),
            reader=reader,
            catalog=reader.catalog,
            keys=keys,
            trust=trust,
            source=source,
            revocations=revocations,
            cache=VerifiedCache(settings.cache_bytes),
        )

    def is_current(self, app: Flask, keys: KeySet | None, catalog: Roles | None) -> bool:
        """Return whether nothing has changed, given the key set and the catalog of now."""
        return (
            self.keys is keys
            and self.catalog is catalog
            and self.manager is app.extensions.get(EXTENSION)
            and self.callbacks == read_callbacks(self.manager)
            and self.deciding == read_deciding(app.config)
        )


def _copied(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values with lists and sets copied, so that a change in place is seen as one."""
    return tuple(copy.copy(v) if isinstance(v, list | set | dict) else v for v in values)
