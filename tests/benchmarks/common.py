"""What the benchmarks share: keys, tokens of a given length, direct WSGI calls, the machine's name.

A token's length is that of the whole encoded token, signature included. Like a real one it names
a few roles and lists their permissions, and the list makes up the length. Where the signature
leaves no room for that (RS256 takes 342 bytes for it), the token is the shortest possible one and
the tables show its real length.
"""

import platform
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token
from jwt import algorithms
from werkzeug.test import EnvironBuilder

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
SIZES = (350, 700, 2000)
PATH = "/articles/1"
NEEDED_ROLE = "editor"
NEEDED_PERMISSION = "article:read"
DESKS = ("arts", "city", "news", "tech")
NOUNS = (
    *("draft", "photo", "video", "topic", "quote", "audio", "event", "link", "poll", "graph"),
    *("table", "quiz", "letter", "column", "archive", "feed", "banner", "layout", "index", "cover"),
)
ACTIONS = ("read", "edit", "create", "delete", "review", "publish")
LIBRARIES = (
    "Flask",
    "Werkzeug",
    "Flask-JWT-Extended",
    "PyJWT",
    "cryptography",
    "marshmallow",
    "Flask-Allows2",
    "Flask-Principal",
    "Flask-RPBAC",
    "pycasbin",
    "gunicorn",
)
_SUBJECT_DIGITS = 6
_GENERATED_KEYS: dict[str, Mapping[str, object]] = {}


@dataclass(frozen=True)
class Setup:
    """What every contender of one scenario is built from: the same keys and the same roles."""

    settings: Mapping[str, object]
    roles: Mapping[str, tuple[str, ...]]


class TokenMaker:
    """Signs access tokens of one algorithm and, as nearly as it can, of one length.

    All tokens hold the role that the right hangs on. Where the length allows it each holds one
    of four more roles, and lists that role's permissions too, so that many tokens share a set of
    permissions, as the users of one role do. The subject's digits make up the last few bytes.
    """

    def __init__(self, algorithm: str, size: int, settings: Mapping[str, object]) -> None:
        self.algorithm, self.size = algorithm, size
        self._settings = settings
        self._app = Flask(__name__)
        self._app.config.update(settings, **_for_signing(settings))
        JWTManager(self._app)
        self._made = 0
        self._digits = _SUBJECT_DIGITS
        self._held = self._as_many_permissions_as_fit()
        self._digits += max(0, size - self._length_with(self._held)) * 3 // 4

    @property
    def setup(self) -> Setup:
        """Keys and catalog of the applications that are shown these tokens."""
        desks = {desk: self._held_at(desk, self._held) for desk in DESKS} if self._held else {}
        roles = {NEEDED_ROLE: (NEEDED_PERMISSION,), "guest": ("comment:read",), **desks}
        return Setup(self._settings, roles)

    def make(self, count: int, *, shared: bool = True) -> list[str]:
        """Sign that many tokens, each new: no subject and no token id comes twice.

        With `shared=False` each lists a permission that no other token has.
        """
        return [self._next(timedelta(hours=1), shared) for _ in range(count)]

    def short_lived(self, seconds: int) -> str:
        return self._next(timedelta(seconds=seconds))

    def expired(self) -> str:
        return self._next(timedelta(seconds=-60))

    def lacking(self) -> str:
        """Sign a token that is good in every way but lacks the right."""
        return self._sign("0", ["guest"], ["comment:read"], timedelta(hours=1))

    def _next(self, lifetime: timedelta, shared: bool = True) -> str:
        roles, permissions = self._claims(DESKS[self._made % len(DESKS)], self._held)
        self._made += 1
        if not shared:
            width = len(permissions[-1]) - len(":read")
            permissions[-1] = f"{self._made:0{width}d}:read"
        return self._sign(str(self._made).zfill(self._digits), roles, permissions, lifetime)

    def _claims(self, desk: str, held: int) -> tuple[list[str], list[str]]:
        if not held:
            return [NEEDED_ROLE], [NEEDED_PERMISSION]
        return [NEEDED_ROLE, desk], [NEEDED_PERMISSION, *self._held_at(desk, held)]

    def _held_at(self, desk: str, held: int) -> tuple[str, ...]:
        every = (f"{desk}-{noun}:{action}" for noun in NOUNS for action in ACTIONS)
        return tuple(islice(every, held))

    def _sign(
        self, subject: str, roles: list[str], permissions: list[str], lifetime: timedelta
    ) -> str:
        claims = {"roles": roles, "permissions": permissions}
        with self._app.app_context():
            token: str = create_access_token(
                subject, additional_claims=claims, expires_delta=lifetime
            )
        return token

    def _length_with(self, held: int) -> int:
        roles, permissions = self._claims(DESKS[0], held)
        return len(self._sign("0" * self._digits, roles, permissions, timedelta(hours=1)))

    def _as_many_permissions_as_fit(self) -> int:
        held = 0
        while held < len(NOUNS) * len(ACTIONS) and self._length_with(held + 1) <= self.size:
            held += 1
        return held


class VerificationCounter:
    """Counts the signatures that PyJWT verifies for any caller."""

    def __init__(self) -> None:
        self.count = 0
        names = ("HMACAlgorithm", "RSAAlgorithm", "ECAlgorithm", "OKPAlgorithm")
        for algorithm in (getattr(algorithms, name) for name in names):
            self._watch(algorithm)

    def _watch(self, algorithm: Any) -> None:
        verify = algorithm.verify

        def counted(*args: Any) -> Any:
            self.count += 1
            return verify(*args)

        algorithm.verify = counted


def key_settings(algorithm: str) -> Mapping[str, object]:
    """The settings that name a fresh key of this algorithm; one key a process."""
    if algorithm not in _GENERATED_KEYS:
        _GENERATED_KEYS[algorithm] = {"JWT_ALGORITHM": algorithm, **_new_key(algorithm)}
    return _GENERATED_KEYS[algorithm]


def _new_key(algorithm: str) -> dict[str, str]:
    if algorithm == "HS256":
        return {"JWT_SECRET_KEY": secrets.token_hex(32)}
    if algorithm == "RS256":
        return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    if algorithm == "ES256":
        return _pem(ec.generate_private_key(ec.SECP256R1()))
    if algorithm == "EdDSA":
        return _pem(ed25519.Ed25519PrivateKey.generate())
    raise SystemExit(f"no key is known for {algorithm}; take one of {', '.join(ALGORITHMS)}")


def _pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> dict[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {"JWT_PRIVATE_KEY": private.decode(), "JWT_PUBLIC_KEY": public.decode()}


def _for_signing(settings: Mapping[str, object]) -> dict[str, object]:
    """What the signer has for itself: its key loaded once, no CSRF claim, which is for cookies."""
    if "JWT_PRIVATE_KEY" not in settings:
        return {"JWT_COOKIE_CSRF_PROTECT": False}
    pem = str(settings["JWT_PRIVATE_KEY"]).encode()
    loaded = serialization.load_pem_private_key(pem, password=None)
    return {"JWT_COOKIE_CSRF_PROTECT": False, "JWT_PRIVATE_KEY": loaded}


def flipped(token: str) -> str:
    """The same token with one character in the middle of its signature changed."""
    head, payload, signature = token.split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return f"{head}.{payload}.{signature[:middle]}{other}{signature[middle + 1 :]}"


def bearer(tokens: Iterable[str]) -> list[str]:
    return [f"Bearer {token}" for token in tokens]


def environ_template() -> dict[str, Any]:
    """An environ for `GET PATH`; each request is made from a copy of it."""
    environ = EnvironBuilder(path=PATH, base_url="http://localhost").get_environ()
    return {**environ, "wsgi.input": BytesIO()}


def status_of(app: Callable[..., Any], authorization: str | None = None) -> int:
    """Answer one request without timing it, and return the status."""
    statuses: list[str] = []
    environ = environ_template()
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    answer = app(environ, lambda status, headers, exc_info=None: statuses.append(status))
    for _ in answer:
        pass
    answer.close()
    return int(statuses[0].split()[0])


def describe_machine() -> list[str]:
    """Lines that name the Python, the platform, the processor and the libraries."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return [
        f"Python: {python}",
        f"Platform: {platform.system()} {platform.machine()}, {processor()}",
        "Libraries: " + ", ".join(_versions()),
    ]


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return f"{names[0]} ({len(names)} seen)"
    return platform.processor() or "processor unknown"


def _versions() -> Iterable[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} not installed"


def table(header: list[str], rows: Iterable[list[str]], *, markdown: bool = False) -> str:
    """Rows under a header, as Markdown or aligned for a terminal; all but the first are numbers."""
    every = [header, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(header))]
    lines = [_line(row, widths, " | " if markdown else "  ") for row in every]
    if not markdown:
        return "\n".join(lines)
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, _line(rule, widths, " | "))
    return "\n".join(f"| {line} |" for line in lines)


def _line(row: list[str], widths: list[int], between: str) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return between.join([row[0].ljust(widths[0]), *cells[1:]])
