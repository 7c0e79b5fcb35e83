"""An issuer's keys over the network: fetched rarely, kept while it is down, never waited for.

Against a real server on loopback that misbehaves in every way (SECURITY 1.4, 1.8, 2.54, 2.55, F9),
and against a clock that the tests turn.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from jwt_authz.errors import KeyUnknown, MisuseError, SignatureInvalid, StoreUnavailable
from jwt_authz.issuers import http as fetch
from jwt_authz.issuers import remote_keys
from jwt_authz.issuers.egress import check_url
from jwt_authz.issuers.http import MOST_BYTES, HttpClient
from jwt_authz.issuers.jwk_set import MOST_KEYS, read_jwk_set
from jwt_authz.issuers.remote_keys import APART, FRESH, KEPT, FixedKeys, Lease, RemoteKeys
from jwt_authz.tokens.jwk import new_jwk
from jwt_authz.tokens.jws import Signed
from tests.foreign import Clock, KeyServer, jwk, jwks, listening, self_signed, send
from tests.patience import PATIENCE, eventually

KNOWN = {"alg": "ES256", "kid": "k1"}


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys_of(server: KeyServer, clock: Callable[[], float], **more: Any) -> RemoteKeys:
    more.setdefault("jwks_uri", f"{server.url}/jwks")
    more.setdefault("fetch", fetch_json)
    return RemoteKeys(server.url, ["ES256"], clock=clock, **more)


def fetch_json(url: str, until: float) -> dict[str, Any]:
    return HttpClient().get_json(url, until)


def ask(keys: RemoteKeys | FixedKeys, kid: str | None = "k1") -> Lease:
    header = {"alg": "ES256"} if kid is None else {"alg": "ES256", "kid": kid}
    return keys.key_for(header, "https://issuer.example")


def land(keys: RemoteKeys) -> None:
    """Wait until no fetch is in progress."""
    fetch = keys._fetching
    if fetch is not None:
        assert fetch.wait(PATIENCE)


MISBEHAVIOURS: dict[str, Callable[[KeyServer], None]] = {
    "500": lambda server: server.sends("{}", 500),
    "404": lambda server: server.sends(json.dumps(jwks()), 404),
    "201": lambda server: server.sends(json.dumps(jwks()), 201),
    "HTML": lambda server: server.sends("<html>sign in</html>", Content_Type="text/html"),
    "nothing": lambda server: server.sends(""),
    "no object": lambda server: server.sends("[]"),
    "null": lambda server: server.sends("null"),
    "no keys": lambda server: server.sends('{"keys": []}'),
    "keys other than a list": lambda server: server.sends('{"keys": {"kty": "EC"}}'),
    "a repeated member": lambda server: server.sends('{"keys": [], "keys": []}'),
    "deep nesting": lambda server: server.sends('{"keys": ' + "[" * 5_000 + "]" * 5_000 + "}"),
    "another encoding": lambda server: server.sends(json.dumps(jwks()).encode("utf-16")),
    "a compressed answer": lambda server: server.sends(b"\x1f\x8b", Content_Encoding="gzip"),
    "5 MiB": lambda server: server.sends(b" " * 5 * 1024 * 1024 + json.dumps(jwks()).encode()),
    "a drip": lambda server: setattr(server, "answer", server.drips),
    "a drip of headers": lambda server: setattr(server, "answer", server.drips_headers),
    "silence": lambda server: setattr(server, "answer", server.is_silent),
    "a closed connection": lambda server: setattr(server, "answer", server.hangs_up),
    "nonsense": lambda server: setattr(
        server, "answer", lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
    ),
    "too many keys": lambda server: setattr(
        server, "document", jwks(*(jwk(f"k{n}") for n in range(MOST_KEYS + 1)))
    ),
    "keys of another kind": lambda server: setattr(server, "document", jwks(jwk("k1", "RS256"))),
}
misbehaving = pytest.mark.parametrize("misbehave", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS)


# --- keys that are there -------------------------------------------------------------------------


def test_a_key_is_fetched_once_and_then_kept(server: KeyServer, clock: Clock) -> None:
    keys = keys_of(server, clock)
    first = ask(keys)
    assert first.key.name == "ES256"
    for _ in range(100):
        assert ask(keys).key is first.key
    clock.now += FRESH - 1
    assert ask(keys) == first
    assert server.asked == {"/jwks": 1}
    assert (first.since, first.until) == (clock.now - FRESH + 1, clock.now + 1)


def test_nothing_is_fetched_before_a_token_comes(server: KeyServer, clock: Clock) -> None:
    keys_of(server, clock)
    assert not server.asked


def test_keys_that_are_no_longer_fresh_are_fetched_again_while_the_old_ones_serve(
    server: KeyServer, clock: Clock
) -> None:
    keys = keys_of(server, clock)
    old = ask(keys)
    clock.now += FRESH
    server.document = jwks(jwk(which=1))
    assert ask(keys).key is old.key
    land(keys)
    assert ask(keys).key is not old.key
    assert server.asked["/jwks"] == 2


def test_a_key_that_was_withdrawn_is_unknown_once_the_keys_are_fetched_again(
    server: KeyServer, clock: Clock
) -> None:
    keys = keys_of(server, clock)
    ask(keys)
    server.document = jwks(jwk("k2", which=1))
    clock.now += FRESH
    ask(keys)
    land(keys)
    with pytest.raises(KeyUnknown):
        ask(keys)
    assert ask(keys, "k2").key.name == "ES256"


def test_without_an_end_of_their_freshness_a_withdrawn_key_would_be_known_for_ever(
    server: KeyServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_keys, "FRESH", KEPT)  # what the test before this one rests on
    keys = keys_of(server, clock)
    ask(keys)
    server.document = jwks(jwk("k2", which=1))
    clock.now += FRESH
    ask(keys)
    land(keys)
    assert ask(keys).key.name == "ES256"


def test_a_key_that_was_added_is_fetched_by_the_first_token_that_names_it(
    server: KeyServer, clock: Clock
) -> None:
    keys = keys_of(server, clock)
    ask(keys)
    server.document = jwks(jwk(), jwk("k2", which=1))
    clock.now += APART
    assert ask(keys, "k2").key.name == "ES256"
    assert server.asked["/jwks"] == 2


def test_callers_at_once_share_one_fetching(server: KeyServer, clock: Clock) -> None:
    keys, start = keys_of(server, clock), threading.Barrier(16)
    server.answer = lambda handler: (time.sleep(0.2), send(handler, json.dumps(jwks())))[1]
    found: list[Any] = []

    def call() -> None:
        start.wait()
        try:
            found.append(ask(keys).key)
        except StoreUnavailable:
            land(keys)
            found.append(ask(keys).key)

    callers = [threading.Thread(target=call) for _ in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 16
    assert len(set(map(id, found))) == 1
    assert server.asked["/jwks"] == 1


# --- a flood of keys that are not there ----------------------------------------------------------


def test_ten_thousand_unknown_kids_in_a_minute_are_a_fetch_in_thirty_seconds(
    server: KeyServer, clock: Clock
) -> None:
    """SECURITY 1.8, F9."""
    keys, began = keys_of(server, clock), clock.now
    ask(keys)
    for number in range(10_000):
        clock.now = began + 60 * number / 10_000
        with pytest.raises(KeyUnknown):
            ask(keys, f"no-{number}")
    assert server.asked["/jwks"] == 2  # at the beginning, and after thirty seconds
    assert ask(keys).key.name == "ES256"


def test_without_the_thirty_seconds_each_unknown_kid_would_be_a_fetch(
    server: KeyServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_keys, "APART", 0.0)  # what the test before this one rests on
    keys = keys_of(server, clock)
    for number in range(50):
        with pytest.raises(KeyUnknown):
            ask(keys, f"no-{number}")
    assert server.asked["/jwks"] == 50


@misbehaving
def test_a_flood_at_an_issuer_that_misbehaves_is_a_fetch_in_thirty_seconds_all_the_same(
    misbehave: Callable[[KeyServer], None], server: KeyServer, clock: Clock
) -> None:
    keys, began = keys_of(server, clock, fetch=hurried(server)), clock.now
    misbehave(server)
    for number in range(200):
        clock.now = began + 60 * number / 200
        with pytest.raises((KeyUnknown, StoreUnavailable)):
            ask(keys, f"no-{number}")
        land(keys)
    assert 1 <= server.asked["/jwks"] <= 2


def hurried(server: KeyServer) -> Callable[[str, float], dict[str, Any]]:
    """The fetch itself, which has less time for an answer that will not be good."""

    def fetch(url: str, until: float) -> dict[str, Any]:
        soon = time.monotonic() + 0.2
        return fetch_json(url, until if server.answer is None else min(until, soon))

    return fetch


def test_fetches_begin_at_least_thirty_seconds_apart(clock: Clock) -> None:
    times: list[float] = []

    def fetch(url: str, until: float) -> dict[str, Any]:
        times.append(clock.now)
        raise StoreUnavailable("down")

    keys, began = (
        RemoteKeys("i", ["ES256"], jwks_uri="https://i", clock=clock, fetch=fetch),
        clock(),
    )
    for second in range(300):
        clock.now = began + second
        with pytest.raises(StoreUnavailable):
            ask(keys)
        land(keys)
    assert len(times) == 10
    assert all(later - earlier >= APART for earlier, later in itertools.pairwise(times))


def test_a_fetch_that_does_not_end_stays_the_only_one(clock: Clock) -> None:
    ends, began = threading.Event(), []

    def fetch(url: str, until: float) -> dict[str, Any]:
        began.append(clock.now)
        assert ends.wait(PATIENCE)
        return jwks()

    keys = RemoteKeys("i", ["ES256"], jwks_uri="https://i", clock=clock, fetch=fetch)
    callers = [threading.Thread(target=ask, args=(keys,)) for _ in range(2)]
    for caller in callers:
        clock.now += 10 * APART
        caller.start()
        while not began:
            time.sleep(0.001)
    time.sleep(0.05)
    ends.set()
    for caller in callers:
        caller.join()
    assert len(began) == 1


def test_a_token_without_a_kid_never_makes_a_fetch(server: KeyServer, clock: Clock) -> None:
    server.document = jwks(jwk(), jwk("k2", which=1))
    keys = keys_of(server, clock)
    ask(keys)
    clock.now += APART
    with pytest.raises(KeyUnknown, match="no kid, but the issuer has several keys"):
        ask(keys, None)
    assert server.asked["/jwks"] == 1


def test_few_wait_for_a_missing_key_and_nobody_for_one_that_is_there(
    server: KeyServer, clock: Clock
) -> None:
    keys, refused = keys_of(server, clock), queue.SimpleQueue[str]()
    ask(keys)
    clock.now += APART
    server.answer = server.is_silent

    def miss() -> None:
        with pytest.raises((StoreUnavailable, KeyUnknown)) as caught:
            ask(keys, "missing")
        refused.put(str(caught.value))

    callers = [threading.Thread(target=miss) for _ in range(8)]
    for caller in callers:
        caller.start()
    answers = [refused.get(timeout=PATIENCE) for _ in range(6)]
    assert all("are being fetched" in answer for answer in answers)
    assert ask(keys).key.name == "ES256"
    eventually(lambda: sum(caller.is_alive() for caller in callers) == 2)
    server.ends.set()
    for caller in callers:
        caller.join()


def test_two_callers_wait_for_the_first_keys_of_a_slow_issuer_and_the_others_fail_at_once(
    server: KeyServer, clock: Clock
) -> None:
    keys, refused = keys_of(server, clock), queue.SimpleQueue[str]()
    server.answer = server.is_silent

    def call() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            ask(keys)
        refused.put(str(caught.value))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    # The fetch goes on: six are answered while two still wait for it.
    answers = [refused.get(timeout=PATIENCE) for _ in range(6)]
    assert all("are being fetched" in answer for answer in answers)
    eventually(lambda: sum(caller.is_alive() for caller in callers) == 2)
    server.ends.set()
    for caller in callers:
        caller.join()


# --- an issuer that misbehaves -------------------------------------------------------------------


@misbehaving
def test_an_issuer_that_misbehaves_from_the_start_has_no_keys(
    misbehave: Callable[[KeyServer], None], server: KeyServer, clock: Clock
) -> None:
    misbehave(server)
    keys = keys_of(server, clock, fetch=hurried(server))
    with pytest.raises(StoreUnavailable, match=r"no keys of .* are available"):
        ask(keys)


@pytest.mark.slow
@misbehaving
def test_the_last_good_keys_serve_for_a_day_while_the_issuer_misbehaves(
    misbehave: Callable[[KeyServer], None], server: KeyServer, clock: Clock
) -> None:
    """SECURITY 1.8, 2.50, F9."""
    keys = keys_of(server, clock, fetch=hurried(server))
    good, began = ask(keys), clock.now
    misbehave(server)
    for age in (FRESH, FRESH + APART, KEPT / 2, KEPT):
        clock.now = began + age
        assert ask(keys).key is good.key
        land(keys)
        lease = ask(keys)
        assert lease.key is good.key
        assert lease.until <= min(clock.now + APART, began + KEPT)
    clock.now = began + KEPT + 1
    with pytest.raises(StoreUnavailable):
        ask(keys)
    server.answer, server.document = None, jwks()
    clock.now += APART
    assert ask(keys).key.name == "ES256"


def test_an_issuer_that_is_down_has_no_keys_and_is_asked_again_when_it_is_back(
    clock: Clock,
) -> None:
    with KeyServer() as server:
        keys = keys_of(server, clock)
    with pytest.raises(StoreUnavailable):
        ask(keys)
    with pytest.raises(StoreUnavailable):
        ask(keys)


def test_while_an_issuer_drips_calls_with_known_keys_do_not_wait(clock: Clock) -> None:
    ends, asked = threading.Event(), []

    def fetch(url: str, until: float) -> dict[str, Any]:
        asked.append(url)
        assert len(asked) == 1 or ends.wait(PATIENCE)
        return jwks()

    keys = RemoteKeys("i", ["ES256"], jwks_uri="https://i", clock=clock, fetch=fetch)
    ask(keys)
    clock.now += FRESH
    assert [ask(keys).key.name for _ in range(100)] == ["ES256"] * 100
    assert not ends.is_set(), "the second fetch has not ended"
    ends.set()
    land(keys)
    assert len(asked) == 2


@pytest.mark.parametrize("behaviour", ["drips", "drips_headers", "is_silent"])
def test_a_fetch_ends_in_its_time_however_slowly_it_is_answered(
    behaviour: str, server: KeyServer
) -> None:
    server.answer = getattr(server, behaviour)
    start = time.monotonic()
    gives_up = threading.Timer(PATIENCE, server.ends.set)  # which is another error
    gives_up.start()
    with pytest.raises(StoreUnavailable, match="TimeoutError"):
        fetch_json(f"{server.url}/jwks", start + 0.4)
    gives_up.cancel()
    assert time.monotonic() - start >= 0.4


def test_a_fetch_whose_time_is_over_does_not_begin(server: KeyServer) -> None:
    with pytest.raises(StoreUnavailable):
        fetch_json(f"{server.url}/jwks", time.monotonic() - 1)
    assert not server.asked


def test_an_answer_has_a_bound_with_and_without_a_stated_length(server: KeyServer) -> None:
    """SECURITY 2.53, F9."""
    fits = b'{"x": "' + b"a" * (MOST_BYTES - 9) + b'"}'
    server.sends(fits)
    assert len(fetch_json(server.url, time.monotonic() + PATIENCE)["x"]) == MOST_BYTES - 9
    server.sends(fits + b" ")
    with pytest.raises(StoreUnavailable, match="more than"):
        fetch_json(server.url, time.monotonic() + PATIENCE)

    def unending(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + fits)
        handler.wfile.write(b" " * 1024)

    server.answer = unending
    with pytest.raises(StoreUnavailable, match="more than"):
        fetch_json(server.url, time.monotonic() + PATIENCE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, server: KeyServer) -> None:
    """SECURITY 2.54."""
    with listening() as (elsewhere, met):
        for target in (elsewhere, "http://169.254.169.254/latest", "file:///etc/passwd", "/jwks2"):
            server.sends(json.dumps(jwks()), status, Location=target)
            with pytest.raises(StoreUnavailable, match=f"the response has the status {status}"):
                fetch_json(f"{server.url}/jwks", time.monotonic() + PATIENCE)
        assert not met
    assert set(server.asked) == {"/jwks"}


def test_a_fetch_asks_no_proxy(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (proxy, met):
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.upper(), proxy)
        assert fetch_json(f"{server.url}/jwks", time.monotonic() + PATIENCE) == jwks()
        assert not met


def test_https_checks_the_certificate(server: KeyServer) -> None:
    url = server.url.replace("http:", "https:")
    with pytest.raises(StoreUnavailable, match=r"SSL|Connection"):
        fetch_json(url, time.monotonic() + PATIENCE)
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED


def test_https_is_spoken_to_a_server_whose_certificate_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    with KeyServer(certificate) as server:
        url = f"https://localhost:{server.port}/jwks"
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            fetch_json(url, time.monotonic() + PATIENCE)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch_json(url, time.monotonic() + PATIENCE) == jwks()
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            fetch_json(url.replace("localhost", "127.0.0.1"), time.monotonic() + PATIENCE)


def test_the_authorities_that_are_trusted_are_read_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    monkeypatch.setattr(fetch, "monotonic", lambda: time.monotonic() + later)
    authorities = tmp_path / "authorities.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    certificate = self_signed(tmp_path)
    with KeyServer(certificate) as server:
        url = f"https://localhost:{server.port}/jwks"
        for wrote in (False, True):
            if wrote:
                authorities.write_bytes(certificate.read_bytes())
            with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
                fetch_json(url, fetch.monotonic() + PATIENCE)
        later = 600
        assert fetch_json(url, fetch.monotonic() + PATIENCE) == jwks()


def test_a_name_of_this_machine_that_leads_elsewhere_is_not_spoken_to(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY 2.54."""
    url = server.url.replace("127.0.0.1", "localhost")
    assert fetch_json(url, time.monotonic() + PATIENCE)
    elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: [elsewhere])
    with pytest.raises(StoreUnavailable, match="localhost: OSError"):
        fetch_json(url, time.monotonic() + PATIENCE)


URLS_TO_REFUSE = [
    *("http://issuer.example/jwks", "http://10.0.0.1/jwks", "http://169.254.169.254/"),
    *("ftp://issuer.example/", "file:///etc/passwd", "gopher://issuer.example/", "data:,x"),
    *("https:///jwks", "https://", "issuer.example/jwks", "//issuer.example", "", "/jwks"),
    *("https://user:pw@issuer.example/", "https://a@b/", "https://issuer.example/#x"),
    *("https://issuer.example:0/", "https://issuer.example:99999/", "https://issuer.example:x/"),
    *("https://issuer.example/a b", "https://issuer.example/\r\nX: y", "https://iss\tuer.example/"),
    *("http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://2130706433/"),
    *("https://\u0456ssuer.example/", None, 7, b"https://issuer.example/", ["https://a.example"]),
]


@pytest.mark.parametrize("url", URLS_TO_REFUSE)
def test_a_url_that_keys_may_not_be_fetched_from_is_a_misuse(url: Any) -> None:
    """SECURITY 2.54."""
    with pytest.raises(MisuseError):
        check_url(url)
    with pytest.raises(MisuseError):
        RemoteKeys(
            "https://issuer.example", ["ES256"], fetch_json, jwks_uri=url, metadata=url or ""
        )


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://issuer.example/jwks",
            "https://issuer.example",
            "https://issuer.example:8443/a?b",
        ),
        *("http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]:8080/jwks"),
    ],
)
def test_https_and_loopback_are_fetched_from(url: str) -> None:
    assert check_url(url) == url


# --- discovery -----------------------------------------------------------------------------------


def discovered(server: KeyServer, clock: Clock) -> RemoteKeys:
    return keys_of(
        server, clock, jwks_uri=None, metadata=f"{server.url}/.well-known/openid-configuration"
    )


def test_the_metadata_says_where_the_keys_are(server: KeyServer, clock: Clock) -> None:
    keys = discovered(server, clock)
    assert ask(keys).key.name == "ES256"
    assert server.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1}


@pytest.mark.parametrize(
    "issuer", ["{url}/", "{url}x", "https://other.example", "", None, ["{url}"]]
)
def test_metadata_of_another_issuer_are_refused(
    issuer: Any, server: KeyServer, clock: Clock
) -> None:
    """SECURITY 2.55."""
    named = issuer.format(url=server.url) if isinstance(issuer, str) else issuer
    server.metadata = {"issuer": named}
    with pytest.raises(StoreUnavailable):
        ask(discovered(server, clock))
    assert "/jwks" not in server.asked


@pytest.mark.parametrize("uri", ["http://issuer.example/jwks", "file:///etc/passwd", None, 7, ""])
def test_metadata_that_name_no_https_address_are_refused(
    uri: Any, server: KeyServer, clock: Clock
) -> None:
    """SECURITY 2.55."""
    server.metadata = {"jwks_uri": uri}
    with pytest.raises(StoreUnavailable):
        ask(discovered(server, clock))
    assert "/jwks" not in server.asked


def test_metadata_from_elsewhere_cannot_send_us_to_this_machine(clock: Clock) -> None:
    """SECURITY 2.54."""
    with listening() as (url, met):
        metadata = {"issuer": "https://issuer.example", "jwks_uri": url}
        keys = RemoteKeys(
            "https://issuer.example",
            ["ES256"],
            metadata="https://issuer.example/.well-known/openid-configuration",
            clock=clock,
            fetch=lambda asked, until: metadata if asked != url else fetch_json(url, until),
        )
        with pytest.raises(StoreUnavailable):
            ask(keys)
        assert not met


# --- which keys of a set are used ----------------------------------------------------------------


def usable(
    *keys: Any, algorithms: tuple[str, ...] = ("ES256",), template: str | None = None
) -> Any:
    return read_jwk_set(list(keys), algorithms, template)


@pytest.mark.parametrize(
    "unfit",
    [
        jwk("k2", which=1, use="enc"),
        jwk("k2", which=1, alg="ES384"),
        jwk("k2", which=1, key_ops=["sign"]),
        jwk("k2", which=1, crv="P-384"),
        jwk("k2", which=1, x="AAAA"),
        {**new_jwk("ES256"), "kid": "k2"},  # a private one
        jwk("k2", "RS256"),
        jwk("", which=1),
        jwk(7, which=1),  # type: ignore[arg-type]
        {"kid": "k2", "kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kid": "k2"},
        "k2",
        None,
        [],
    ],
    ids=lambda value: str(value)[:14],
)
def test_a_key_that_is_unfit_is_left_out_and_the_others_serve(unfit: Any) -> None:
    keys = usable(jwk(), unfit)
    assert keys.find(KNOWN, "i") is not None
    assert keys.find({"alg": "ES256", "kid": "k2"}, "i") is None
    assert len(keys.left_out) == 1


def test_of_two_keys_with_one_kid_neither_serves() -> None:
    """SECURITY F9."""
    keys = usable(jwk(), jwk(which=1), jwk("k2", which=2))
    assert keys.find(KNOWN, "i") is None
    assert keys.find({"alg": "ES256", "kid": "k2"}, "i") is not None
    assert keys.left_out == ["two keys have the same kid"]
    with pytest.raises(KeyUnknown):
        keys.find({"alg": "ES256"}, "i")
    assert not usable(jwk(), jwk())


def test_of_two_secrets_each_verifies_by_its_kid_and_neither_by_a_common_one() -> None:
    first, second = new_jwk("HS256"), new_jwk("HS256")
    token = jwt.encode({}, jwt.utils.base64url_decode(first["k"]), headers={"kid": first["kid"]})
    signed = Signed(token)

    both = usable(first, second, algorithms=("HS256",))
    signed.check_signature(both.find(signed.header, "i"))
    with pytest.raises(SignatureInvalid):
        signed.check_signature(both.find({"kid": second["kid"]}, "i"))
    for order in ((first, second), (second, first)):
        same = [{**one, "kid": first["kid"]} for one in order]
        assert usable(*same, algorithms=("HS256",)).find(signed.header, "i") is None


def test_two_keys_with_one_kid_of_which_one_encrypts_are_one_key() -> None:
    assert usable(jwk(), jwk(which=1, use="enc")).find(KNOWN, "i") is not None


def test_a_token_without_a_kid_is_that_of_the_only_key() -> None:
    assert usable(jwk()).find({"alg": "ES256"}, "i") is not None
    nameless = usable(jwk(None))
    assert nameless.find({"alg": "ES256"}, "i") is not None
    assert nameless.find(KNOWN, "i") is None


def test_a_key_without_a_kid_among_others_serves_nobody() -> None:
    keys = usable(jwk(None), jwk("k2", which=1))
    assert keys.find(KNOWN, "i") is None
    assert keys.find({"alg": "ES256", "kid": "k2"}, "i") is not None
    with pytest.raises(KeyUnknown):
        keys.find({"alg": "ES256"}, "i")


def test_a_key_without_alg_is_for_the_one_algorithm_that_it_fits() -> None:
    plain = jwk("k1", "RS256", alg=...)
    assert usable(plain, algorithms=("RS256", "ES256")).find(KNOWN, "i").name == "RS256"
    assert not usable(plain, algorithms=("RS256", "PS256"))
    assert "fits several" in usable(plain, algorithms=("RS256", "PS256")).left_out[0]


def test_a_short_rsa_key_is_left_out() -> None:
    short = {**jwk("k1", "RS256"), "n": "vx" + "A" * 169}
    assert not usable(short, algorithms=("RS256",))


def test_keys_of_several_tenants_may_be_of_one_alone() -> None:
    template = "https://login.example/{tenantid}/v2.0"
    mine, theirs = template.replace("{tenantid}", "t-1"), template.replace("{tenantid}", "t-2")
    keys = usable(jwk("all", issuer=template), jwk("one", which=1, issuer=mine), template=template)
    assert keys.find({"kid": "all"}, theirs) is not None
    assert keys.find({"kid": "one"}, mine) is not None
    with pytest.raises(KeyUnknown, match="another issuer"):
        keys.find({"kid": "one"}, theirs)
    assert not usable(jwk(issuer=7), template=template)


def test_fixed_keys_never_change_and_are_never_asked_for() -> None:
    keys = FixedKeys(usable(jwk()))
    assert ask(keys).until == float("inf")
    with pytest.raises(KeyUnknown):
        ask(keys, "other")


# --- time and processes --------------------------------------------------------------------------


def test_a_clock_that_is_set_back_makes_the_keys_old_and_not_eternal(
    server: KeyServer, clock: Clock
) -> None:
    keys = keys_of(server, clock)
    lease = ask(keys)
    clock.now -= 3_600
    assert not lease.since <= clock.now < lease.until
    assert ask(keys).key is lease.key
    land(keys)
    assert server.asked["/jwks"] == 2
    assert ask(keys).until == clock.now + FRESH


def test_a_clock_that_is_set_forward_a_day_has_the_keys_fetched_before_they_are_used(
    server: KeyServer, clock: Clock
) -> None:
    keys = keys_of(server, clock)
    ask(keys)
    clock.now += KEPT + 3_600
    server.document = jwks(jwk("k2"))
    with pytest.raises(KeyUnknown):
        ask(keys)
    assert server.asked["/jwks"] == 2


def in_the_child(keys: RemoteKeys, answers: Any) -> None:
    answers.put((ask(keys).key.name, ask(keys, "k2").key.name))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_the_keys_and_can_fetch_others(
    server: KeyServer, clock: Clock
) -> None:
    keys = keys_of(server, clock)
    ask(keys)
    server.document = jwks(jwk(), jwk("k2", which=1))
    clock.now += APART
    keys._fetching = threading.Event()  # as if a thread of the parent were fetching
    keys._lock.acquire()  # and held the lock
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=in_the_child, args=(keys, answers))
    child.start()
    assert answers.get(timeout=PATIENCE) == ("ES256", "ES256")
    child.join(PATIENCE)
    assert child.exitcode == 0


def test_the_log_tells_why_keys_were_not_fetched_and_nothing_that_was_sent(
    server: KeyServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server.sends("<html>a secret page\r\nforged line</html>")
    with pytest.raises(StoreUnavailable):
        ask(keys_of(server, clock))
    (record,) = caplog.records
    assert server.url in record.getMessage()
    assert "secret" not in caplog.text
    assert "forged" not in caplog.text
