"""Redis as it is run: with Sentinel, and as a cluster, each of a few small servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.patience import PATIENCE, eventually

from .servers import PrivateRedis, free_port

SLOTS = 16_384


class Topology:
    """Several servers in folders of their own; `url` is that of the store."""

    url: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.servers: list[PrivateRedis] = []

    def new_server(self) -> PrivateRedis:
        folder = self._folder / str(len(self.servers))
        folder.mkdir()
        self.servers.append(PrivateRedis(folder))
        return self.servers[-1]

    def fail_over(self) -> None:
        """Kill the primary, and wait until its replica is one."""
        raise NotImplementedError

    def wait_for_replica(self) -> bool:
        """Return whether all that was written before is at the replica (WAIT)."""
        raise NotImplementedError

    def close(self) -> None:
        for server in self.servers:
            server.kill()


class Sentinels(Topology):
    """A primary, its replica, and a Sentinel that makes the one of the other."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.primary, self.replica, self.sentinel = (self.new_server() for _ in range(3))
        for server in (self.primary, self.replica):
            server.start("--repl-diskless-sync-delay", "0")
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", self.primary.port)
            eventually(lambda: client.info("replication")["master_link_status"] == "up")
        self.sentinel.start_sentinel("127.0.0.1", self.primary.port)
        with self.sentinel.client() as client:
            eventually(lambda: client.sentinel_masters()["shop"]["num-slaves"] == 1)
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel.port}/shop/0"

    def fail_over(self) -> None:
        self.primary.kill()
        with self.replica.client() as client:
            eventually(lambda: client.info("replication")["role"] == "master")

    def wait_for_replica(self) -> bool:
        with self.primary.client() as client:
            client.incr("after-all-the-others")
            return bool(client.wait(1, int(1_000 * PATIENCE)) == 1)


class SentinelsWithTLS(Topology):
    """A primary and a Sentinel that are only asked over TLS, by the name in the certificate."""

    host = "localhost"

    def __init__(self, folder: Path, authority: Path, certificate: Path) -> None:
        super().__init__(folder)
        self.primary, self.sentinel = self.new_server(), self.new_server()
        options = [each.tls_options(authority, certificate) for each in self.servers]
        self.primary.start(*options[0])
        self.sentinel.start_sentinel("localhost", self.primary.tls_port, *options[1])
        with self.sentinel.client() as client:
            eventually(lambda: "s_down" not in client.sentinel_masters()["shop"]["flags"])
        query = f"ssl_ca_certs={authority}"
        self.url = f"rediss+sentinel://localhost:{self.sentinel.tls_port}/shop/0?{query}"


class ClusterWithTLS(Topology):
    """One primary with all slots, as a cluster that is only asked over TLS, by its address.

    redis-py replaces `localhost` in the list of nodes with its address.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, authority: Path, certificate: Path) -> None:
        super().__init__(folder)
        server = self.new_server()
        server.start(
            *server.tls_options(authority, certificate),
            *("--cluster-enabled", "yes", "--tls-cluster", "yes"),
            *("--cluster-port", str(free_port()), "--cluster-announce-ip", "127.0.0.1"),
        )
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
            eventually(lambda: _cluster_info(client)["cluster_state"] == "ok")
        self.url = f"rediss+cluster://127.0.0.1:{server.tls_port}?ssl_ca_certs={authority}"


class Cluster(Topology):
    """Three primaries with a third of the slots each, and a replica of one of them."""

    _tag = "{authz}"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        buses = [free_port() for _ in range(4)]  # by default ten thousand above the port
        for bus in buses:
            self.new_server().start(
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
                *("--cluster-port", str(bus)),
                *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
            )
        clients = [server.client() for server in self.servers]
        bounds = [SLOTS * third // 3 for third in range(4)]
        for client, first, after in zip(clients, bounds, bounds[1:], strict=False):
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, after - 1)
        for client in clients[1:]:
            client.execute_command("CLUSTER MEET", "127.0.0.1", self.servers[0].port, buses[0])
        eventually(lambda: all(self._knows_all(client) for client in clients))
        slot = int(clients[0].execute_command("CLUSTER KEYSLOT", self._tag))
        which = next(n for n in range(3) if bounds[n] <= slot < bounds[n + 1])
        self.owner, self.replica = self.servers[which], self.servers[3]
        owner = clients[which].execute_command("CLUSTER MYID").decode()
        eventually(lambda: self._follow(clients[3], owner))
        eventually(lambda: clients[3].info("replication")["master_link_status"] == "up")
        for client in clients:
            client.close()
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:3])
        self.url = f"redis+cluster://{hosts}"

    def fail_over(self) -> None:
        self.owner.kill()
        with self.replica.client() as client:
            eventually(lambda: client.info("replication")["role"] == "master")
            eventually(lambda: _cluster_info(client)["cluster_state"] == "ok")

    def wait_for_replica(self) -> bool:
        with self.owner.client() as client:
            client.incr(f"{self._tag}after-all-the-others")
            return bool(client.wait(1, int(1_000 * PATIENCE)) == 1)

    @staticmethod
    def _knows_all(client: Any) -> bool:
        info = _cluster_info(client)
        found = info["cluster_known_nodes"], info["cluster_slots_assigned"]
        return found == ("4", str(SLOTS)) and info["cluster_state"] == "ok"

    @staticmethod
    def _follow(client: Any, owner: str) -> bool:
        try:
            return bool(client.execute_command("CLUSTER REPLICATE", owner))
        except Exception:  # it does not know the other yet
            return False


def _cluster_info(client: Any) -> dict[str, str]:
    info = client.execute_command("CLUSTER INFO")
    if isinstance(info, dict):  # from redis-py 6 on
        return {str(name): str(value) for name, value in info.items()}
    return dict(line.split(":") for line in info.decode().split())
