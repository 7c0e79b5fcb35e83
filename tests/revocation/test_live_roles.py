"""Roles that change while applications run: a change in one of them reaches all of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import sessionmaker

from jwt_authz import (
    Authz,
    Identity,
    MisuseError,
    Permission,
    Role,
    Roles,
    has_level,
    has_permission,
    has_role,
    requirement,
    requires,
)
from jwt_authz.accounts import models
from jwt_authz.accounts.sqlalchemy import SQLAlchemyRoles
from jwt_authz.application import KEY
from jwt_authz.cli.main import authz as commands
from jwt_authz.errors import StoreUnavailable
from jwt_authz.issuers import Issuer
from jwt_authz.policy.role_sources import RolesFile
from jwt_authz.revocation import RevocationView, live_roles
from jwt_authz.revocation.live_roles import LiveCatalog
from jwt_authz.tokens.encodings import ENCODINGS
from tests.edge import catalog, get, guarded_app
from tests.kinds import NEW_DATABASES
from tests.managed import becomes
from tests.patience import eventually
from tests.revocation.conftest import Clock, set_clocks

SECRET = "l" * 40


class Source:
    """A source whose answer a test sets, roles or an error; it counts how often it is asked."""

    def __init__(self, *roles: Role) -> None:
        self.answer: Roles | Exception = Roles(*roles)
        self.asked = 0

    def load(self) -> Roles:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def time_of_roles(age_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which roles and revocations get older: it stands still until it is stepped."""
    set_clocks(monkeypatch, live_roles, wall=age_clock, monotonic=age_clock)
    return age_clock


def view_of(app: Flask) -> RevocationView:
    view: RevocationView = app.extensions[KEY].revocations
    return view


def look_again(app: Flask) -> None:
    """Have the application know all that is in its store as of now."""
    view_of(app).refresh()
    assert view_of(app).age() == 0


def app_with(source: Any, store: str | None, **config: Any) -> Flask:
    app = Flask("live")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=store, **config)
    Authz(app, roles=source)
    app.add_url_rule("/read", "read", requires("orders:read")(lambda: "in"))
    app.add_url_rule("/list", "list", requires("orders:list")(lambda: "in"))
    app.add_url_rule("/manager", "manager", requires(has_role("manager"))(lambda: "in"))
    app.add_url_rule("/level", "level", requires(has_level(2))(lambda: "in"))
    cannot = requires(~has_permission("orders:refund"))
    app.add_url_rule("/cannot", "cannot", cannot(lambda: "in"))
    app.add_url_rule("/open", "open", lambda: "open")
    return app


def close(*apps: Flask) -> None:
    for app in apps:
        view = app.extensions[KEY]._revocations
        if view is not None:
            view.stop()
            view.store.close()


def authz_of(app: Flask) -> Authz:
    return app.extensions["jwt_authz"]  # type: ignore[no-any-return]


def prepare(app: Flask) -> None:
    with app.app_context():
        authz_of(app).prepare_store()


def reload(app: Flask) -> None:
    with app.app_context():
        authz_of(app).reload_roles()


def token_of(app: Flask, *roles: str) -> str:
    with app.app_context():
        return authz_of(app).issue("ada", roles=roles)


def status(app: Flask, token: str, path: str = "/read") -> int:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.fixture(params=["redis", "sqlite", "postgres", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A database for the roles and a store for the news, which several processes see."""
    if new := NEW_DATABASES.get(request.param):
        url: str = request.getfixturevalue(new)()
        return url, url
    database = f"sqlite:///{tmp_path / 'roles.db'}"
    if request.param == "sqlite":
        return database, f"sqlite:///{tmp_path / 'revocations.db'}"
    return database, request.getfixturevalue("redis_url")


class Machine:
    """One of several applications on a place, with connections of its own."""

    def __init__(self, place: tuple[str, str], **config: Any) -> None:
        self.engine: Engine = create_engine(place[0])
        self.roles = SQLAlchemyRoles(sessionmaker(self.engine), models.Role)
        self.app = app_with(self.roles, place[1], **config)

    def close(self) -> None:
        close(self.app)
        self.engine.dispose()


@pytest.fixture
def machines(place: tuple[str, str]) -> Iterator[Callable[..., Machine]]:
    made: list[Machine] = []

    def start(**config: Any) -> Machine:
        machine = Machine(place, **config)
        if not made:
            models.metadata.create_all(machine.engine)
            prepare(machine.app)
            machine.roles.add("clerk", "orders:read", "orders:list")
            machine.roles.add("manager", "orders:write", includes="clerk", level=2)
        made.append(machine)
        return machine

    yield start
    for machine in made:
        machine.close()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_permission_that_a_role_lost_elsewhere_is_refused_on_tokens_already_issued(
    machines: Callable[..., Machine], encoding: str
) -> None:
    here, there = machines(AUTHZ_ENCODING=encoding), machines(AUTHZ_ENCODING=encoding)
    tokens = [token_of(here.app, "clerk"), token_of(there.app, "manager")]
    for token in tokens:
        assert [status(one.app, token) for one in (here, there)] == [200, 200]
    there.roles.take("clerk", "orders:read")
    reload(there.app)
    for token in tokens:
        assert status(there.app, token) == 403  # at once where it was said
        assert becomes(403, lambda token=token: status(here.app, token))  # type: ignore[misc]
        assert status(here.app, token, "/list") == 200
    there.roles.grant("clerk", "orders:read")
    reload(there.app)
    assert becomes(200, lambda: status(here.app, tokens[0]))


def test_without_the_news_nothing_of_it_is_seen(machines: Callable[..., Machine]) -> None:
    """The negative control."""
    here, there = machines(), machines()
    token = token_of(here.app, "clerk")
    assert status(here.app, token) == 200
    there.roles.take("clerk", "orders:read")
    view_of(here.app).refresh()
    assert status(here.app, token) == 200


@pytest.mark.slow
def test_a_role_that_is_removed_and_a_level_that_is_lowered_count_elsewhere_too(
    machines: Callable[..., Machine],
) -> None:
    here, there = machines(), machines()
    token = token_of(here.app, "manager")
    assert [status(here.app, token, path) for path in ("/level", "/manager")] == [200, 200]
    there.roles.set_level("manager", 1)
    reload(there.app)
    assert becomes(403, lambda: status(here.app, token, "/level"))
    assert status(here.app, token, "/manager") == 200
    there.roles.remove("manager")
    reload(there.app)
    assert becomes(403, lambda: status(here.app, token, "/manager"))
    assert status(here.app, token) == 403


def test_a_store_that_has_forgotten_the_news_has_all_load_again(redis_url: str) -> None:
    """The store lost the message of a change before any process read it."""
    source = Source(Role("clerk", "orders:read"))
    app = app_with(source, redis_url)
    prepare(app)
    token = token_of(app, "clerk")
    assert status(app, token) == 200
    source.answer = Roles(Role("clerk", "orders:list"))
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    assert becomes(403, lambda: status(app, token))
    close(app)


# --- a source that does not answer ---------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'revocations.db'}"


@pytest.mark.parametrize(
    "broken",
    [StoreUnavailable("the database is gone"), MisuseError("no catalog"), {"clerk": Role("c")}],
    ids=["gone", "no catalog", "no Roles"],
)
def test_an_old_catalog_is_used_within_the_bound_and_503_past_it(
    store: str, broken: Any, time_of_roles: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY 2.50."""
    source = Source(Role("clerk", "orders:read"))
    here = app_with(source, store, AUTHZ_REVOCATION_MAX_AGE=2)
    there = app_with(Source(Role("clerk", "orders:read")), store)
    prepare(here)
    token = token_of(here, "clerk")
    assert [status(here, token), status(there, token)] == [200, 200]
    source.answer = broken
    with caplog.at_level(logging.WARNING, "jwt_authz"):
        reload(there)
        eventually(lambda: "role catalog cannot be loaded" in caplog.text)
        time_of_roles.step(2)
        look_again(here)
        assert status(here, token) == 200
        time_of_roles.step(0.1)
        look_again(here)
        assert status(here, token) == 503
        assert status(here, token, "/open") == 200
        source.answer = Roles(Role("clerk", "orders:list"))
        assert becomes(403, lambda: status(here, token))
    texts = [record.getMessage() for record in caplog.records]
    assert sum("role catalog cannot be loaded" in text for text in texts) >= 1
    assert any("role catalog can be loaded again" in text for text in texts)
    close(here, there)


def test_an_old_catalog_without_the_bound_would_go_on(
    store: str, time_of_roles: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    source = Source(Role("clerk", "orders:read"))
    here = app_with(source, store, AUTHZ_REVOCATION_MAX_AGE=1)
    there = app_with(Source(Role("clerk", "orders:read")), store)
    prepare(here)
    token = token_of(here, "clerk")
    assert [status(here, token), status(there, token)] == [200, 200]
    monkeypatch.setattr(LiveCatalog, "_is_late", lambda self: False)
    source.answer = StoreUnavailable("the database is gone")
    asked = source.asked
    reload(there)
    eventually(lambda: source.asked > asked)
    time_of_roles.step(2)
    look_again(here)
    assert status(here, token) == 200
    close(here, there)


def test_a_source_that_was_never_there_is_503_until_it_answers(store: str) -> None:
    source = Source(Role("clerk", "orders:read"))
    app, other = app_with(source, store), app_with(Source(Role("clerk", "orders:read")), store)
    prepare(app)
    token = token_of(other, "clerk")
    source.answer = StoreUnavailable("the database is gone")
    answer = app.test_client().get("/read", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert status(app, token, "/open") == 200
    source.answer = Roles(Role("clerk", "orders:read"))
    assert becomes(200, lambda: status(app, token))
    close(app, other)


def test_a_source_with_a_fault_of_its_own_is_an_error_past_the_bound_and_lets_nobody_in(
    store: str, time_of_roles: Clock
) -> None:
    source = Source(Role("clerk", "orders:read"))
    here = app_with(source, store, AUTHZ_REVOCATION_MAX_AGE=1, PROPAGATE_EXCEPTIONS=False)
    there = app_with(Source(Role("clerk", "orders:read")), store)
    prepare(here)
    token = token_of(here, "clerk")
    assert [status(here, token), status(there, token)] == [200, 200]
    source.answer = ZeroDivisionError()
    asked = source.asked
    reload(there)
    eventually(lambda: source.asked > asked)
    time_of_roles.step(2)
    assert becomes(500, lambda: status(here, token))
    close(here, there)


# --- how often it is asked -----------------------------------------------------------------------


def test_requests_ask_the_source_nothing(store: str) -> None:
    source = Source(Role("clerk", "orders:read"))
    app = app_with(source, store)
    prepare(app)
    token = token_of(app, "clerk")
    asked = source.asked
    for _ in range(50):
        assert status(app, token) == 200
    assert source.asked == asked == 1
    close(app)


def test_a_change_during_the_loading_is_loaded_as_well(store: str) -> None:
    source = Source(Role("clerk", "orders:read"))
    here, there = app_with(source, store), app_with(Source(Role("clerk")), store)
    prepare(here)
    token = token_of(here, "clerk")
    assert status(here, token) == 200
    load = source.load

    def interrupted() -> Roles:
        found = load()  # what was read is old before it is taken
        source.answer = Roles(Role("clerk", "orders:list"))
        source.load = load  # type: ignore[method-assign]
        reload(there)
        return found

    source.load = interrupted  # type: ignore[method-assign]
    reload(there)
    assert becomes(403, lambda: status(here, token))
    close(here, there)


# --- one process, files, and invalid sources ---------------------------------------------------


def test_a_store_in_memory_serves_one_process() -> None:
    source = Source(Role("clerk", "orders:read"))
    app = app_with(source, "memory:")
    token = token_of(app, "clerk")
    assert status(app, token) == 200
    source.answer = Roles(Role("clerk", "orders:list"))
    assert status(app, token) == 200
    reload(app)
    assert [status(app, token), status(app, token, "/list")] == [403, 200]
    source.answer = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable, match="cannot be loaded: gone"):
        reload(app)
    assert status(app, token, "/list") == 503
    source.answer = Roles(Role("clerk", "orders:read"))
    assert status(app, token) == 200


def test_a_file_is_read_again_when_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "roles.toml"
    file.write_text('[roles.clerk]\npermissions = ["orders:read"]\n')
    app = app_with(RolesFile(file), "memory:")
    token = token_of(app, "clerk")
    assert status(app, token) == 200
    file.write_text('[roles.clerk]\npermissions = ["orders:list"]\n')
    reload(app)
    assert status(app, token) == 403


def test_what_nobody_holds_any_longer_is_a_no_and_no_misuse() -> None:
    """A permission may be unknown for a while: a `~` over it is then as true as it looks."""
    app = app_with(Source(Role("clerk", "orders:read")), "memory:")
    assert status(app, token_of(app, "clerk"), "/cannot") == 200


@pytest.mark.parametrize("has_loader", [False, True])
def test_an_author_is_let_in_when_no_role_has_the_permission_any_longer(has_loader: bool) -> None:
    source = Source(Role("writer", "articles:edit"))
    app = app_with(source, "memory:")
    authz = app.extensions["jwt_authz"]
    author = requirement("is the author")(lambda identity: identity.subject == "ada")
    asked = {
        "edit": requires("articles:edit"),
        "first": requires(author | "articles:edit"),
        "last": requires("articles:edit" | author),
        "not": requires(~has_permission("articles:edit")),
    }
    for name, guarded in asked.items():
        app.add_url_rule(f"/{name}", name, guarded(lambda: "in"))
    if has_loader:
        authz.identity_loader(
            lambda subject, claims: Identity(subject, roles=["writer"], catalogue=authz.roles)
        )
    with app.app_context():
        token = authz.issue("ada", roles=["writer"])
        source.answer = Roles(Role("writer", "articles:read"))
        authz.reload_roles()
    answers = [get(app.test_client(), f"/{name}", token).status_code for name in asked]
    assert answers == [403, 200, 200, 200]


def test_the_catalog_for_a_loader_knows_what_foreign_issuers_grant() -> None:
    app = guarded_app()
    authz = app.extensions["jwt_authz"]
    authz.trust(Issuer("https://id.example", "shop", "RS256", jwks_uri="https://id.example/keys"))
    with app.app_context():
        assert authz.roles == catalog()
        assert authz.roles.knows(Permission("invoices", "pay"))
    assert not authz.roles.knows(Permission("invoices", "pay"))


def test_names_that_the_loaded_roles_lack_are_warned_of_and_stop_nothing() -> None:
    app = app_with(Source(Role("clerk", "orders:read")), "memory:")
    result = app.test_cli_runner().invoke(commands, ["check"])
    assert "warning: manager: no role is named 'manager'" in result.output
    assert "warning: list: no role grants 'orders:list'" in result.output
    with app.app_context():
        found = authz_of(app).findings()
    assert {(one.code, one.severity) for one in found} == {("AZ104", "warning")}


def test_the_check_says_that_names_could_not_be_checked() -> None:
    source = Source()
    source.answer = StoreUnavailable("the database is gone")
    app = app_with(source, "memory:")
    result = app.test_cli_runner().invoke(commands, ["check"])
    assert "names of roles and permissions were not checked" in result.output


def test_the_check_of_an_application_connects_to_nothing(store: str) -> None:
    source = Source(Role("clerk", "orders:read"))
    app = app_with(source, store)
    with app.app_context():
        authz_of(app).check()
    assert source.asked == 0
    close(app)


def test_a_source_without_a_store_is_a_misuse_that_says_what_to_set() -> None:
    app = app_with(Source(Role("clerk")), None)
    with app.app_context(), pytest.raises(MisuseError, match="set AUTHZ_STORE_URL, or write"):
        authz_of(app).check()


def test_roles_in_code_cannot_be_loaded_again() -> None:
    app = app_with(Roles(Role("clerk", "orders:read")), "memory:")
    with app.app_context(), pytest.raises(MisuseError, match="roles are defined in code"):
        authz_of(app).reload_roles()


def test_what_is_neither_a_catalog_nor_a_source_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="or a source"):
        Authz(roles={"clerk": Role("clerk")})  # type: ignore[arg-type]


def test_the_catalog_of_now_is_that_of_the_current_application() -> None:
    app = app_with(Source(Role("clerk", "orders:read")), "memory:")
    with app.app_context():
        assert list(authz_of(app).roles or ()) == ["clerk"]
    with pytest.raises(MisuseError, match="no application"):
        authz_of(app).roles  # noqa: B018
