"""Exchanges over real connections: proxies, private authorities, reuse, deadlines and forks."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from jwt_authz.errors import MisuseError, StoreUnavailable
from jwt_authz.issuers import connections
from jwt_authz.issuers.egress import WrongStatus
from jwt_authz.issuers.http import HttpClient
from tests.foreign import KeyServer, certificate, issued, jwks
from tests.patience import PATIENCE

from .proxy import TunnelProxy

HOST = "issuer.example"
URL = f"https://{HOST}/jwks"


@pytest.fixture(autouse=True)
def no_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer() as running:
        yield running


@pytest.fixture
def client() -> HttpClient:
    return HttpClient()


class Secure:
    """An issuer with a certificate of a private authority, behind a proxy."""

    def __init__(self, folder: Path) -> None:
        authority, certificate = issued(folder, HOST)
        self.authority = str(authority)
        self.server = KeyServer(certificate)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    made = Secure(tmp_path)
    with made.server:
        yield made


def get(client: HttpClient, url: str, seconds: float = PATIENCE) -> dict[str, Any]:
    return client.get_json(url, time.monotonic() + seconds)


# --- proxies and authorities ---------------------------------------------------------------------


def test_https_goes_through_a_tunnel_of_the_proxy_with_its_credentials(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = HttpClient(ca_bundle=secure.authority)
    with TunnelProxy(secure.server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:p%40ss@{proxy.address}")
        assert [get(client, URL) for _ in range(5)] == 5 * [jwks()]
    assert proxy.asked == [f"CONNECT {HOST}:443"]
    assert proxy.logins == ["Basic YW5uOnBAc3M="]
    assert len(secure.server.connections) == 1


def test_the_host_of_the_url_is_verified_through_the_proxy(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TunnelProxy(secure.server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            get(HttpClient(ca_bundle=secure.authority), "https://other.example/jwks")
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            get(HttpClient(), URL)
    assert not secure.server.asked


def test_a_proxy_that_refuses_or_is_down_is_named(
    secure: Secure, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = "407 secret\tforged"
    with TunnelProxy(secure.server.port, refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@{proxy.address}")
        with pytest.raises(StoreUnavailable) as caught:
            get(client, URL)
    assert str(caught.value) == f"{HOST}: the proxy answered with the status 407"
    with pytest.raises(StoreUnavailable) as caught:
        get(client, URL)
    assert str(caught.value) == f"{HOST}: the proxy: ConnectionRefusedError"


def test_a_host_of_no_proxy_is_connected_to_directly(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", secure.server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: [here])
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", ".example")
    assert get(HttpClient(ca_bundle=secure.authority), URL) == jwks()


def test_only_the_authorities_of_the_bundle_are_trusted(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    other = certificate("another authority", which=2)
    bundle.write_bytes(other.public_bytes(Encoding.PEM))
    with TunnelProxy(secure.server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("SSL_CERT_FILE", secure.authority)  # those of the machine
        assert get(HttpClient(), URL) == jwks()
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            get(HttpClient(ca_bundle=str(bundle)), URL)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), ("", "it has no certificate"), ("x", "no certificate")],
)
def test_a_bundle_that_cannot_be_used_is_a_misuse(
    content: str | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MisuseError, match=f"Unusable ca_bundle .*{reason}"):
        HttpClient(ca_bundle=str(path))


def test_a_bundle_other_than_a_path_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="expected the path of a PEM file"):
        HttpClient(ca_bundle=b"-----BEGIN CERTIFICATE-----")  # type: ignore[arg-type]


# --- kept connections ----------------------------------------------------------------------------


def test_requests_one_after_another_use_one_connection(
    server: KeyServer, client: HttpClient
) -> None:
    for _ in range(20):
        get(client, f"{server.url}/jwks")
    assert len(server.connections) == 1


def test_a_connection_is_kept_by_each_client_for_itself(server: KeyServer) -> None:
    for client in (HttpClient(), HttpClient()):
        get(client, f"{server.url}/jwks")
    assert len(server.connections) == 2


def test_a_connection_that_the_server_closed_is_replaced(
    server: KeyServer, client: HttpClient
) -> None:
    get(client, f"{server.url}/jwks")
    server.close_connections()
    assert get(client, f"{server.url}/jwks") == jwks()
    assert len(server.connections) == 2


def test_a_request_is_repeated_if_the_server_closes_the_kept_connection_meanwhile(
    server: KeyServer, client: HttpClient
) -> None:
    """The server may close a connection while a request is on its way (RFC 9112 section 9.5)."""
    get(client, f"{server.url}/jwks")
    first = server.connections[0]

    def hangs_up_the_first(handler: Any) -> None:
        if handler.connection is first:
            server.hangs_up(handler)
        else:
            server.answer = None
            server.respond(handler)

    server.answer = hangs_up_the_first
    assert get(client, f"{server.url}/jwks") == jwks()
    assert len(server.connections) == 2


def test_a_request_over_a_new_connection_is_not_repeated(
    server: KeyServer, client: HttpClient
) -> None:
    server.answer = server.hangs_up
    with pytest.raises(StoreUnavailable, match="RemoteDisconnected"):
        get(client, f"{server.url}/jwks")
    assert server.asked == {"/jwks": 1}


def test_a_connection_that_was_unused_for_long_is_replaced(
    server: KeyServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(client, f"{server.url}/jwks")
    monkeypatch.setattr(connections, "IDLE", 0.0)  # it may have been forgotten on the way
    get(client, f"{server.url}/jwks")
    assert len(server.connections) == 2


@pytest.mark.parametrize("behaviour", ["status", "too long", "too short", "compressed"])
def test_a_connection_with_a_response_that_was_not_read_is_not_used_again(
    behaviour: str, server: KeyServer, client: HttpClient
) -> None:
    def too_short(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}")
        handler.close_connection = True

    get(client, f"{server.url}/jwks")
    if behaviour == "too short":
        server.answer = too_short
    else:
        body, status, more = {
            "status": ('{"keys": []}', 500, {}),
            "too long": (" " * 1_000_000, 200, {}),
            "compressed": ("{}", 200, {"Content_Encoding": "gzip"}),
        }[behaviour]
        server.sends(body, status, **more)
    with pytest.raises(StoreUnavailable):
        get(client, f"{server.url}/jwks")
    server.answer = None
    assert get(client, f"{server.url}/jwks") == jwks()
    assert len(server.connections) == 2


def test_a_body_shorter_than_its_length_is_unavailable(
    server: KeyServer, client: HttpClient
) -> None:
    def respond(headers: bytes) -> Callable[[Any], None]:
        def answer(handler: Any) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + headers)
            handler.close_connection = True

        return answer

    for lacking in (
        b'Content-Length: 9\r\n\r\n{"a": 1}',
        b'Content-Length: 9, 8\r\n\r\n{"a": 1}',
        b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}\r\n',
        b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"a": 1}',
    ):
        server.answer = respond(lacking)
        with pytest.raises(StoreUnavailable):
            get(client, f"{server.url}/jwks")
    for whole in (
        b'Content-Length: 8\r\n\r\n{"a": 1}',
        b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}\r\n0\r\n\r\n',
    ):
        server.answer = respond(whole)
        assert get(client, f"{server.url}/jwks") == {"a": 1}


def test_each_status_is_distinguished(server: KeyServer, client: HttpClient) -> None:
    server.sends("{}", 400)
    with pytest.raises(WrongStatus) as caught:
        get(client, f"{server.url}/jwks")
    assert caught.value.status == 400


# --- threads, greenlets and processes ------------------------------------------------------------


def test_threads_share_connections_and_each_gets_its_own_response(
    server: KeyServer, client: HttpClient
) -> None:
    server.answer = server.sends_path
    wrong: list[Any] = []

    def call(which: int) -> None:
        for number in range(25):
            path = f"/{which}-{number}"
            if get(client, f"{server.url}{path}") != {"path": path}:
                wrong.append(path)

    threads = [threading.Thread(target=call, args=(which,)) for which in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(server.connections) <= 8


def in_the_child(client: HttpClient, url: str, answers: Any) -> None:
    answers.put([get(client, f"{url}/child-{number}")["path"] for number in range(10)])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_leaves_the_connections_to_its_parent(
    server: KeyServer, client: HttpClient
) -> None:
    server.answer = server.sends_path
    get(client, f"{server.url}/first")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    children = [
        context.Process(target=in_the_child, args=(client, server.url, answers)) for _ in range(2)
    ]
    for child in children:
        child.start()
    for number in range(10):
        assert get(client, f"{server.url}/{number}") == {"path": f"/{number}"}
    for child in children:
        assert answers.get(timeout=PATIENCE) == [f"/child-{number}" for number in range(10)]
        child.join(PATIENCE)
        assert child.exitcode == 0
    assert len(server.connections) == 3


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys, time
import gevent
from jwt_authz.errors import StoreUnavailable
from jwt_authz.issuers.http import HttpClient
plain, dripping, authority = sys.argv[1:]
client = HttpClient(ca_bundle=authority)

def call(which):
    paths = [f"/{which}-{number}" for number in range(5)]
    until = time.monotonic() + 60
    return all(client.get_json(plain + path, until) == {"path": path} for path in paths)

greenlets = [gevent.spawn(call, which) for which in range(50)]
gevent.joinall(greenlets, raise_error=True)
print(all(greenlet.value for greenlet in greenlets))
begin = time.monotonic()
try:
    client.get_json(dripping, begin + 0.5)
except StoreUnavailable as error:
    print(error, time.monotonic() - begin < 20)
"""


@pytest.mark.slow
def test_greenlets_share_connections_and_a_slow_tls_record_has_a_deadline(
    server: KeyServer, tmp_path: Path
) -> None:
    server.answer = server.sends_path
    authority, _ = issued(tmp_path, "localhost")
    with dripping_bytes(b"\x16\x03\x03\x40\x00") as port:  # a handshake record of 16 KiB
        run = subprocess.run(
            [
                *(sys.executable, "-c", GREENLETS),
                *(server.url, f"https://127.0.0.1:{port}/", str(authority)),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert run.stdout.splitlines() == ["True", "127.0.0.1: TimeoutError True"], run.stderr
    assert len(server.connections) <= 50


# --- deadlines -----------------------------------------------------------------------------------


class dripping_bytes:
    """A server that sends some bytes at once, and then one now and then; gives its port."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._ends = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._drip, daemon=True)

    def _drip(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            try:
                connection.sendall(self._first)
                while not self._ends.wait(0.05):
                    connection.sendall(b"\x00")
            except OSError:
                pass

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._server.getsockname()[1]
        return port

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._server.close()
        self._thread.join(PATIENCE)


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x03\x40\x00"], ids=["silence", "a slow record"])
def test_a_tls_handshake_ends_at_the_deadline(first: bytes, client: HttpClient) -> None:
    with (
        dripping_bytes(first) as port,
        pytest.raises(StoreUnavailable, match=r"TimeoutError|SSLError"),
    ):
        get(client, f"https://127.0.0.1:{port}/", 0.3)


def test_a_proxy_that_drips_its_answer_ends_at_the_deadline(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dripping_bytes(b"HTTP/1.1 200 OK\r\nX: ") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            get(client, URL, 0.3)


def test_a_name_that_is_not_resolved_in_time_ends_at_the_deadline(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: ends.wait(PATIENCE))
    with pytest.raises(StoreUnavailable, match="TimeoutError"):
        get(client, URL, 0.2)
    assert not ends.is_set()
    ends.set()


@pytest.mark.slow
def test_an_address_that_does_not_respond_leaves_time_for_the_next(
    server: KeyServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a host has an IPv6 address that nothing is routed to."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:  # fill the queue, after which connections are not answered
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        found = [(*kind, ("127.0.0.1", port)), (*kind, ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: found)
        assert get(client, f"http://localhost:{server.port}/jwks", 2.0) == jwks()
        for each in waiting:
            each.close()


def test_plain_http_reaches_only_private_addresses(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY 2.54: whatever a name resolves to at this moment."""
    client = HttpClient(plain_http=True)
    for address in ("127.0.0.1", "169.254.169.254", "93.184.215.14"):
        found = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, found=found, **more: [found])
        with pytest.raises(StoreUnavailable, match=r"keycloak\.internal: OSError"):
            get(client, f"http://keycloak.internal:{server.port}/jwks")
    assert not server.connections


def test_plain_http_inside_a_private_network_is_spoken_if_it_is_enabled(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: [here])
    monkeypatch.setattr("jwt_authz.issuers.egress._is_private", lambda address: True)
    url = f"http://keycloak.internal:{server.port}/jwks"
    assert get(HttpClient(plain_http=True), url) == jwks()
    with pytest.raises(MisuseError, match="plain http is only for loopback"):
        get(HttpClient(), url)


def test_the_body_of_a_request_is_json(server: KeyServer, client: HttpClient) -> None:
    got: list[Any] = []

    def answer(handler: Any) -> None:
        got.append(json.loads(handler.rfile.read(int(handler.headers["Content-Length"]))))
        server.sends_path(handler)

    server.answer = answer
    until = time.monotonic() + PATIENCE
    assert client.post_json(f"{server.url}/ask?a=b", {"a": 1}, until, {}) == {"path": "/ask?a=b"}
    assert got == [{"a": 1}]
