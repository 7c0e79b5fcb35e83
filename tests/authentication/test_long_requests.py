"""Requests that outlive their token: a stream notices that it has expired or was revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, copy_current_request_context, stream_with_context
from flask_jwt_extended import get_jwt

from jwt_authz import (
    Authz,
    Identity,
    Role,
    Roles,
    allowed,
    authorize,
    current_identity,
    requires,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.refusals import AuthorizationUnavailable, NotIdentified
from jwt_authz.revocation import RevocationView
from jwt_authz.testing import acting_as
from tests.edge import turn_clock

SECRET = "l" * 40


def make(store: str | None = "memory:", **config: Any) -> Flask:
    app = Flask("long")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=store, **config)
    Authz(app, roles=Roles(Role("clerk", "orders:read")))
    return app


def authz_of(app: Flask) -> Authz:
    return app.extensions["jwt_authz"]  # type: ignore[no-any-return]


def asks() -> str:
    """What each of the verbs answers at this moment."""
    try:
        insisted = str(authorize("orders:read").subject)
    except NotIdentified as refusal:
        insisted = refusal.problem.type.rpartition(":")[2]
    return f"{allowed('orders:read')} {bool(current_identity)} {insisted}"


def stream(app: Flask, between: Callable[[], Any]) -> list[str]:
    """What the verbs answer in one streamed response, before and after something happens."""

    @app.get("/events")
    @requires("orders:read")
    def events() -> Response:
        def lines() -> Iterator[str]:
            yield f"{asks()}\n"
            between()
            yield f"{asks()}\n"
            yield f"{asks()} {get_jwt().get('sub')}\n"

        return Response(stream_with_context(lines()))

    with app.app_context():
        token = authz_of(app).issue("ada", roles=["clerk"])
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().get("/events", headers=headers).text.splitlines()


def test_a_stream_notices_that_its_caller_was_revoked() -> None:
    app = make()
    said = stream(app, lambda: authz_of(app).revoke(subject="ada"))
    after = "False False token-revoked"
    assert said == ["True True ada", after, f"{after} ada"]


@pytest.mark.parametrize("store", ["memory:", None])
def test_a_stream_notices_that_its_token_has_expired(
    store: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stream(make(store), lambda: turn_clock(monkeypatch, 3_600))
    after = "False False token-expired"
    assert said == ["True True ada", after, f"{after} ada"]


def test_a_stream_goes_on_when_others_are_revoked() -> None:
    app = make()
    said = stream(app, lambda: authz_of(app).revoke(subject="bob"))
    assert said == ["True True ada", "True True ada", "True True ada ada"]


def test_a_long_request_is_503_where_the_store_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make()

    def fail(view: RevocationView, max_age: float | None = None) -> None:
        raise StoreUnavailable("too old")

    with app.app_context():
        token = authz_of(app).issue("ada", roles=["clerk"])
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        assert allowed("orders:read")
        monkeypatch.setattr(RevocationView, "check_age", fail)
        for ask in (allowed, authorize):
            with pytest.raises(AuthorizationUnavailable):
                ask("orders:read")
        with pytest.raises(StoreUnavailable):
            bool(current_identity)


def test_a_copied_request_context_notices_it_as_well() -> None:
    app = make()
    with app.app_context():
        token = authz_of(app).issue("ada", roles=["clerk"])
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        assert allowed("orders:read")
        later = copy_current_request_context(lambda: allowed("orders:read"))
    assert later()
    with app.app_context():
        authz_of(app).revoke(subject="ada")
    assert not later()


def test_an_identity_of_a_loader_is_asked_for_once_and_goes_with_its_token() -> None:
    app, loaded = make(), []

    @authz_of(app).identity_loader
    def load(subject: str, claims: dict[str, Any]) -> Identity:
        loaded.append(subject)
        return Identity(subject, permissions=["orders:read"])

    said = stream(app, lambda: authz_of(app).revoke(subject="ada"))
    assert said[:2] == ["True True ada", "False False token-revoked"]
    assert loaded == ["ada"]


def test_an_identity_that_a_test_supposes_has_no_token_that_could_end() -> None:
    app = make()
    with acting_as(app, Identity("ada", permissions=["orders:read"])):
        said = stream(app, lambda: authz_of(app).revoke(subject="ada"))
    assert said[:2] == ["True True ada", "True True ada"]


def test_a_caller_of_a_test_with_roles_has_one() -> None:
    app = make()
    with acting_as(app, subject="ada", roles=["clerk"]):
        said = stream(app, lambda: authz_of(app).revoke(subject="ada"))
    assert said[:2] == ["True True ada", "False False token-revoked"]


def ended(app: Flask, view: Callable[[], Any], end: Callable[[], Any], **more: Any) -> Any:
    """Answer a request whose token ends between its guard and its view."""

    def ends_first() -> Any:
        end()
        return view()

    app.add_url_rule("/ends", "ends", requires("orders:read", **more)(ends_first))
    with app.app_context():
        token = authz_of(app).issue("ada", roles=["clerk"])
    return app.test_client().get("/ends", headers={"Authorization": f"Bearer {token}"})


def revoke_ada(app: Flask) -> Callable[[], None]:
    return lambda: authz_of(app).revoke(subject="ada")


@pytest.mark.parametrize(
    "read",
    [
        lambda: current_identity.subject,
        lambda: current_identity.has_role("clerk"),
        lambda: getattr(current_identity, "tenant", None),
    ],
)
def test_reading_an_identity_that_was_revoked_is_the_401(read: Callable[[], Any]) -> None:
    app = make()
    answer = ended(app, read, revoke_ada(app))
    assert answer.status_code == 401
    assert answer.json["type"] == "urn:jwt-authz:problem:token-revoked"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_reading_an_identity_that_has_expired_is_the_401(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ended(
        make(None), lambda: current_identity.subject, lambda: turn_clock(monkeypatch, 3_600)
    )
    assert answer.status_code == 401
    assert answer.json["type"] == "urn:jwt-authz:problem:token-expired"


def test_reading_an_identity_is_the_503_where_the_store_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(view: RevocationView, max_age: float | None = None) -> None:
        raise StoreUnavailable("too old")

    answer = ended(
        make(),
        lambda: current_identity.subject,
        lambda: monkeypatch.setattr(RevocationView, "check_age", fail),
    )
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_an_identity_that_has_ended_is_nobody_where_it_is_given() -> None:
    app = make()

    def view() -> dict[str, Any]:
        return {
            "truth": bool(current_identity),
            "allowed": allowed("orders:read", identity=current_identity),
            "shown": f"{current_identity}".find("ada"),
        }

    answer = ended(app, view, revoke_ada(app))
    assert answer.json == {"truth": False, "allowed": False, "shown": -1}


def test_the_refusal_of_an_ended_identity_is_shaped_as_any_other() -> None:
    app = Flask("long")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL="memory:")
    Authz(
        app,
        roles=Roles(Role("clerk", "orders:read")),
        abort=lambda problem: (f"ours: {problem.status}", problem.status),
    )
    answer = ended(app, lambda: current_identity.subject, revoke_ada(app))
    assert (answer.status_code, answer.text) == (401, "ours: 401")


def test_an_identity_ends_with_a_change_of_settings_in_between() -> None:
    app = make()

    def end() -> None:
        revoke_ada(app)()
        app.config["JWT_DECODE_LEEWAY"] = 1  # by which another authenticator takes over

    assert ended(app, lambda: current_identity.subject, end).status_code == 401


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x.y.z"}])
def test_a_request_that_never_had_an_identity_has_none(headers: dict[str, str]) -> None:
    with make().test_request_context(headers=headers):
        for _ in range(2):
            assert current_identity._get_current_object() is None
        with pytest.raises(AttributeError):
            current_identity.subject  # noqa: B018
