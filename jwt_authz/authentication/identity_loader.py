"""The application's own identity loader, and identities that the application gives as objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from werkzeug.local import LocalProxy

from ..errors import MisuseError, SubjectUnknown
from ..issuers.trust import Trust
from ..policy.functions import is_async
from .verified import Authentication, Token


class IdentitySource:
    """The application's own identity loader, which takes `(subject, claims)` or nothing."""

    def __init__(self, loader: Callable[..., Any]) -> None:
        if is_async(loader) or inspect.isgeneratorfunction(loader):
            raise MisuseError(
                f"{getattr(loader, '__name__', 'the identity loader')} is async or a generator: "
                "an identity loader answers at once, so write a plain def"
            )
        try:
            inspect.signature(loader).bind("subject", {})
            self.takes_token = True
        except TypeError:
            self.takes_token = False
        if not self.takes_token and inspect.signature(loader).parameters:
            raise MisuseError(
                "an identity loader takes (subject, claims), or nothing where the identity "
                f"comes from elsewhere: write def {getattr(loader, '__name__', 'loader')}"
                "(subject, claims)"
            )
        self.load = loader

    def identify(self, token: Token, trust: Trust | None) -> Authentication:
        """Who a token names, by a loader that takes one; raises `SubjectUnknown` for nobody."""
        identity = loaded(self.load(token.identity.subject, token.identity.claims.copy()))
        if identity is None:
            raise SubjectUnknown("the identity loader returned nobody")
        if trust is not None:
            identity = trust.marked(identity, token.identity)
        return Authentication(identity, token)


def resolved(identity: Any) -> Any:
    """What a proxy stands for; None where it is nobody: None, or Flask-Login's anonymous user."""
    if isinstance(identity, LocalProxy):
        identity = identity._get_current_object()
    return None if getattr(identity, "is_authenticated", True) is False else identity


def given(identity: Any, trust: Trust | None) -> Any:
    """Return the identity that the application gave, its subject marked if it is foreign."""
    identity = resolved(identity)
    return identity if trust is None else trust.marked(identity)


def loaded(identity: Any) -> Any:
    """What an identity loader answered; None for all that is falsy ("" from a session, say).

    Raises `MisuseError` for what is not an identity but would make one: a coroutine, a function.
    """
    identity = resolved(identity)
    is_later = inspect.isawaitable(identity) or inspect.isgenerator(identity)
    if is_later or inspect.isroutine(identity):
        raise MisuseError(f"the identity loader answered a {type(identity).__name__}: call it")
    return identity or None
