"""Settings: the application's `AUTHZ_*`, read once, checked and frozen."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from .errors import MisuseError
from .findings import wrong_codes
from .policy.problem import DISCLOSE
from .tokens.claim_names import ClaimNames, is_claim_name
from .tokens.encodings import ENCODING_SETTINGS, EncodingSetting


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _optional_text(value: object) -> bool:
    return value is None or _text(value)


def _is_path(value: object) -> bool:
    """Return whether the value can be a path, and is not what a file of keys contains."""
    return isinstance(value, str) and value.isprintable() and value.strip()[:1] not in ("", "{")


def _natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _setting(
    default: Any,
    valid: Callable[[Any], bool],
    wanted: str,
    meaning: str,
    *,
    is_secret: bool = False,
) -> Any:
    """A field of `Settings`; the value of one that may hold a password is never shown."""
    metadata = {"valid": valid, "wanted": wanted, "meaning": meaning, "is_secret": is_secret}
    return field(default=default, metadata=metadata, repr=not is_secret)


_LONGEST = 100 * 365 * 86_400
_A_CLAIM = "a name that no other claim has"
_RATE = re.compile(r"([1-9]\d{0,5}) ?(?:per|/) ?([1-9]\d{0,4})? ?(second|minute|hour|day)s?")
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{0,64}")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_REDIS = re.compile(r"(rediss?(\+(sentinel|cluster))?|redis\+unix|valkey|valkeys|valkey\+unix)://")


def rate_of(text: str) -> tuple[int, int] | None:
    """Return the number and the seconds in a text such as `10 per minute`; None for no limit."""
    match = _RATE.fullmatch(text)
    if match is None:
        return None
    return int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]


@dataclass(frozen=True, slots=True)
class Settings:
    """The `AUTHZ_*` settings of an application; raise `MisuseError` for an invalid value."""

    realm: str = _setting("api", _text, "a text", "The realm named in `WWW-Authenticate`.")
    disclose: str = _setting(
        "sentence",
        DISCLOSE.__contains__,
        " | ".join(DISCLOSE),
        "How much of the requirement a 403 tells the client; the log always has all of it.",
    )
    enforce: bool = _setting(
        True,
        lambda value: isinstance(value, bool),
        "True | False",
        "With `False` no guard refuses: calls that would have been refused are logged and "
        "counted, and go through. The result of `allowed` stays the same.",
    )
    encoding: EncodingSetting = _setting(  # noqa: RUF009 it makes a field
        "auto",
        ENCODING_SETTINGS.__contains__,
        " | ".join(ENCODING_SETTINGS),
        "What a token contains: `full` roles and permissions as strings, `compact` roles and "
        "permissions as positions in the catalog, `roles` only the roles; `auto` uses the first "
        "of these that fits into `AUTHZ_MAX_TOKEN_BYTES`.",
    )
    roles_claim: str = _setting("roles", is_claim_name, _A_CLAIM, "The claim that holds the roles.")
    permissions_claim: str = _setting(
        "permissions",
        is_claim_name,
        _A_CLAIM,
        "The claim that holds the permissions; RFC 9068 calls it `entitlements`.",
    )
    tenant_claim: str = _setting(
        "tenant", is_claim_name, _A_CLAIM, "The claim that holds the tenant."
    )
    scope_claim: str = _setting(
        "scope", is_claim_name, _A_CLAIM, "The claim that holds the scopes."
    )
    max_token_bytes: int = _setting(
        4_096,
        _natural,
        "bytes",
        "The maximum length of an issued token. A change of users or roles that would make a "
        "token longer is refused.",
    )
    cache_bytes: int = _setting(
        24 * 1024 * 1024,
        _natural,
        "bytes",
        "The memory for verified tokens in each process; 0 verifies every token on each request.",
    )
    token_profile: str | None = _setting(
        None,
        (None, "at+jwt").__contains__,
        "at+jwt",
        "With `at+jwt`, only access tokens with everything that RFC 9068 requires are accepted; "
        "`iss` and `aud` must be those of the tokens issued here, or of JWT_DECODE_* if set.",
    )
    keys_file: str | None = _setting(
        None,
        lambda value: value is None or _is_path(value),
        "a path",
        "The file with the application's own keys, created by `flask authz keys new`; without "
        "it, `JWT_SECRET_KEY` or `JWT_PRIVATE_KEY` is used.",
        is_secret=True,
    )
    store_url: str | None = _setting(
        None,
        _optional_text,
        "memory:, redis://... or a SQLAlchemy URL",
        "The store of revocations and token families; without it, tokens cannot be revoked "
        "before they expire. Prepare a new store with `flask authz init`.",
        is_secret=True,
    )
    store_namespace: str = _setting(
        "",
        lambda value: isinstance(value, str) and _NAMESPACE.fullmatch(value) is not None,
        "up to 64 letters, digits and ._-",
        "The namespace of this application in the store. Applications that share a store need "
        "different ones.",
    )
    store_timeout: float = _setting(
        1.0,
        lambda value: type(value) in (int, float) and 0 < value <= _LONGEST,
        "seconds, more than 0",
        "The time limit for a call of the store, including the connection and a second attempt; "
        "after that, a log-in, a refresh or a revocation is answered with 503. Guarded views do "
        "not wait for the store.",
    )
    accounts_timeout: float = _setting(
        5.0,
        lambda value: type(value) in (int, float) and 0 < value <= _LONGEST,
        "seconds, more than 0",
        "The time limit for a call of the accounts or of a source of roles; after that, the "
        "answer is 503. The time for hashing passwords does not count.",
    )
    revocation_max_age: float = _setting(
        5.0,
        lambda value: type(value) in (int, float) and value >= 1,
        "seconds, at least 1",
        "The maximum age of a process's view of the revocations, and of roles that change; "
        "after that, guarded views answer 503.",
    )
    refresh_grace: float = _setting(
        10.0,
        lambda value: type(value) in (int, float) and 0 <= value <= _LONGEST,
        "seconds",
        "How long a refresh token that was just used is accepted once more, with the same "
        "successor, for a client that did not receive the response; after that, using it again "
        "ends its family. 0 for never.",
    )
    refresh_idle: float = _setting(
        14 * 86_400.0,
        lambda value: type(value) in (int, float) and 1 <= value <= _LONGEST,
        "seconds, at least 1",
        "How long a refresh token may stay unused; JWT_REFRESH_TOKEN_EXPIRES is the absolute "
        "limit.",
    )
    login_rate: str = _setting(
        "10 per minute",
        lambda value: isinstance(value, str) and (not value or rate_of(value) is not None),
        "a number of times per second, minute, hour or day, as in '10 per minute'; '' for no limit",
        "How many log-ins to one account may fail from one address before `POST /token` answers "
        "429; needs the extra `ratelimit`.",
    )
    login_rate_store: str = _setting(
        "memory:",
        lambda value: value == "memory:" or (_text(value) and bool(_REDIS.match(value))),
        "memory: or a redis:// URL",
        "Where failed log-ins are counted: in the memory of each process, or in a shared Redis.",
        is_secret=True,
    )
    silence: Collection[str] = _setting(
        (),
        lambda value: (
            isinstance(value, list | tuple | set | frozenset)
            and all(isinstance(code, str) for code in value)
        ),
        "a list of codes, such as ['AZ105']",
        "The codes of findings that are not reported: see docs/checking.md.",
    )
    issuer: str | None = _setting(
        None,
        _optional_text,
        "a text",
        "The `iss` of tokens issued here, and the one accepted, if neither JWT_ENCODE_ISSUER nor "
        "JWT_DECODE_ISSUER is set; by default the application's name.",
    )
    audience: str | None = _setting(
        None,
        _optional_text,
        "a text",
        "Their `aud`, and the one accepted, if neither JWT_ENCODE_AUDIENCE nor JWT_DECODE_AUDIENCE "
        "is set; by default the application's name.",
    )
    client_id: str | None = _setting(
        None,
        _optional_text,
        "a text",
        "Their `client_id`; by default the application's name.",
    )

    def __post_init__(self) -> None:
        unfit = list(_unfit({one.name: getattr(self, one.name) for one in fields(self)}))
        if unfit:
            raise MisuseError("\n".join(unfit))
        repeated = self.claim_names.repeated()
        if repeated is not None:
            raise MisuseError(
                f"two of AUTHZ_ROLES_CLAIM, AUTHZ_PERMISSIONS_CLAIM, AUTHZ_TENANT_CLAIM and "
                f"AUTHZ_SCOPE_CLAIM are {repeated!r}: give each claim a name of its own"
            )

    @property
    def claim_names(self) -> ClaimNames:
        """The names of the claims that hold roles, permissions, tenant and scope."""
        return ClaimNames(
            self.roles_claim, self.permissions_claim, self.tenant_claim, self.scope_claim
        )

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """Return the settings in a config; raise `MisuseError` for an unknown `AUTHZ_*` name."""
        names = {setting_name(one.name): one.name for one in fields(cls)}
        given = {names[n]: value for n, value in config.items() if n in names}
        unknown = sorted(n for n in config if n.startswith("AUTHZ_") and n not in names)
        wrong = [f"{name} is not a setting: write one of {', '.join(names)}" for name in unknown]
        if wrong:
            raise MisuseError("\n".join([*wrong, *_unfit(given)]))
        return cls(**given)


def _unfit(values: Mapping[str, Any]) -> Iterator[str]:
    """Return a sentence about each of these values that is invalid."""
    for one in fields(Settings):
        if one.name in values and not one.metadata["valid"](values[one.name]):
            shown = repr(values[one.name])
            is_secret = one.metadata["is_secret"] or "://" in shown  # a URL may hold a password
            wrong = "not valid" if is_secret else shown
            yield f"{setting_name(one.name)} is {wrong}: write {one.metadata['wanted']}"
        elif one.name == "silence":
            codes = wrong_codes(values.get(one.name, ()))
            yield from (f"{setting_name(one.name)} {wrong}" for wrong in codes)


def setting_name(field_name: str) -> str:
    """Return the name in the application's config: `AUTHZ_REALM` for `realm`."""
    return f"AUTHZ_{field_name.upper()}"


def settings_table() -> list[tuple[str, str, str, str]]:
    """Return each setting's name, default, allowed values and meaning, for the documentation."""
    return [
        (
            setting_name(one.name),
            repr(one.default if one.default is not MISSING else None),
            one.metadata["wanted"],
            one.metadata["meaning"],
        )
        for one in fields(Settings)
    ]
