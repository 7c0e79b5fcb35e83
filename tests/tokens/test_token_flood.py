"""The memory of one worker under a flood of tokens that each come once. SECURITY F10."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import jwt
import pytest

from jwt_authz import Role, Roles, requires
from tests.edge import SECRET, claims_of, get, guarded_app

ROOT = Path(__file__).resolve().parents[2]

# A process of its own, since memory that others have given back is not given back to the machine.
FLOOD = """
import base64, hashlib, hmac, json, logging, sys, time
from flask import Flask
from jwt_authz import Authz, Role, Roles, requires
from tests.benchmarks.common import status_of

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024

def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")

secret, count, cache = b"s" * 64, int(sys.argv[1]), int(sys.argv[2])
logging.getLogger("jwt_authz").addHandler(logging.NullHandler())
app = Flask("flood")
app.config.update(JWT_SECRET_KEY=secret.decode(), AUTHZ_CACHE_BYTES=cache)
Authz(app, roles=Roles(Role("reader", "articles:read")))
app.add_url_rule("/articles/1", "article", requires("articles:read")(lambda: "read"))
head, until = encoded(b'{"alg":"HS256","typ":"JWT"}'), int(time.time()) + 3_600

def token(number, good):
    claims = {"sub": f"subject {number}", "exp": until, "jti": f"{number:032}", "roles": ["reader"]}
    text = head + b"." + encoded(json.dumps({**claims, "permissions": ["articles:read"]}).encode())
    signature = encoded(hmac.digest(secret if good else b"x", text, "sha256"))
    return (text + b"." + signature).decode()

def grown_by(numbers, good):
    before = resident()
    for number in numbers:
        status = status_of(app, f"Bearer {token(number, good)}")
        assert status == (200 if good else 401), status
    return resident() - before

grown_by(range(100), True)  # what a process takes once, whatever comes later
good = grown_by(range(100, count), True)
grown_by(range(count // 4), False)
print(good, grown_by(range(count // 2), False))
"""


MIB = 2**20


def growth(count: int, cache: int) -> tuple[float, float]:
    """The MiB by which a worker grows by so many good tokens, and then by half as many bad ones."""
    command = [sys.executable, "-c", FLOOD, str(count), str(cache)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    good, bad = (int(text) / MIB for text in ran.stdout.split())
    print(f"{count:,} good tokens: {good:.1f} MiB; half as many bad ones: {bad:.1f} MiB")
    return good, bad


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_more_tokens_than_the_cache_holds_leave_a_worker_as_it_was() -> None:
    good, bad = growth(4_000, 4 * MIB)
    assert 1 < good <= 32 / 24 * 4  # of the default cache's 24 MiB
    assert bad <= 1


SHAPES: dict[str, Callable[[], dict[str, Any]]] = {
    "a text": lambda: {"tag": token_hex(4_500)},
    "a text in a list": lambda: {"tags": [token_hex(4_500)]},
    "a text in a list in an object": lambda: {"user": {"tags": [token_hex(4_500)]}},
    "many texts in a list": lambda: {"tags": [token_hex(4) for _ in range(600)]},
    "a text of wide characters": lambda: {"tag": "\U0001f600" * 600 + token_hex(4)},
    "a long text with one wide character": lambda: {"tag": token_hex(2_500) + "\U0001f600"},
    "many claims": lambda: {token_hex(4): 1 for _ in range(400)},
    "an object of empty objects": lambda: {"user": {token_hex(4): {} for _ in range(150)}},
    "a list of empty lists": lambda: {"tags": [[] for _ in range(600)]},
    "scopes": lambda: {"scope": " ".join(token_hex(2) for _ in range(600))},
    "roles that the catalog lacks": lambda: {"roles": [token_hex(3) for _ in range(500)]},
    "roles of the catalog": lambda: {"roles": random.sample(sorted(MANY), 150)},
    "permissions": lambda: {"permissions": [f"{token_hex(3)}:x" for _ in range(400)]},
    "numbers": lambda: {"numbers": [random.getrandbits(60) for _ in range(400)]},
    "a long number": lambda: {"number": int("9" * 4_000)},
    "a long subject": lambda: {"sub": token_hex(3_500)},
    "a long header": lambda: {HEADER: {"x": [token_hex(4) for _ in range(500)]}},
}
HEADER = "header"
MANY = Roles(*(Role(f"role{number}", f"thing{number}:read") for number in range(300)))
REMEMBERED = 4 * MIB  # combinations of roles of the catalog, however large the cache is


def kept_of(shape: str, cache: int) -> int:
    """The bytes that a worker keeps of 50 tokens of this shape."""
    app = guarded_app(authz={"roles": MANY}, AUTHZ_CACHE_BYTES=cache)
    app.add_url_rule("/", "index", requires()(lambda: "in"))
    client = app.test_client()

    def call() -> None:
        claims = {**claims_of(jti=token_hex(8)), **SHAPES[shape]()}
        header = claims.pop(HEADER, None)
        token = jwt.encode(claims, SECRET, "HS256", headers=header)
        assert get(client, "/", token).status_code == 200

    call()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(50):
            call()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_the_limit_of_the_cache_holds_whatever_the_claims_hold(shape: str) -> None:
    limit = MIB // 8
    remembered = REMEMBERED if "of the catalog" in shape else 0
    assert kept_of(shape, limit) <= 1.5 * limit + remembered
    assert kept_of(shape, 0) <= 0.2 * MIB + remembered


@pytest.mark.long
def test_a_million_tokens_leave_a_worker_as_it_was() -> None:
    good, bad = growth(1_000_000, 24 * MIB)
    assert good <= 32
    assert bad <= 1
