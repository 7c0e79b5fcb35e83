"""Egress: which URLs and addresses this application sends requests to, and through which proxy.

The operator decides which addresses are contacted (OWASP ASVS 15.3.2): https to any host, and plain
http to this machine or, if that is enabled, inside a private network. Link-local addresses and
those of cloud metadata services are never contacted.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from ..errors import MisuseError, StoreUnavailable

PORTS = {"http": 80, "https": 443}

_VISIBLE = re.compile("[!-~]+")
_PRIVATE = tuple(  # RFC 1918, RFC 6598 and RFC 4193
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_METADATA = frozenset(  # those of clouds that are not link-local
    ipaddress.ip_address(address)
    for address in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WrongStatus(StoreUnavailable):
    """A response whose status is not 200; `status` is that status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the response has the status {status}, expected 200")
        self.status = status


class JsonClient(Protocol):
    """What sends requests: `HttpClient`."""

    def check_url(self, url: object) -> str:
        """Return the URL if requests may be sent to it, else raise `MisuseError`."""
        ...

    def get_json(self, url: str, until: float) -> dict[str, Any]:
        """Return the JSON object at a URL; raise `StoreUnavailable` for anything else."""
        ...

    def post_json(
        self, url: str, members: Mapping[str, Any], until: float, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Post a JSON object and return the response; otherwise as `get_json`."""
        ...


def open_client(ca_bundle: str | None = None, plain_http: bool = False) -> JsonClient:
    """Return a client for JSON over HTTP; raise ImportError if the extra `http` is missing.

    It is imported by name, so that only applications that send requests need urllib3.
    """
    module = import_module(f"{__package__}.http")
    client: JsonClient = module.HttpClient(ca_bundle=ca_bundle, plain_http=plain_http)
    return client


def check_url(url: object, *, plain_http: bool = False) -> str:
    """Return the URL if requests may be sent to it, else raise `MisuseError`.

    Accepted are https URLs with a host, without user and fragment, and plain http to a loopback
    address or, with `plain_http`, to a name or a private address. A URL may contain a password or
    a key, so errors show only its scheme and host.
    """
    parts = _split(url)
    if parts is None:
        kind = "" if isinstance(url, str) else f" a {type(url).__name__},"
        raise MisuseError(f"Invalid URL:{kind} expected https://host/path, without blanks.")
    shown = f"{parts.scheme}://{parts.hostname}"
    if "@" in parts.netloc:
        raise MisuseError(
            f"Invalid URL of {shown}: it must not contain a user name or a password. Remove "
            "everything up to the '@'."
        )
    if parts.fragment:
        raise MisuseError(f"Invalid URL of {shown}: remove the fragment, from the '#' on.")
    _check_host(parts, shown, plain_http)
    return str(url)


def is_plain_http(url: str) -> bool:
    """Return whether a URL is plain http."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http"


def is_plain_loopback(url: str) -> bool:
    """Return whether a URL is plain http to this machine itself."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and _names_loopback(parts.hostname or "")


def may_connect(scheme: str, host: str, address: str) -> bool:
    """Return whether a request for a host of a checked URL may be sent to one of its addresses.

    With plain http this keeps out names that resolve to another machine than the URL seems to
    name, also if they do so only now (DNS rebinding).
    """
    found = _address(address)
    if found is None or _is_forbidden(found):
        return False
    if scheme == "https":
        return True
    return found.is_loopback if _names_loopback(host) else _is_private(found)


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for a checked URL, by `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`.

    Only https goes through a proxy, in a tunnel. Raise `MisuseError` for a proxy of another kind
    than http and https.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = _variable("https_proxy") or _variable("all_proxy")
    if not proxy or parts.scheme != "https" or _names_loopback(host):
        return None
    if any(_matches(rule, host, parts.port or PORTS["https"]) for rule in _no_proxy()):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if _split(proxy) is None:
        raise MisuseError("Invalid HTTPS_PROXY: expected http://host:port or https://host:port.")
    return proxy


def _split(url: object) -> SplitResult | None:
    """Return the parts of an http or https URL; None for anything else."""
    if not isinstance(url, str) or not _VISIBLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port
        return None
    return parts if is_whole else None


def _check_host(parts: SplitResult, shown: str, plain_http: bool) -> None:
    host = parts.hostname or ""
    address = _address(host)
    if address is not None and _is_forbidden(address):
        raise MisuseError(
            f"Invalid URL of {shown}: requests are not sent to link-local addresses or to those of "
            "cloud metadata services."
        )
    if parts.scheme == "https" or _names_loopback(host):
        return
    if not plain_http:
        raise MisuseError(
            f"Invalid URL of {shown}: plain http is only for loopback addresses. Write "
            "https://..., or unsafe_plain_http=True for a server in a private network."
        )
    if not _may_be_private(host):
        raise MisuseError(
            f"Invalid URL of {shown}: unsafe_plain_http=True is only for private networks, and "
            "this address is not private. Write https://..."
        )


def _may_be_private(host: str) -> bool:
    """Return whether a host is a private address, or a name, which is resolved later."""
    address = _address(host)
    if address is not None:
        return _is_private(address)
    return re.fullmatch("[0-9.]+|0x[0-9a-f.x]+", host) is None  # other notations of an address


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _names_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_private(address: Address) -> bool:
    return any(address in network for network in _PRIVATE)


def _is_forbidden(address: Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return _is_forbidden(mapped)
    is_unusable = address.is_link_local or address.is_multicast or address.is_unspecified
    return is_unusable or address in _METADATA


def _variable(name: str) -> str:
    """Return an environment variable in lower or else in upper case."""
    return os.environ.get(name) or os.environ.get(name.upper(), "")


def _no_proxy() -> list[str]:
    return [rule for part in _variable("no_proxy").split(",") for rule in part.lower().split()]


def _matches(rule: str, host: str, port: int) -> bool:
    """Return whether a host is one that a part of `NO_PROXY` names.

    A part is `*`, an address, a network as in `10.0.0.0/8`, or a name, which stands for its
    subdomains as well. A port after it limits it to that port.
    """
    if rule == "*":
        return True
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(rule.strip("[]"), strict=False)
        except ValueError:
            pass  # a name, or an address with a port
    name, parting, named = rule.rpartition(":")
    if parting and named.isdigit():
        return int(named) == port and _matches(name, host, port)
    name = rule.removeprefix("*").strip(".")
    return bool(name) and address is None and f".{host.rstrip('.')}".endswith(f".{name}")
