"""How long a token is that holds 10, 100, 1,000 or 10,000 permissions, in each encoding.

    python -m tests.benchmarks.sizes

Prints the table of `docs/tokens.md`. The catalog has twice as many permissions as the token
holds, every second one of them, by one role. Signed by HS256, with the claims of RFC 9068 and none
of Flask-JWT-Extended's optional ones; `iss` and `aud` have 24 characters.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from jwt_authz import Authz, Role, Roles
from jwt_authz.tokens.encodings import ENCODINGS, Encoding

COUNTS = (10, 100, 1_000, 10_000)
ACTIONS = ("create", "read", "update", "delete")
HEADER = ("permissions", *(f"`{encoding}`" for encoding in ENCODINGS))


def catalog(count: int) -> Roles:
    """Twice as many permissions as are asked for, half of them granted to a clerk."""
    names = [f"resource-{n // 4:04}:{ACTIONS[n % 4]}" for n in range(2 * count)]
    return Roles(Role("clerk", *names[::2]), Role("auditor", *names[1::2]))


def size(count: int, encoding: Encoding) -> int:
    """The bytes of a clerk's token."""
    app = Flask("shop")
    settings: dict[str, Any] = {
        "JWT_SECRET_KEY": 64 * "x",
        "JWT_COOKIE_CSRF_PROTECT": False,
        "JWT_ENCODE_NBF": False,
        "AUTHZ_ISSUER": "https://id.shop.example/",
        "AUTHZ_AUDIENCE": "https://api.shop.example",
        "AUTHZ_ENCODING": encoding,
        "AUTHZ_MAX_TOKEN_BYTES": 2**30,
    }
    app.config.update(settings)
    authz = Authz(app, roles=catalog(count))
    with app.app_context():
        return len(authz.issue("user-1", roles=["clerk"]))


def measured() -> list[tuple[int, ...]]:
    """A row a count: the count itself, and the bytes in each encoding."""
    return [(count, *(size(count, encoding) for encoding in ENCODINGS)) for count in COUNTS]


def markdown(rows: list[tuple[int, ...]]) -> str:
    """The table as the page shows it."""
    lines = [HEADER, ("---:",) * len(HEADER), *([f"{cell:,}" for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(markdown(measured()))
