"""The memory of one worker under a flood of tokens that each come once. SECURITY F10."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_more_tokens_than_the_cache_holds_leave_a_worker_as_it_was() -> None:
    good, bad = growth(4_000, 4 * MIB)
    assert 1 < good <= 32 / 24 * 4  # of the default cache's 24 MiB
    assert bad <= 1


@pytest.mark.long
def test_a_million_tokens_leave_a_worker_as_it_was() -> None:
    good, bad = growth(1_000_000, 24 * MIB)
    assert good <= 32
    assert bad <= 1
