"""Applications that share a store are kept apart by their namespaces."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from jwt_authz import Authz
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Rotation

from .conftest import Shared

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
    before = time.time() - 1
    there.revoke(everything=True)
    there.distrust_store()
    here.refresh()

    token = {"jti": "a", "subject": "5", "issued_at": before}
    assert there.is_revoked(**token)  # type: ignore[arg-type]
    assert not here.is_revoked(**token)  # type: ignore[arg-type]
    assert refresh(shop, begun) == "rotated"


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
