"""The store of the current application: its view of revocations, and who else uses the store."""

from __future__ import annotations

from collections.abc import Callable

from ..jwt_extended.own_claims import own_claims
from ..jwt_extended.own_keys import own_key_id
from ..jwt_extended.times import longest_token
from ..revocation import RevocationView, open_store
from ..revocation.sharing import Application, Sharing
from ..settings import Settings
from ..tokens import KeySet


def open_view(
    settings: Settings, read_keys: Callable[[], KeySet | None]
) -> tuple[RevocationView, Sharing]:
    """Open the store of `AUTHZ_STORE_URL`, which must be set; nothing is connected to yet.

    `read_keys` returns the application's key set as of now.
    """
    url = settings.store_url or ""
    store = open_store(url, settings.store_namespace, settings.store_timeout)
    view = RevocationView(store, longest=longest_token(), max_age=settings.revocation_max_age)
    sharing = Sharing(store, _description(settings, read_keys))
    view.call_after_look(lambda _: sharing.renew_now_and_then())
    return view, sharing


def _description(
    settings: Settings, read_keys: Callable[[], KeySet | None]
) -> Callable[[], Application]:
    """Return what describes this application to others that share the store, in any thread."""
    issuer, configured = own_claims(settings)["iss"], own_key_id()
    fixed = frozenset() if configured is None else frozenset({configured})

    def describe() -> Application:
        keys = read_keys()
        return Application(issuer, fixed if keys is None else fixed | set(keys.kids))

    return describe
