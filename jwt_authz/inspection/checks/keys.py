"""Checks of keys: keys of the application that are missing, unusable or weak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...errors import MisuseError
from ...findings import Found, misuse_of
from ...jwt_extended.own_keys import (
    algorithms_configured,
    decode_algorithms,
    has_former_key,
    has_own_key,
    is_asymmetric,
    verifying_key,
)
from ...tokens.key_strength import SHORTEST_SECRET
from ...tokens.keys import weakness
from ..inspected import Inspected


def unsigned_tokens(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if the algorithm `none` is configured: anyone could make tokens."""
    if _has_none():
        yield Found("the algorithm none signs nothing: set JWT_ALGORITHM to HS256, ES256, ...")


def unusable_key(seen: Inspected) -> Iterator[Found]:
    """Yield why the key of the `JWT_*` settings cannot be used."""
    yield from map(Found, _examine(seen).problems)


def weak_key(seen: Inspected) -> Iterator[Found]:
    """Yield what makes the key of the `JWT_*` settings guessable."""
    yield from map(Found, _examine(seen).weaknesses)


def unusable_key_set(seen: Inspected) -> Iterator[Found]:
    """Yield why the file of keys cannot be used."""
    if seen.settings is not None:
        yield from misuse_of(lambda: seen.state.keys)


class _Examined(NamedTuple):
    """Why a key cannot be used, and why it is weak; either can be the case without the other."""

    problems: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()


def _examine(seen: Inspected) -> _Examined:
    try:
        if _has_none() or not _is_used(seen):
            return _Examined()
        return _with_each_algorithm(verifying_key(), seen.app.config["JWT_ALGORITHM"])
    except RuntimeError:  # Flask-JWT-Extended's, for a key that is not set
        return _Examined((_no_key(seen.app.config["JWT_ALGORITHM"]),))
    except MisuseError as error:
        return _Examined((str(error),))


def _with_each_algorithm(key: Any, algorithm: str) -> _Examined:
    """Examine a key with each algorithm that it is used with."""
    if isinstance(key, int | float):
        return _Examined(
            ("the key is a number, which from_prefixed_env makes of digits: set it as a string",)
        )
    algorithms = [algorithm]
    if isinstance(key, str | bytes) and algorithm.startswith("HS"):
        algorithms += sorted(decode_algorithms())
    problems: dict[str, None] = {}
    weaknesses: dict[str, None] = {}
    for name in algorithms:
        try:
            found = weakness(key, name)
        except MisuseError as error:
            problems[str(error)] = None
        else:
            weaknesses |= {} if found is None else {found: None}
    return _Examined(tuple(problems), tuple(weaknesses))


def _is_used(seen: Inspected) -> bool:
    """Return whether the `JWT_*` settings need a key, or have one that is not needed.

    The keys of a file are checked when they are loaded.
    """
    if seen.has_key_set:
        return has_former_key()
    return seen.state.trust is None or has_own_key()


def _has_none() -> bool:
    return any(name.lower() == "none" for name in algorithms_configured())


def _no_key(algorithm: str) -> str:
    upper = algorithm.upper()
    if upper != algorithm and upper in SHORTEST_SECRET:
        return f"JWT_ALGORITHM is {algorithm!r}: write {upper!r}"
    if is_asymmetric():
        return (
            f"no key is set for {algorithm}: set JWT_PRIVATE_KEY to the text of a PEM file, or "
            "JWT_PUBLIC_KEY if tokens are only verified"
        )
    return (
        "no secret is set: set JWT_SECRET_KEY (FLASK_JWT_SECRET_KEY in the environment) to the "
        "output of secrets.token_hex(32)"
    )
