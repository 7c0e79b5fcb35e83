"""Checks of trusted issuers: tokens and subjects that could be mistaken for those of others."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import MisuseError
from ...findings import Found
from ...issuers.issuer import Issuer
from ...jwt_extended.bridge import has_user_lookup, manager_of
from ...jwt_extended.own_claims import own_claims
from ...jwt_extended.own_keys import has_own_key
from ..inspected import Inspected
from ..subjects import places_of_subject

_PREFIX = (
    "write Issuer(..., subject_prefix='...'), or subject_prefix='' if its subjects are this "
    "application's own users"
)


def own_tokens_of_an_issuer(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if the application's own tokens have the `iss` of a trusted issuer."""
    trust = seen.state.trust
    if trust is None or seen.settings is None or not _makes_tokens(seen):
        return
    own = own_claims(seen.settings)["iss"]
    if trust.find(own) is not None:
        yield Found(
            f"the application's own tokens have the iss {own!r}, which is that of a trusted "
            "issuer: set AUTHZ_ISSUER to another one",
            {"issuer": own},
        )


def shared_secrets(seen: Inspected) -> Iterator[Found]:
    """Yield the issuers with a shared secret: anyone who verifies their tokens can make some."""
    for issuer in _issuers(seen):
        if issuer.unsafe_shared_secret:
            yield _found(
                issuer,
                f"anyone who verifies tokens of {issuer.issuer!r} can make them, too: it shares "
                "its secret",
            )


def compared_subjects(seen: Inspected) -> Iterator[Found]:
    """Yield the issuers whose callers never meet a requirement on the subject."""
    places = places_of_subject(seen.accesses, seen.rules) if seen.state.trust is not None else []
    for issuer in _issuers_without_prefix(seen) if places else ():
        yield _found(
            issuer,
            f"the subject is compared in {', '.join(places)}, and never met by callers of "
            f"{issuer.issuer!r}: {_PREFIX}",
        )


def looked_up_subjects(seen: Inspected) -> Iterator[Found]:
    """Yield the issuers whose subjects could be those of other users here."""
    has_loader = seen.source is not None and seen.takes_token
    if not has_loader and not has_user_lookup(manager_of(seen.app)):
        return
    for issuer in _issuers_without_prefix(seen):
        yield _found(
            issuer,
            f"users are looked up by the subjects of {issuer.issuer!r}, which may be those of "
            f"other users here: {_PREFIX}",
        )


def plain_http(seen: Inspected) -> Iterator[Found]:
    """Yield the issuers whose keys could be replaced on the network."""
    for issuer in _issuers(seen):
        if issuer.unsafe_plain_http:
            yield _found(
                issuer,
                f"the keys of {issuer.issuer!r} are fetched over plain http: anyone who can change "
                "the responses can sign its tokens",
            )


def _issuers(seen: Inspected) -> tuple[Issuer, ...]:
    return () if seen.state.trust is None else seen.state.trust.issuers


def _issuers_without_prefix(seen: Inspected) -> Iterator[Issuer]:
    """Yield the issuers whose subjects do not become subjects of this application."""
    return (issuer for issuer in _issuers(seen) if issuer.subject_prefix is None)


def _makes_tokens(seen: Inspected) -> bool:
    """Return whether the application has a key for tokens of its own."""
    try:
        return seen.has_key_set or has_own_key()
    except MisuseError:  # a key that is unusable, which is a finding of its own
        return False


def _found(issuer: Issuer, message: str) -> Found:
    return Found(message, {"issuer": issuer.issuer})
