"""What the tests of foreign issuers share: their keys, their tokens, and a server of their keys."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jwt.algorithms import get_default_algorithms
from jwt.utils import base64url_encode

from jwt_authz.issuers import Issuer
from jwt_authz.tokens.keys import ALGORITHMS
from tests.edge import private_key, private_pem
from tests.patience import PATIENCE

ISSUER = "https://issuer.example"
AUDIENCE = "https://api.example"


@functools.cache
def _public(algorithm: str, which: int) -> dict[str, Any]:
    made = ALGORITHMS[algorithm]
    public: dict[str, Any] = made.to_jwk(private_key(algorithm, which).public_key(), as_dict=True)
    public.pop("key_ops", None)
    return public


def jwk(kid: str | None = "k1", algorithm: str = "ES256", which: int = 0, **more: Any) -> Any:
    """A public JWK as an issuer publishes it; a member that is `...` is left out."""
    made = {**_public(algorithm, which), "use": "sig", "alg": algorithm, "kid": kid, **more}
    return {name: value for name, value in made.items() if value is not ... and value is not None}


def jwks(*keys: Any) -> dict[str, Any]:
    return {"keys": list(keys or (jwk(),))}


def payload_of(issuer: str = ISSUER, **claims: Any) -> dict[str, Any]:
    """A payload for the API of the tests, good for a while; a claim that is `...` is left out."""
    now = int(time.time())
    made = {"iss": issuer, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, **claims}
    return {name: value for name, value in made.items() if value is not ...}


def signed(
    payload: dict[str, Any],
    algorithm: str = "ES256",
    which: int = 0,
    kid: str | None = "k1",
    typ: str | None = "JWT",
    key: Any = None,
    **header: Any,
) -> str:
    """The payload signed by a private key of the tests, as its issuer would."""
    if kid is not None:
        header["kid"] = kid
    headers = {**header, "typ": typ}  # None leaves it out
    return jwt.encode(payload, key or private_key(algorithm, which), algorithm, headers=headers)


def signed_as_it_is(header: Any, payload: Any, which: int = 0) -> str:
    """Whatever header and payload say, as JSON or as text, with a good ES256 signature."""
    parts = (part if isinstance(part, str) else json.dumps(part) for part in (header, payload))
    text = b".".join(base64url_encode(part.encode()) for part in parts)
    signature = get_default_algorithms()["ES256"].sign(text, private_key("ES256", which))
    return (text + b"." + base64url_encode(signature)).decode()


def trusted(**more: Any) -> Issuer:
    """The issuer of the tests, with fixed keys unless others are said."""
    if not more.keys() & {"discovery", "jwks_uri", "keys"}:
        more["keys"] = [jwk()]
    said = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": "ES256", **more}
    return Issuer(**said)


class WebServer:
    """A web server on loopback, which answers well, or badly on request.

    `respond` is how it answers well; `answer`, where it is set, takes the request's handler and
    answers in its own way. `connections` are all that were made to it.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.ends = threading.Event()
        self.connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                outer.connections.append(self.connection)

            def do_GET(self) -> None:
                outer.respond(self)

            do_POST = do_GET

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that went away, as it is meant to

        self._server = Server(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ends.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.close_connections()

    def close_connections(self) -> None:
        """End the connections that clients keep."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # The ways to misbehave.

    def drips(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte of the body now and then, for as long as the server lives."""
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not self.ends.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    def drips_headers(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte of a header now and then."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.ends.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    def is_silent(self, handler: BaseHTTPRequestHandler) -> None:
        """No answer at all, until the server ends and closes the connection."""
        self.ends.wait(2 * PATIENCE)
        handler.close_connection = True

    def sends(self, body: str | bytes, status: int = 200, **headers: str) -> None:
        """Answer every request with this."""
        self.answer = lambda handler: send(handler, body, status, **headers)

    def sends_path(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request with its path."""
        send(handler, json.dumps({"path": handler.path}))

    def hangs_up(self, handler: BaseHTTPRequestHandler) -> None:
        """The connection is closed without a word."""
        handler.close_connection = True
        handler.connection.close()


class KeyServer(WebServer):
    """An issuer's web server: `document` is what `/jwks` answers, `asked` counts the paths."""

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(certificate)
        self.document: Any = jwks()
        self.metadata: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()

    @property
    def named(self) -> dict[str, Any]:
        return {"jwks_uri": f"{self.url}/jwks"}

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked[handler.path] += 1
        if self.answer is not None:
            self.answer(handler)
        elif handler.path == "/.well-known/openid-configuration":
            send(handler, json.dumps({"issuer": self.url, **self.named, **self.metadata}))
        else:
            send(handler, json.dumps(self.document))


def send(
    handler: BaseHTTPRequestHandler, body: str | bytes, status: int = 200, **headers: str
) -> None:
    data = body.encode() if isinstance(body, str) else body
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def self_signed(folder: Path) -> Path:
    """A certificate for localhost with its key, in one file."""
    path = folder / "localhost.pem"
    path.write_bytes(
        certificate("localhost").public_bytes(Encoding.PEM) + private_pem("ES256").encode()
    )
    return path


def issued(folder: Path, host: str) -> tuple[Path, Path]:
    """A private authority's certificate, and one for a host that it issued, with its key."""
    authority, server = folder / "authority.pem", folder / "server.pem"
    root = certificate("a private authority", which=1)
    authority.write_bytes(root.public_bytes(Encoding.PEM))
    made = certificate(host, root)
    server.write_bytes(made.public_bytes(Encoding.PEM) + private_pem("ES256").encode())
    return authority, server


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def certificate(
    host: str, authority: x509.Certificate | None = None, which: int = 0
) -> x509.Certificate:
    """A certificate for a host, issued by the authority, whose key is the second, or by itself."""
    key = private_key("ES256", which)
    signer = key if authority is None else private_key("ES256", 1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    today = datetime.datetime.now(datetime.UTC)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    is_authority = x509.BasicConstraints(ca=authority is None, path_length=None)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if authority is None else authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .add_extension(is_authority, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(_usage(is_authority.ca), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, list[Any]]]:
    """A URL, and the connections that were made to it."""
    met: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        ends = threading.Event()

        def listen() -> None:
            while not ends.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, address = server.accept()
                    met.append(address)
                    connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/keys", met
        finally:
            ends.set()
            thread.join()


class Clock:
    """A clock that stands still until it is stepped."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
