"""Every exception that jwt_authz raises: misuse, an unreachable store, and the invalid token."""

from __future__ import annotations

from typing import ClassVar


class AuthzError(Exception):
    """The root of all exceptions of this library; refusals are `AuthzError` too.

    >>> issubclass(MisuseError, AuthzError), issubclass(NotAllowed, AuthzError)
    (True, True)
    """


class MisuseError(AuthzError):
    """The program uses the library in a way that cannot work; the message says what to write.

    >>> Role("clerk", "orders")
    Traceback (most recent call last):
        ...
    jwt_authz.errors.MisuseError: ...
    """


class TokenDoesNotFit(MisuseError):
    """A token would be longer than `AUTHZ_MAX_TOKEN_BYTES`; the message names its sizes.

    At the Flask edge this is a 503, and the sizes are logged.
    """


class PasswordRefused(MisuseError):
    """A password that nobody can have from now on; the message says why, and never quotes it."""


class StoreUnavailable(AuthzError):
    """A store that must answer did not; at the Flask edge this is a 503 with `Retry-After`."""


class HashingBusy(StoreUnavailable):
    """Too many passwords are being hashed, or there is no memory for one more: try again."""


class InvalidToken(AuthzError):
    """The token of a request is invalid; in a view this is a 401 (RFC 6750 section 3.1).

    Each reason is a subclass. `name` is its machine name, `sentence` what a client may read,
    `code` the error code of the challenge, `detail` what only the log says. None of them ever
    holds a token or a claim's value.

    >>> InvalidToken.code
    'invalid_token'
    """

    name: ClassVar[str] = "invalid-token"
    sentence: ClassVar[str] = "The access token is not valid."
    code: ClassVar[str] = "invalid_token"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.sentence)
        self.detail = detail


class TokenMalformed(InvalidToken):
    """The token, its header or its payload is not what RFC 7515 and RFC 7519 describe."""

    name = "token-malformed"
    sentence = "The access token is malformed."


class TokenTooLong(InvalidToken):
    """The token is longer than any that is accepted; it was not read."""

    name = "token-too-long"
    sentence = "The access token is too long."


class AlgorithmNotAllowed(InvalidToken):
    """The header names an algorithm that is not configured (RFC 8725 section 3.1)."""

    name = "algorithm-not-allowed"
    sentence = "The access token is signed with an algorithm that is not accepted here."


class KeyUnknown(InvalidToken):
    """The header's `kid` names no key that is known here (RFC 7515 section 4.1.4)."""

    name = "key-unknown"
    sentence = "The access token is signed with a key that is not known here."


class SignatureInvalid(InvalidToken):
    """The signature is not that of the key over these bytes."""

    name = "signature-invalid"
    sentence = "The access token's signature is not valid."


class TokenExpired(InvalidToken):
    """The token's `exp` has passed (RFC 7519 section 4.1.4)."""

    name = "token-expired"
    sentence = "The access token has expired."


class TokenNotYetValid(InvalidToken):
    """The token's `nbf` or `iat` lies ahead (RFC 7519 sections 4.1.5 and 4.1.6)."""

    name = "token-not-yet-valid"
    sentence = "The access token is not valid yet."


class IssuerInvalid(InvalidToken):
    """The token's `iss` is not the issuer expected (RFC 7519 section 4.1.1)."""

    name = "issuer-invalid"
    sentence = "The access token comes from an issuer that is not trusted here."


class AudienceInvalid(InvalidToken):
    """The token's `aud` does not name this API (RFC 7519 section 4.1.3)."""

    name = "audience-invalid"
    sentence = "The access token is meant for another audience."


class ClaimMissing(InvalidToken):
    """A claim that must be there is missing."""

    name = "claim-missing"
    sentence = "The access token lacks a claim that is required here."


class ClaimInvalid(InvalidToken):
    """A claim has the wrong JSON type, or failed the application's own verification."""

    name = "claim-invalid"
    sentence = "A claim of the access token is not valid."


class ClaimsLeftOut(InvalidToken):
    """A claim that decides here was left out of the token, since it would be too long for it.

    The token says where to ask for it instead (OpenID Connect Core section 5.6.2).
    """

    name = "claims-left-out"
    sentence = (
        "The access token leaves out claims that decide here: have its issuer put fewer groups "
        "or roles into it."
    )


class KindInvalid(InvalidToken):
    """A token of another kind (refresh, ID, log-out ...) came in place of an access token."""

    name = "kind-invalid"
    sentence = "This token is not an access token."


class TokenRevoked(InvalidToken):
    """The token has been revoked."""

    name = "token-revoked"
    sentence = "The access token has been revoked."


class SubjectUnknown(InvalidToken):
    """The application's user look-up knows nobody by the token's subject."""

    name = "subject-unknown"
    sentence = "The access token's subject is not known here."


class CsrfInvalid(InvalidToken):
    """A token in a cookie came without the CSRF value that belongs to it."""

    name = "csrf-invalid"
    sentence = "The request lacks the CSRF value that belongs to its token."


class TokenNotFresh(InvalidToken):
    """The token is good but its log-in is too long ago (RFC 9470 section 3).

    `max_age` is how many seconds ago it may be, None where the token has to say so itself.
    """

    name = "token-not-fresh"
    sentence = "A fresh log-in is required."
    code = "insufficient_user_authentication"

    def __init__(self, detail: str = "", *, max_age: float | None = None) -> None:
        super().__init__(detail)
        self.max_age = max_age


class RefreshRefused(InvalidToken):
    """A refresh token is not good, or its log-in is over; `detail` says why, to the log alone."""

    name = "refresh-refused"
    sentence = "The refresh token is invalid or no longer valid: log in again."
    code = "invalid_grant"  # RFC 6749 section 5.2


class TokenReused(RefreshRefused):
    """A refresh token was used again that had been rotated: someone has a copy of it.

    `subject` is whose it was, and `family` the id of the log-in, which has been ended; "" where
    that is not known.
    """

    name = "token-reused"
    sentence = "The refresh token was used before, so its log-in has ended: log in again."

    def __init__(self, detail: str = "", *, subject: str = "", family: str = "") -> None:
        super().__init__(detail)
        self.subject = subject
        self.family = family
