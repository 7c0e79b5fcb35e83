"""Redis clients: for one server, for Sentinel, and for a cluster, by the URL of the store.

    redis://ann:password@host:6379/0
    redis+sentinel://ann:password@host1:26379,host2:26379/mymaster/0
    redis+cluster://ann:password@host1:6379,host2:6379

`rediss` in place of `redis` is TLS; `unix://` is a socket of this machine. Options of redis-py,
such as `ssl_ca_certs`, stand after a `?`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from ..._extras import needs_extra
from ...errors import MisuseError

with needs_extra(__name__, "redis-py", "redis"):
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode, RedisCluster
    from redis.connection import parse_url
    from redis.retry import Retry
    from redis.sentinel import Sentinel

# redis-py leaves these without types.
_sentinel: Any = Sentinel
_node: Any = ClusterNode
_parse: Any = parse_url

SENTINEL = ("redis+sentinel", "rediss+sentinel")
CLUSTER = ("redis+cluster", "rediss+cluster")

_FORMS = (
    "write redis://host:6379/0, redis+sentinel://host1:26379,host2:26379/mymaster/0 or "
    "redis+cluster://host1:6379,host2:6379"
)
_SENTINEL_LOGIN = {"sentinel_username": "username", "sentinel_password": "password"}


class ClusterClient:
    """A client of a cluster, which connects when it is first used; any thread may call it."""

    def __init__(self, connect: Callable[[], RedisCluster]) -> None:
        self._connect = connect
        self._client: RedisCluster | None = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:  # not under a lock, which others would wait for
            self._client = self._connect()
        return getattr(self._client, name)

    def close(self) -> None:
        """Close the connections, if there are any."""
        if self._client is not None:
            self._client.close()


def open_redis(url: str, timeout: float) -> Any:
    """Return a client for a URL, which does not connect yet; raise `MisuseError` for another.

    `timeout` is that of one connection or command, in seconds. No command is repeated.
    """
    try:
        scheme = urlsplit(url).scheme
        if scheme in SENTINEL:
            return _sentinel_client(url, timeout)
        if scheme in CLUSTER:
            return _cluster_client(url, timeout)
        return Redis.from_url(url, **_options(timeout))
    except ValueError:
        pass
    # Outside the handler, since the error may quote the URL with its password.
    raise MisuseError(f"Invalid URL of a Redis: {_FORMS}.")


def _options(timeout: float) -> dict[str, Any]:
    retry = Retry(NoBackoff(), 0)
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": retry}


def _sentinel_client(url: str, timeout: float) -> Any:
    parts = urlsplit(url)
    service, _, database = parts.path.strip("/").partition("/")
    if not service or not (database or "0").isdigit():
        raise ValueError("the name of the service is missing, or the database is not a number")
    query = dict(parse_qsl(parts.query))
    login = {_SENTINEL_LOGIN[name]: query.pop(name) for name in [*query] if name in _SENTINEL_LOGIN}
    options, is_tls = _connection_options(parts, database, query, timeout)
    of_sentinels = {
        name: value for name, value in options.items() if name.startswith(("socket_", "ssl", "re"))
    }
    sentinel = _sentinel(
        _hosts(parts, 26_379),
        sentinel_kwargs={**of_sentinels, **login, **({"ssl": True} if is_tls else {})},
    )
    return sentinel.master_for(service, **options, **({"ssl": True} if is_tls else {}))


def _cluster_client(url: str, timeout: float) -> ClusterClient:
    options = cluster_options(url, timeout)
    return ClusterClient(lambda: RedisCluster(**options))


def cluster_options(url: str, timeout: float) -> dict[str, Any]:
    """Return redis-py's options for a cluster; raise `ValueError` for an invalid URL."""
    parts = urlsplit(url)
    if parts.path.strip("/") not in ("", "0"):
        raise ValueError("a cluster has only the database 0")
    options, is_tls = _connection_options(parts, "", dict(parse_qsl(parts.query)), timeout)
    options.pop("db", None)
    if is_tls:
        options["ssl"] = True
    options["retry"] = Retry(NoBackoff(), 1)  # by another node, if one is gone
    options["startup_nodes"] = [_node(*host) for host in _hosts(parts, 6_379)]
    return options


def _connection_options(
    parts: SplitResult, database: str, query: dict[str, str], timeout: float
) -> tuple[dict[str, Any], bool]:
    """Return redis-py's options for the login, database and query of a URL, and whether of TLS."""
    login, _, _ = parts.netloc.rpartition("@")
    scheme = parts.scheme.partition("+")[0]
    plain = f"{scheme}://{login}{'@' if login else ''}host/{database}?{urlencode(query)}"
    options: dict[str, Any] = {**_options(timeout), **_parse(plain)}
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    return options, scheme == "rediss"


def _hosts(parts: SplitResult, port: int) -> list[tuple[str, int]]:
    listed = parts.netloc.rpartition("@")[2].split(",")
    found = [urlsplit(f"//{host}") for host in listed]
    if not all(each.hostname for each in found):
        raise ValueError("a host is missing")
    return [(str(each.hostname), each.port or port) for each in found]
