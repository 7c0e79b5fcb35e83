"""Redis as it is run: TLS, access lists, Sentinel and a cluster, with a failover."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from jwt_authz.endpoints.attempts import Caller
from jwt_authz.endpoints.rate_limit import LoginRate
from jwt_authz.errors import MisuseError, StoreUnavailable
from jwt_authz.revocation import Target
from jwt_authz.revocation.store import open_store
from jwt_authz.revocation.stores.redis import RedisStore
from jwt_authz.revocation.stores.redis_clients import open_redis
from tests.foreign import issued
from tests.patience import PATIENCE, eventually

from .servers import PrivateRedis
from .topologies import Cluster, ClusterWithTLS, Sentinels, SentinelsWithTLS, Topology

TIMES: dict[str, float] = {"lifetime": 1_000, "idle": 1_000}
CALLERS = 4


# --- URLs ----------------------------------------------------------------------------------------


def test_a_url_names_sentinels_a_service_and_a_database() -> None:
    url = "redis+sentinel://ann:p%40ss@one,two:26380/shop/3?sentinel_password=other"
    pool = open_redis(url, 0.5).connection_pool
    assert pool.service_name == "shop"
    options = pool.connection_kwargs
    assert (options["username"], options["password"], options["db"]) == ("ann", "p@ss", 3)
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == [("one", 26_379), ("two", 26_380)]
    assert [(each["username"], each["password"]) for each in asked] == 2 * [(None, "other")]


def test_tls_is_spoken_to_the_sentinels_as_well() -> None:
    pool = open_redis("rediss+sentinel://one/shop?ssl_ca_certs=/ca.pem", 0.5).connection_pool
    asked = [pool, *(each.connection_pool for each in pool.sentinel_manager.sentinels)]
    assert [each.connection_kwargs["ssl_ca_certs"] for each in asked] == 2 * ["/ca.pem"]
    assert all("SSL" in each.connection_class.__name__ for each in asked)


@pytest.mark.parametrize(
    "url",
    [
        *("redis+sentinel://ann:secret@one", "redis+sentinel:///shop", "redis+sentinel://one/s/x"),
        *("redis+cluster://", "redis+cluster://ann:secret@one/3", "redis+cluster://one:x"),
        *("redis+cluster://one,,two", "redis://ann:secret@one:x/0"),
    ],
)
def test_a_url_that_is_not_valid_is_a_misuse_that_does_not_show_it(url: str) -> None:
    with pytest.raises(MisuseError, match=r"write redis://host:6379/0, redis\+sentinel") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_store_of_a_cluster_that_is_down_answers_unavailable() -> None:
    store = open_store("redis+cluster://127.0.0.1:1", timeout=PATIENCE)
    with pytest.raises(StoreUnavailable):
        store.families("ann")
    store.close()


# --- TLS and access lists ------------------------------------------------------------------------


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[PrivateRedis, str]]:
    """A server that speaks TLS on a second port, and the path of its authority."""
    authority, certificate = issued(tmp_path, "localhost")
    server = PrivateRedis(tmp_path)
    server.start(*server.tls_options(authority, certificate))
    yield server, str(authority)
    server.kill()


@pytest.mark.slow
def test_a_server_with_tls_and_an_access_list_serves_a_user_with_few_rights(
    secured: tuple[PrivateRedis, str],
) -> None:
    server, authority = secured
    rights = "+@read +@write +@scripting +@pubsub +@connection +@fast -@dangerous"
    with server.client() as client:
        client.execute_command(
            f"ACL SETUSER shop on >p@ss ~{{authz:shop}}:* &{{authz:shop}}:* {rights}"
        )
        client.execute_command("ACL SETUSER default off")
    host = f"localhost:{server.tls_port}/0?ssl_ca_certs={authority}"

    def opened(login: str, place: str = host, namespace: str = "shop") -> RedisStore:
        return RedisStore.from_url(f"rediss://{login}@{place}", namespace, PATIENCE)

    use(opened("shop:p%40ss"))
    for store in (
        opened("shop:wrong-secret"),
        opened("shop:p%40ss", namespace="other"),
        opened("shop:p%40ss", host.partition("?")[0]),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            store.prepare()
        assert "secret" not in str(caught.value)
        store.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SentinelsWithTLS, ClusterWithTLS])
def test_sentinels_and_clusters_are_asked_over_tls_with_the_given_authority(
    kind: Any, tmp_path: Path
) -> None:
    servers = kind(tmp_path, *issued(tmp_path, kind.host))
    try:
        use(RedisStore.from_url(servers.url, "shop", PATIENCE))
        untrusting = RedisStore.from_url(servers.url.partition("?")[0], "shop", PATIENCE)
        with pytest.raises(StoreUnavailable):
            untrusting.prepare()
        untrusting.close()
    finally:
        servers.close()


def use(store: RedisStore) -> None:
    """What an application does with a store."""
    store.prepare()
    listener = store.listen()
    listener.wait(0.1, Event())
    store.revoke(Target("subject", "ann"), time.time() + 100)
    eventually(lambda: listener.wait(0.05, Event()))
    listener.close()
    assert [entry.statement.value for entry in store.read(0, None).entries] == ["ann"]
    begun = store.start("ann", **TIMES)
    assert begun.family is not None and begun.jti is not None
    rotated = store.rotate(begun.family.id, begun.jti, grace=0, idle=100)
    assert rotated.outcome == "rotated"
    assert [family.id for family in store.families("ann")] == [begun.family.id]
    assert store.record("an application") == ["an application"]
    assert store.end_all("ann") == 1
    store.close()


# --- Sentinel and a cluster ----------------------------------------------------------------------


@pytest.fixture(params=[Sentinels, Cluster])
def topology(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Topology]:
    made = request.param(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_families_revocations_and_rate_limits_are_kept_and_survive_a_failover(
    topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jwt_authz.endpoints.rate_limit.PAUSE", 0.1)
    use(opened(topology.url, "first"))
    shop, other = opened(topology.url, "shop"), opened(topology.url)
    for store in (shop, other):
        store.prepare()
    begun = shop.start("ann", **TIMES)
    shop.revoke(Target("subject", "bob"), time.time() + 1_000)
    assert other.families("ann") == ()
    assert not other.read(0, None).entries
    rate, caller = LoginRate(topology.url, 3, 900, "shop"), Caller.of("ann", "192.0.2.1")
    for _ in range(3):
        rate.failed(caller, is_known=False)
    another_process = LoginRate(topology.url, 3, 900, "shop")
    assert another_process.wait_times(caller).here > 0

    topology.wait_for_replica()
    topology.fail_over()
    assert [family.id for family in until_answered(lambda: shop.families("ann"))] == [
        family_of(begun)[0]
    ]
    page = until_answered(lambda: shop.read(0, None))
    assert [entry.statement.value for entry in page.entries] == ["bob"]
    assert page.intact
    assert until_answered(lambda: shop.rotate(*family_of(begun), grace=0, idle=100)).jti
    eventually(lambda: LoginRate(topology.url, 3, 900, "shop").wait_times(caller).here > 0)
    for store in (shop, other):
        store.close()


def opened(url: str, namespace: str = "") -> RedisStore:
    """A store that tries again at once after failures, as often as it takes."""
    made = RedisStore.from_url(url, namespace, timeout=5.0)
    made._server._breaker._pause = 0.0
    return made


def family_of(rotation: Any) -> tuple[str, str]:
    return rotation.family.id, rotation.jti


def until_answered(question: Any) -> Any:
    """The answer to a question, asked until there is one."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return question()
        except StoreUnavailable:
            assert time.monotonic() < until, "there never was an answer"
            time.sleep(0.02)


# --- a failover during rotations -----------------------------------------------------------------


class Race:
    """Rounds in which several callers present one refresh token, each until it gets an answer."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._stores = [opened(topology.url) for _ in range(CALLERS)]
        self._stores[0].prepare()
        self.ended = 0
        self.acknowledged: list[str] = []

    def run(self, rounds: int, fail_over_at: int) -> None:
        family, jti = self._log_in()
        with ThreadPoolExecutor(CALLERS + 1) as pool:
            failing_over = None
            for number in range(rounds):
                if number == fail_over_at:
                    failing_over = pool.submit(self._topology.fail_over)
                successors = self._round(pool, family, jti)
                living = self._still_living(family, successors)
                if living is None:
                    self.ended += 1
                    family, jti = self._log_in()
                else:
                    jti = living
                if failing_over is None:
                    self._revoke(f"token-{number}")
            assert failing_over is not None
            failing_over.result()

    def lost(self) -> set[str]:
        """The acknowledged revocations that are missing in the store."""
        after, found = 0, set[str]()
        while True:
            page = until_answered(lambda: self._stores[0].read(after, None))  # noqa: B023
            found.update(str(entry.statement.value) for entry in page.entries)
            after = page.position
            if page.complete:
                return set(self.acknowledged) - found

    def close(self) -> None:
        for store in self._stores:
            store.close()

    def _log_in(self) -> tuple[str, str]:
        return family_of(until_answered(lambda: self._stores[0].start("ann", **TIMES)))

    def _round(self, pool: ThreadPoolExecutor, family: str, jti: str) -> set[str]:
        def call(store: RedisStore) -> str | None:
            return until_answered(lambda: store.rotate(family, jti, grace=600, idle=1_000)).jti

        return {found for found in pool.map(call, self._stores) if found is not None}

    def _still_living(self, family: str, successors: set[str]) -> str | None:
        """The token to go on with: the one of the successors that is good, by presenting them."""
        good = []
        for jti in successors:
            again = until_answered(
                lambda jti=jti: self._stores[0].rotate(family, jti, grace=600, idle=1_000)
            )
            if again.jti is not None:
                good.append(again.jti)
        assert len(good) <= 1, "two successors of one token are living"
        return good[0] if good else None

    def _revoke(self, name: str) -> None:
        until_answered(lambda: self._stores[0].revoke(Target("jti", name), time.time() + 1_000))
        if self._topology.wait_for_replica():
            self.acknowledged.append(name)


def assert_one_successor_each(topology: Topology, rounds: int, fail_over_at: int) -> Race:
    race = Race(topology)
    race.run(rounds, fail_over_at)
    assert race.lost() == set()
    assert len(race.acknowledged) == fail_over_at
    assert race.ended <= 2  # in the moment of the failover alone
    race.close()
    return race


@pytest.mark.slow
def test_a_failover_during_rotations_leaves_one_successor_and_all_acknowledged_revocations(
    topology: Topology,
) -> None:
    assert_one_successor_each(topology, rounds=60, fail_over_at=30)


@pytest.mark.long
def test_a_failover_during_1000_rotations_leaves_one_successor_each(topology: Topology) -> None:
    began = time.monotonic()
    race = assert_one_successor_each(topology, rounds=1_000, fail_over_at=500)
    print(
        f"{type(topology).__name__}: {race.ended} log-ins ended, {time.monotonic() - began:.0f} s"
    )
