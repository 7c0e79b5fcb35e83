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

    In a view this is a 503, and the sizes are logged.
    """


class PasswordRefused(MisuseError):
    """A new password is not acceptable; the message says why, and never contains the password."""


class StoreUnavailable(AuthzError):
    """A store that is needed did not answer; in a view this is a 503 with `Retry-After`."""


class HashingBusy(StoreUnavailable):
    """Too many passwords are being hashed, or memory is short; the client can try again."""


class InvalidToken(AuthzError):
    """The token of a request is invalid; in a view this is a 401 (RFC 6750 section 3.1).

    Each reason is a subclass. `name` identifies the reason for programs, `sentence` describes it to
    the client, `code` is the error code of the challenge, and `detail` is only logged. None of
    them contains a token or the value of a claim.

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
    """The token, its header or its payload does not conform to RFC 7515 and RFC 7519."""

    name = "token-malformed"
    sentence = "The access token is malformed."


class TokenTooLong(InvalidToken):
    """The token is longer than the limit, and was not read."""

    name = "token-too-long"
    sentence = "The access token is too long."


class AlgorithmNotAllowed(InvalidToken):
    """The header names an algorithm that is not configured (RFC 8725 section 3.1)."""

    name = "algorithm-not-allowed"
    sentence = "The access token is signed with an algorithm that is not accepted here."


class KeyUnknown(InvalidToken):
    """The header's `kid` does not name a known key (RFC 7515 section 4.1.4)."""

    name = "key-unknown"
    sentence = "The access token is signed with a key that is not known here."


class SignatureInvalid(InvalidToken):
    """The signature does not match the key and the signed text."""

    name = "signature-invalid"
    sentence = "The access token's signature is not valid."


class TokenExpired(InvalidToken):
    """The token's `exp` has passed (RFC 7519 section 4.1.4)."""

    name = "token-expired"
    sentence = "The access token has expired."


class TokenNotYetValid(InvalidToken):
    """The token's `nbf` or `iat` is in the future (RFC 7519 sections 4.1.5 and 4.1.6)."""

    name = "token-not-yet-valid"
    sentence = "The access token is not valid yet."


class IssuerInvalid(InvalidToken):
    """The token's `iss` is not a trusted issuer (RFC 7519 section 4.1.1)."""

    name = "issuer-invalid"
    sentence = "The access token comes from an issuer that is not trusted here."


class AudienceInvalid(InvalidToken):
    """The token's `aud` does not name this API (RFC 7519 section 4.1.3)."""

    name = "audience-invalid"
    sentence = "The access token is meant for another audience."


class ClaimMissing(InvalidToken):
    """A required claim is missing."""

    name = "claim-missing"
    sentence = "The access token lacks a claim that is required here."


class ClaimInvalid(InvalidToken):
    """A claim has the wrong JSON type, or failed the application's own verification."""

    name = "claim-invalid"
    sentence = "A claim of the access token is not valid."


class ClaimsLeftOut(InvalidToken):
    """The issuer left out a claim that is needed, because the token would have been too long.

    The token names a place to request the claim from (OpenID Connect Core section 5.6.2).
    """

    name = "claims-left-out"
    sentence = (
        "The access token leaves out claims that are needed: configure its issuer to put fewer "
        "groups or roles into it."
    )


class KindInvalid(InvalidToken):
    """The token is of another kind, such as a refresh token or an ID token."""

    name = "kind-invalid"
    sentence = "This token is not an access token."


class TokenRevoked(InvalidToken):
    """The token has been revoked."""

    name = "token-revoked"
    sentence = "The access token has been revoked."


class SubjectUnknown(InvalidToken):
    """The application's user lookup found no user for the token's subject."""

    name = "subject-unknown"
    sentence = "The access token's subject is not known here."


class CsrfInvalid(InvalidToken):
    """The request has a token in a cookie, but not the CSRF value that belongs to it."""

    name = "csrf-invalid"
    sentence = "The request lacks the CSRF value that belongs to its token."


class TokenNotFresh(InvalidToken):
    """The token is valid, but the log-in was too long ago (RFC 9470 section 3).

    `max_age` is the maximum age of the log-in in seconds; None if the token must say that it is
    fresh.
    """

    name = "token-not-fresh"
    sentence = "A fresh log-in is required."
    code = "insufficient_user_authentication"

    def __init__(self, detail: str = "", *, max_age: float | None = None) -> None:
        super().__init__(detail)
        self.max_age = max_age


class RefreshRefused(InvalidToken):
    """A refresh token is invalid, or its log-in has ended; `detail` is only logged."""

    name = "refresh-refused"
    sentence = "The refresh token is invalid or no longer valid: log in again."
    code = "invalid_grant"  # RFC 6749 section 5.2


class TokenReused(RefreshRefused):
    """A refresh token was used again after its rotation: someone may have a copy of it.

    `subject` is the user, and `family` the id of the log-in, which has been ended; both are "" if
    unknown.
    """

    name = "token-reused"
    sentence = "The refresh token was used before, so its log-in has ended: log in again."

    def __init__(self, detail: str = "", *, subject: str = "", family: str = "") -> None:
        super().__init__(detail)
        self.subject = subject
        self.family = family
