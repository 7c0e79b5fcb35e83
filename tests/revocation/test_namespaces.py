"""Applications that share a store are kept apart by their namespaces."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask_jwt_extended import decode_token
from sqlalchemy import create_engine, inspect, text

from jwt_authz import Authz, requires
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import current_state
from jwt_authz.cli.main import authz as commands
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Rotation, Target, sharing
from jwt_authz.revocation.sharing import KEPT
from jwt_authz.tokens import KeySet
from tests.kinds import NEW_DATABASES

from .conftest import Clock, Shared
from .servers import PrivateRedis

TIMES: dict[str, float] = {"lifetime": 100, "idle": 100}


@pytest.fixture
def shop(prepared: Shared) -> Any:
    return prepared.open()


@pytest.fixture
def wiki(prepared: Shared) -> Any:
    """The store of a second application in the same place."""
    other = replace(prepared, prefix=prepared.prefix + "wiki", opened=prepared.opened)
    store = other.open()
    store.prepare()
    return store


def refresh(store: Any, begun: Rotation) -> str:
    assert begun.family is not None
    outcome: str = store.rotate(begun.family.id, begun.jti, grace=0, idle=100).outcome
    return outcome


def test_log_ins_of_one_namespace_are_not_listed_ended_or_refreshed_in_another(
    shop: Any, wiki: Any
) -> None:
    begun = shop.start("5", **TIMES)

    assert wiki.families("5") == ()
    assert wiki.end_all("5") == 0
    assert not wiki.end(begun.family.id)
    assert refresh(wiki, begun) == "unknown"
    assert shop.families("5") == (begun.family,)
    assert refresh(shop, begun) == "rotated"


def test_a_revocation_reaches_its_own_namespace_alone(
    shop: Any, wiki: Any, view_of: Callable[..., RevocationView]
) -> None:
    begun = shop.start("5", **TIMES)
    here, there = view_of(shop), view_of(wiki)
    here.check_age()
    before, catalog = time.time() - 1, here.mark_of_catalogue()
    there.announce_catalogue()
    there.revoke(Target("everything"))
    there.distrust_store()
    here.refresh()

    token = {"jti": "a", "subject": "5", "issued_at": before}
    assert there.is_revoked(**token)  # type: ignore[arg-type]
    assert not here.is_revoked(**token)  # type: ignore[arg-type]
    assert here.mark_of_catalogue() == catalog
    assert refresh(shop, begun) == "rotated"


def test_two_namespaces_write_at_the_same_moment(prepared: Shared, clock: Clock) -> None:
    other = replace(prepared, prefix=prepared.prefix + "wiki", opened=prepared.opened)
    stores = [prepared.open(clock), other.open(clock)]
    stores[1].prepare()
    for store in stores * 3:
        store.revoke(Target("subject", "5"), clock.now + 900)
    assert [len(store.read(0, None).entries) for store in stores] == [3, 3]


@pytest.mark.parametrize("place", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_sweeping_one_namespace_leaves_what_another_wrote_at_the_same_moment(
    prepared: Shared, clock: Clock
) -> None:
    stores = [
        replace(prepared, prefix=name, opened=prepared.opened).open(clock)
        for name in ("shop", "wiki")
    ]
    for store, seconds in zip(stores, (10, 900), strict=True):
        store.prepare()
        store.revoke(Target("subject", "5"), clock.now + seconds)
    clock.step(20)
    stores[0].sweep(clock.now)

    assert [len(store.read(0, None).entries) for store in stores] == [0, 1]


def test_namespaces_that_differ_only_in_case_are_two(prepared: Shared) -> None:
    stores = [
        replace(prepared, prefix=prepared.prefix + name, opened=prepared.opened).open()
        for name in ("shop", "Shop")
    ]
    for store in stores:
        store.prepare()
    stores[0].start("5", **TIMES)

    assert [len(store.families("5")) for store in stores] == [1, 0]


def test_each_namespace_has_a_mark_of_its_own(
    prepared: Shared, shop: Any, view_of: Callable[..., RevocationView]
) -> None:
    """One that was never prepared is new, whatever the others have."""
    new = replace(prepared, prefix=prepared.prefix + "new", opened=prepared.opened)
    with pytest.raises(StoreUnavailable, match="is new or has lost its contents"):
        new.open().start("5", **TIMES)

    assert shop.start("5", **TIMES).outcome == "started"


def test_many_writers_in_two_namespaces_do_not_fail_each_other(shop: Any, wiki: Any) -> None:
    until = time.time() + 60
    for _ in range(30):
        for store in (shop, wiki):
            store.revoke(("jti", secrets.token_hex(4), None), until)

    assert len(shop.read(0, None).entries) == len(wiki.read(0, None).entries) == 30


# Tables of an older version


OLD_TABLES = [
    "CREATE TABLE authz_marks (id INTEGER PRIMARY KEY, generation VARCHAR(64), last BIGINT "
    "NOT NULL)",
    "CREATE TABLE authz_statements (position BIGINT PRIMARY KEY, forget_at DOUBLE PRECISION "
    "NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE authz_families (id VARCHAR(64) PRIMARY KEY, owner VARCHAR(64) NOT NULL, "
    "generation VARCHAR(64) NOT NULL, about TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, "
    "used_at DOUBLE PRECISION NOT NULL, ends_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE "
    "PRECISION NOT NULL, ended_at DOUBLE PRECISION, current VARCHAR(64) NOT NULL, previous "
    "VARCHAR(64), rotated_at DOUBLE PRECISION, seed VARCHAR(64), revision INTEGER NOT NULL)",
]


@pytest.fixture(params=["sqlite", "postgres"])
def old_place(request: pytest.FixtureRequest, new_schema: Callable[[], str]) -> Any:
    """Tables as they were without namespaces, with a revocation of everything in them."""
    if request.param == "sqlite":
        place = request.getfixturevalue("sqlite_place")
    else:
        place = Shared("postgres", new_schema(), "")
    body = f'["everything",null,null,{time.time()},{time.time() + 900}]'
    engine = create_engine(place.url)
    with engine.begin() as connection:
        for table in OLD_TABLES:
            connection.execute(text(table))
        connection.execute(text("INSERT INTO authz_marks VALUES (1, 'old', 7)"))
        row = {"until": time.time() + 900, "body": body}
        connection.execute(text("INSERT INTO authz_statements VALUES (7, :until, :body)"), row)
    engine.dispose()
    yield place
    place.close()


def test_preparing_the_store_upgrades_older_tables_and_keeps_what_is_in_them(
    old_place: Shared, view_of: Callable[..., RevocationView]
) -> None:
    store = old_place.open()
    with pytest.raises(StoreUnavailable, match="flask authz init"):
        store.start("5", **TIMES)
    store.prepare()
    store.prepare()
    other = replace(old_place, prefix="other", opened=old_place.opened).open()
    other.prepare()

    token = {"jti": "a", "subject": "5", "issued_at": time.time() - 10}
    assert view_of(store).is_revoked(**token)  # type: ignore[arg-type]
    assert not view_of(other).is_revoked(**token)  # type: ignore[arg-type]
    assert store.read(0, None).generation == "old"
    engine = create_engine(old_place.url)
    names = {one["name"] for one in inspect(engine).get_indexes("authz_families")}
    engine.dispose()
    assert "ix_authz_families_namespace_used_at" in names


# Two applications


def application(name: str, url: str, **config: Any) -> Flask:
    app = Flask(name)
    app.config.update(JWT_SECRET_KEY=f"{name}-{'secret' * 8}", AUTHZ_STORE_URL=url, **config)
    accounts = MemoryAccounts()
    accounts.add("ada", "correct horse battery", subject="5")
    authz = Authz(app, accounts=accounts)
    with app.app_context():
        authz.prepare_store()
    return app


def log_in(app: Flask) -> Any:
    with app.app_context():
        return app.extensions["jwt_authz"].log_in(User("5", "ada"))


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_two_applications_with_namespaces_do_not_end_each_others_log_ins(
    request: pytest.FixtureRequest, kind: str
) -> None:
    url = request.getfixturevalue(f"{kind}_place").url
    names = [secrets.token_hex(6) for _ in range(2)]
    shop, wiki = (application(name, url, AUTHZ_STORE_NAMESPACE=name) for name in names)
    tokens, _ = log_in(shop), log_in(wiki)
    with wiki.app_context():
        authz = wiki.extensions["jwt_authz"]
        assert len(authz.families("5")) == 1
        authz.revoke(subject="5")
        authz.revoke(everything=True)
    with shop.app_context():
        authz = shop.extensions["jwt_authz"]
        assert len(authz.families("5")) == 1
        assert authz.refresh(tokens.refresh_token).access_token


# Applications without a namespace


def application_of(url: str, name: str = "shop", key: str = "one", **config: Any) -> Flask:
    app = Flask(name)
    app.config.update(JWT_SECRET_KEY=f"{key}-{'secret' * 8}", AUTHZ_STORE_URL=url, **config)
    Authz(app)
    return app


def warnings_of(app: Flask) -> list[str]:
    with app.app_context():
        authz = app.extensions["jwt_authz"]
        authz.prepare_store()
        found = [text for text in authz.check() if "AUTHZ_STORE_NAMESPACE" in text]
        current_state().needed_revocations().store.close()
    return found


@pytest.fixture(params=["redis", "sqlite", "postgres", "mariadb"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """A place that no other test uses, without a namespace."""
    if request.param == "redis":
        server: PrivateRedis = request.getfixturevalue("private_redis")
        return server.url
    if new := NEW_DATABASES.get(request.param):
        made: str = request.getfixturevalue(new)()
        return made
    place: Shared = request.getfixturevalue("sqlite_place")
    return place.url


@pytest.mark.parametrize("other", [{"name": "wiki"}, {"key": "two"}, {"name": "wiki", "key": "2"}])
def test_the_check_warns_of_another_application_on_the_store(
    shared_url: str, other: dict[str, str]
) -> None:
    shop, wiki = application_of(shared_url), application_of(shared_url, **other)

    assert warnings_of(shop) == []
    (warning,) = warnings_of(wiki)
    assert "'shop'" in warning
    assert "uses the store of AUTHZ_STORE_URL" in warning
    assert ("and other keys" in warning) == ("name" not in other)
    assert len(warnings_of(shop)) == 1


def test_the_same_application_is_not_warned_of(shared_url: str) -> None:
    """Other processes, replicas, an application factory, and a service that accepts its tokens."""
    first = application_of(shared_url)
    service = application_of(shared_url, name="worker", JWT_DECODE_ISSUER="shop")

    for app in (first, application_of(shared_url), service, first):
        assert warnings_of(app) == []


def test_applications_with_namespaces_are_not_warned_of(shared_url: str) -> None:
    shop = application_of(shared_url, AUTHZ_STORE_NAMESPACE="shop")
    wiki = application_of(shared_url, "wiki", AUTHZ_STORE_NAMESPACE="wiki")

    assert warnings_of(shop) == warnings_of(wiki) == []


def test_an_application_whose_keys_are_rotated_is_not_warned_of(
    shared_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    KeySet.new("ES256").write(path)
    before = application_of(shared_url, AUTHZ_KEYS_FILE=str(path), key="before")
    assert warnings_of(before) == []
    KeySet.read(path).with_new_key().rotated().write(path)

    after = application_of(shared_url, AUTHZ_KEYS_FILE=str(path), key="after")
    assert warnings_of(after) == []


def test_services_with_the_public_key_are_not_warned_of(shared_url: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    shape = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(*shape).decode()
    hidden = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    issuer = application_of(shared_url, JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY=hidden.decode())
    service = application_of(shared_url, JWT_ALGORITHM="ES256", JWT_PUBLIC_KEY=public, key="2")

    assert warnings_of(issuer) == warnings_of(service) == []


def test_an_application_that_is_gone_is_forgotten(store: Any, clock: Clock) -> None:
    """It left, or has other keys now."""
    is_shared = store.known is None
    store.record("old")
    assert sorted(store.record("new")) == (["new", "old"] if is_shared else [])
    clock.step(KEPT - 1)
    store.record("new")
    clock.step(2)

    assert store.record("new") == (["new"] if is_shared else [])


def test_a_running_process_logs_that_another_application_came(
    shared_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sharing, "RENEW_EVERY", 0.0)
    shop = application_of(shared_url)
    assert warnings_of(shop) == []
    warnings_of(application_of(shared_url, "wiki"))
    with shop.app_context():
        view = current_state().needed_revocations()
        with caplog.at_level("WARNING"):
            for _ in range(3):
                view.refresh()
    view.store.close()

    reported = [record for record in caplog.records if "'wiki'" in record.getMessage()]
    assert len(reported) == 1


def test_neither_a_store_that_is_silent_nor_a_foreign_record_fails_the_check(
    private_redis: PrivateRedis,
) -> None:
    app = application_of(private_redis.url, AUTHZ_STORE_TIMEOUT=0.2)
    assert warnings_of(app) == []
    with private_redis.client() as client:
        client.zadd("{authz}:applications", {"no record": time.time() * 1e6, "[1]": 9e18})
    assert warnings_of(app) == []
    private_redis.stop()
    with app.app_context():
        assert not any("NAMESPACE" in text for text in app.extensions["jwt_authz"].check())
    private_redis.go_on()


def test_the_record_of_an_application_does_not_hold_its_secret(private_redis: PrivateRedis) -> None:
    warnings_of(application_of(private_redis.url))
    with private_redis.client() as client:
        (record,) = client.zrange("{authz}:applications", 0, -1)

    assert b"shop" in record
    assert b"secretsecret" not in record


def test_init_prints_the_warning(shared_url: str) -> None:
    warnings_of(application_of(shared_url))
    wiki = application_of(shared_url, "wiki")
    ran = wiki.test_cli_runner().invoke(commands, ["init"])
    warnings_of(wiki)  # which closes the store

    assert ran.exit_code == 0
    assert "warning: an application with the issuer 'shop' also uses the store" in ran.output


# An application that is given a namespace later


class Guarded:
    """The same application as it is started with other settings, and its command line."""

    def __init__(self, url: str | None, namespace: str = "") -> None:
        self.app = Flask("shop")
        self.app.config.update(
            JWT_SECRET_KEY="secret" * 8,
            AUTHZ_STORE_URL=url,
            AUTHZ_STORE_NAMESPACE=namespace,
        )
        self.authz = Authz(self.app)
        self.app.get("/")(requires()(lambda: "ok"))

    def init(self) -> None:
        ran = self.app.test_cli_runner().invoke(commands, ["init"])
        assert ran.exit_code == 0, ran.output

    def token(self) -> str:
        with self.app.app_context():
            return self.authz.issue("ada", roles=[])

    def revoke(self, token: str) -> None:
        with self.app.app_context():
            self.authz.revoke(jti=decode_token(token)["jti"])

    def status(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return self.app.test_client().get("/", headers=headers).status_code


@pytest.fixture
def started(shared_url: str) -> Iterator[Callable[[str], Guarded]]:
    made: list[Guarded] = []

    def start(namespace: str) -> Guarded:
        made.append(Guarded(shared_url, namespace))
        made[-1].init()
        return made[-1]

    yield start
    for one in made:
        with one.app.app_context():
            view = current_state().needed_revocations()
            view.stop()
            view.store.close()


@pytest.mark.parametrize("former", ["", "old"])
def test_a_token_revoked_before_the_namespace_was_given_stays_revoked(
    started: Callable[[str], Guarded], former: str
) -> None:
    before = started(former)
    revoked = before.token()
    before.revoke(revoked)
    assert before.status(revoked) == 401

    after = started("new")
    assert after.status(revoked) == 401
    assert after.status(after.token()) == 200


def test_preparing_a_namespace_again_revokes_nothing(started: Callable[[str], Guarded]) -> None:
    first = started("shop")
    token = first.token()

    again = started("shop")
    assert (first.status(token), again.status(token)) == (200, 200)


def test_preparing_a_first_store_without_a_namespace_revokes_nothing(
    started: Callable[[str], Guarded],
) -> None:
    """The command says that nothing was revoked before, which holds where there was no store."""
    token = Guarded(None).token()
    assert started("").status(token) == 200


def test_preparing_a_namespace_logs_that_tokens_are_revoked(
    started: Callable[[str], Guarded], caplog: pytest.LogCaptureFixture
) -> None:
    started("shop")
    started("shop")

    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    reported = [text for text in warnings if "all tokens issued before now are revoked" in text]
    assert len(reported) == 1
