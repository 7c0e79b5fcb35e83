"""Where requests may be sent, and through which proxy (SECURITY 2.54)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jwt_authz.errors import MisuseError
from jwt_authz.issuers.egress import check_url, may_connect, proxy_for


@pytest.fixture(autouse=True)
def no_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "url",
    [
        *("http://keycloak.internal:8080/realms/shop", "http://10.1.2.3/", "http://192.168.0.1/"),
        *("http://172.31.0.1/", "http://100.64.0.1/", "http://[fd12::1]:8080/", "http://keycloak/"),
    ],
)
def test_plain_http_is_for_private_networks_if_it_is_enabled(url: str) -> None:
    assert check_url(url, plain_http=True) == url
    with pytest.raises(MisuseError, match="or unsafe_plain_http=True for a server in a private"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://8.8.8.8/", "http://[2001:db8::1]/", "http://172.32.0.1/", "http://0.0.0.0/"),
        *("http://2130706433/", "http://0x7f000001/", "http://127.1/", "http://010.0.0.1/"),
        *("http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://224.0.0.1/"),
        *("http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/", "http://100.100.100.200/"),
        *("http://user:pw@10.0.0.1/", "ftp://10.0.0.1/"),
    ],
)
def test_plain_http_is_never_for_other_addresses(url: str) -> None:
    with pytest.raises(MisuseError):
        check_url(url, plain_http=True)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]"])
def test_link_local_and_metadata_addresses_are_refused_over_https_as_well(host: str) -> None:
    with pytest.raises(MisuseError, match="not sent to link-local addresses"):
        check_url(f"https://{host}/latest")


@pytest.mark.parametrize(
    ("scheme", "host", "address", "may"),
    [
        ("https", "issuer.example", "93.184.215.14", True),
        ("https", "issuer.example", "10.0.0.1", True),
        ("https", "issuer.example", "127.0.0.1", True),
        ("https", "issuer.example", "169.254.169.254", False),
        ("https", "issuer.example", "::ffff:169.254.169.254", False),
        ("https", "issuer.example", "fd00:ec2::254", False),
        ("http", "localhost", "127.0.0.1", True),
        ("http", "localhost", "::1", True),
        ("http", "localhost", "10.0.0.1", False),
        ("http", "localhost", "93.184.215.14", False),
        ("http", "127.0.0.1", "127.0.0.1", True),
        ("http", "keycloak.internal", "10.0.0.1", True),
        ("http", "keycloak.internal", "fd12::1", True),
        ("http", "keycloak.internal", "127.0.0.1", False),
        ("http", "keycloak.internal", "93.184.215.14", False),
        ("http", "keycloak.internal", "169.254.169.254", False),
        ("http", "keycloak.internal", "100.100.100.200", False),
        ("https", "issuer.example", "not an address", False),
    ],
)
def test_a_name_that_resolves_to_another_kind_of_address_is_not_contacted(
    scheme: str, host: str, address: str, may: bool
) -> None:
    assert may_connect(scheme, host, address) is may


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_https_goes_through_the_proxy_of_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://proxy.internal:3128")
    assert proxy_for("https://issuer.example/jwks") == "http://proxy.internal:3128"
    monkeypatch.setenv(name, "proxy.internal:3128")
    assert proxy_for("https://issuer.example/jwks") == "http://proxy.internal:3128"


def test_plain_http_and_this_machine_use_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.internal:3128")
    for url in ("http://localhost/", "http://10.0.0.1/", "https://localhost/", "https://[::1]/"):
        assert proxy_for(url) is None


@pytest.mark.parametrize(
    ("rules", "url", "is_excepted"),
    [
        ("*", "https://issuer.example/", True),
        ("issuer.example", "https://issuer.example/", True),
        (".example", "https://issuer.example/", True),
        ("*.example", "https://issuer.example/", True),
        ("ISSUER.example", "https://issuer.EXAMPLE/", True),
        ("other, issuer.example", "https://a.issuer.example/", True),
        ("other issuer.example", "https://issuer.example/", True),
        ("issuer.example:443", "https://issuer.example/", True),
        ("issuer.example:8443", "https://issuer.example/", False),
        ("suer.example", "https://issuer.example/", False),
        ("issuer.example.org", "https://issuer.example/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.1.2.3", "https://10.1.2.3/", True),
        ("10.1.2.3:8443", "https://10.1.2.3:8443/", True),
        ("fd00::/8", "https://[fd12::1]/", True),
        ("[fd12::1]", "https://[fd12::1]/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("3", "https://10.1.2.3/", False),
        ("", "https://issuer.example/", False),
        (",.,", "https://issuer.example/", False),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(
    rules: str, url: str, is_excepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.internal:3128")
    monkeypatch.setenv("NO_PROXY", rules)
    assert (proxy_for(url) is None) is is_excepted


def test_a_proxy_of_another_kind_is_a_misuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@proxy.internal")
    with pytest.raises(MisuseError, match="expected http://host:port") as caught:
        proxy_for("https://issuer.example/")
    assert "secret" not in str(caught.value)


WITHOUT = """
import sys
sys.modules["urllib3"] = None
from flask import Flask
from jwt_authz import Authz
from jwt_authz.contrib.authzen import AuthZEN, Question, asks
from jwt_authz.issuers import Issuer
authz = Authz(Flask("shop"))
issuer = Issuer("https://id.example", "orders", "ES256", discovery=True)
for configure in (lambda: authz.trust(issuer), lambda: AuthZEN("https://pdp.example")):
    try:
        configure()
    except ImportError as error:
        print(error)
"""


@pytest.mark.slow
def test_without_urllib3_the_configuration_names_the_extra() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == 2 * [
        "requests to issuers and decision points needs urllib3 2, which is not installed: "
        "pip install 'jwt_authz[http]'"
    ]
