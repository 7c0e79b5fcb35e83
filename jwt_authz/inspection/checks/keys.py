"""Checks of keys: whether the application's own tokens can be signed, and by no one else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...errors import MisuseError
from ...findings import Found, misuse_of
from ...jwt_extended.bridge import (
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
    """Yield whether the algorithm `none` is configured, with which anyone makes tokens."""
    if _has_none():
        yield Found("the algorithm none signs nothing: set JWT_ALGORITHM to HS256, ES256, ...")


def unusable_key(seen: Inspected) -> Iterator[Found]:
    """Yield why the key of the `JWT_*` settings cannot be used."""
    problem = _examine(seen).problem
    if problem is not None:
        yield Found(problem)


def weak_key(seen: Inspected) -> Iterator[Found]:
    """Yield what makes the key of the `JWT_*` settings guessable."""
    yield from map(Found, _examine(seen).weaknesses)


def unusable_key_set(seen: Inspected) -> Iterator[Found]:
    """Yield why the file of keys cannot be used."""
    if seen.settings is not None:
        yield from misuse_of(lambda: seen.parts.keys)


class _Examined(NamedTuple):
    """Why a key cannot be used, and what makes it weak."""

    problem: str | None = None
    weaknesses: tuple[str, ...] = ()


def _examine(seen: Inspected) -> _Examined:
    algorithm = seen.app.config["JWT_ALGORITHM"]
    try:
        if _has_none() or not _is_used(seen):
            return _Examined()
        key = verifying_key()
        if isinstance(key, int | float):
            return _Examined(
                "the key is a number, which from_prefixed_env makes of digits: set it as a string"
            )
        return _Examined(None, tuple(_weaknesses(key, algorithm)))
    except RuntimeError:  # Flask-JWT-Extended's, for a key that is not set
        return _Examined(_no_key(algorithm))
    except MisuseError as error:
        return _Examined(str(error))


def _is_used(seen: Inspected) -> bool:
    """Return whether the `JWT_*` settings have to name a key, or name one nevertheless.

    The keys of a file are checked when they are loaded.
    """
    if seen.has_key_set:
        return has_former_key()
    return seen.parts.trust is None or has_own_key()


def _weaknesses(key: Any, algorithm: str) -> Iterator[str]:
    """Yield the weaknesses of a key for each algorithm that it is used with, each once."""
    algorithms = [algorithm]
    if isinstance(key, str | bytes) and algorithm.startswith("HS"):
        algorithms += sorted(decode_algorithms())
    found = (weakness(key, name) for name in algorithms)
    yield from dict.fromkeys(text for text in found if text is not None)


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
