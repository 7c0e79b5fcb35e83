"""Callers: what a client and a block of code act as, and that the guards stay on."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, session
from flask_jwt_extended import JWTManager

from jwt_authz import Authz, Identity, MisuseError, allowed, current_identity, requires
from jwt_authz.issuers import Issuer
from jwt_authz.testing import acting_as, authz_client

from .shop import ROLES, make_shop

SECRET = "k" * 64


@pytest.fixture
def app() -> Flask:
    return make_shop()


def test_a_client_is_let_in_by_its_role_and_refused_without(app: Flask) -> None:
    assert authz_client(app, roles=["clerk"]).get("/orders/1").status_code == 200
    assert authz_client(app, roles=["clerk"]).delete("/orders/1").status_code == 403
    assert authz_client(app).get("/orders/1").status_code == 403
    assert app.test_client().get("/orders/1").status_code == 401


def test_a_client_is_let_in_by_a_permission_of_its_own(app: Flask) -> None:
    client = authz_client(app, permissions=["orders:read"])
    assert client.get("/orders/1").status_code == 200


def test_a_view_sees_what_the_client_was_made_of(app: Flask) -> None:
    client = authz_client(
        app, roles=["clerk"], subject="ann", tenant="acme", claims={"plan": "gold"}
    )
    assert client.get("/seen").json == {
        "subject": "ann",
        "roles": ["clerk"],
        "tenant": "acme",
        "plan": "gold",
    }
    assert client.get("/gold").status_code == 200


def test_a_client_may_be_fresh(app: Flask) -> None:
    assert authz_client(app, fresh=True).get("/fresh").status_code == 200
    assert authz_client(app, fresh=timedelta(minutes=1)).get("/fresh").status_code == 200
    assert authz_client(app).get("/fresh").status_code == 401


def test_two_clients_of_one_application_are_two_callers(app: Flask) -> None:
    ann, bob = authz_client(app, subject="ann"), authz_client(app, subject="bob")
    assert [c.get("/seen").json["subject"] for c in (ann, bob, ann)] == ["ann", "bob", "ann"]


@pytest.mark.parametrize("encoding", ["full", "roles", "compact"])
def test_a_client_does_in_each_encoding(encoding: str) -> None:
    app = make_shop(AUTHZ_ENCODING=encoding)
    assert authz_client(app, roles=["clerk"]).get("/orders/1").status_code == 200


def test_a_client_does_with_another_header() -> None:
    app = make_shop(JWT_HEADER_NAME="X-Token", JWT_HEADER_TYPE="")
    assert authz_client(app, roles=["clerk"]).get("/orders/1").status_code == 200


@pytest.mark.parametrize("protects", [True, False])
def test_a_client_does_with_cookies(protects: bool) -> None:
    app = make_shop(JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_CSRF_PROTECT=protects)
    client = authz_client(app, roles=["manager"])
    assert client.get("/orders/1").status_code == 200
    with pytest.raises(RuntimeError, match="a view ran"):
        client.post("/orders")  # which asks for the CSRF value


def test_a_client_whose_token_is_revoked_is_refused() -> None:
    app = make_shop(AUTHZ_STORE_URL="memory:")
    client = authz_client(app, roles=["clerk"], subject="ann")
    with app.app_context():
        app.extensions["jwt_authz"].revoke(subject="ann")
    assert client.get("/orders/1").status_code == 401
    assert authz_client(app, roles=["clerk"], subject="ann").get("/orders/1").status_code == 200


def test_a_role_that_there_is_not_is_a_misuse(app: Flask) -> None:
    with pytest.raises(MisuseError, match="has no role 'clark'"):
        authz_client(app, roles=["clark"])


def test_where_tokens_come_in_the_query_a_client_is_a_misuse() -> None:
    app = make_shop(JWT_TOKEN_LOCATION=["query_string"])
    with pytest.raises(MisuseError, match="write with acting_as"):
        authz_client(app, roles=["clerk"])
    with acting_as(app, roles=["clerk"]):
        assert app.test_client().get("/orders/1").status_code == 200


def test_a_block_makes_each_request_in_it_somebodys(app: Flask) -> None:
    client = app.test_client()
    with acting_as(app, roles=["clerk"], subject="ann"):
        assert client.get("/seen").json["subject"] == "ann"
        assert client.delete("/orders/1").status_code == 403
        assert app.test_client().get("/orders/1").status_code == 200
    assert client.get("/orders/1").status_code == 401


def test_a_block_takes_the_place_of_the_clients_own_token(app: Flask) -> None:
    client = authz_client(app, subject="bob")
    with acting_as(app, subject="ann"):
        assert client.get("/seen").json["subject"] == "ann"
    assert client.get("/seen").json["subject"] == "bob"


def test_an_inner_block_takes_the_place_of_an_outer_one(app: Flask) -> None:
    client = app.test_client()
    with acting_as(app, subject="ann"):
        with acting_as(app, subject="bob"):
            assert client.get("/seen").json["subject"] == "bob"
        assert client.get("/seen").json["subject"] == "ann"


def test_a_block_ends_with_an_exception(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), acting_as(app, roles=["clerk"]):
        raise ZeroDivisionError
    assert app.test_client().get("/orders/1").status_code == 401


def test_a_block_is_of_its_own_thread_and_its_own_application(app: Flask) -> None:
    other, seen = make_shop(), []
    with acting_as(app, roles=["clerk"]):
        thread = threading.Thread(
            target=lambda: seen.append(app.test_client().get("/orders/1").status_code)
        )
        thread.start()
        thread.join()
        seen.append(other.test_client().get("/orders/1").status_code)
    assert seen == [401, 401]


def test_a_block_holds_for_a_request_that_is_being_served(app: Flask) -> None:
    with app.test_request_context("/"):
        assert not allowed("orders:read")
        with acting_as(app, roles=["clerk"], subject="ann"):
            assert allowed("orders:read") and not allowed("orders:delete")
            assert current_identity.subject == "ann"
        assert not allowed("orders:read")


def test_an_identity_may_be_given_as_an_object(app: Flask) -> None:
    with acting_as(app, Identity("ann", roles=["clerk"], catalogue=ROLES)):
        assert app.test_client().get("/seen").json["subject"] == "ann"
        assert app.test_client().delete("/orders/1").status_code == 403


def test_an_application_with_sessions_is_given_an_identity_of_its_own_kind() -> None:
    app = Flask("pages")
    app.config.update(SECRET_KEY="s" * 40, JWT_SECRET_KEY=SECRET)
    authz = Authz(app)

    @authz.identity_loader
    def load() -> Any:
        return session.get("email")

    @app.get("/")
    @requires(lambda identity: identity == "ann@example.com")
    def page() -> str:
        return "hello"

    client = app.test_client()
    with acting_as(app, "ann@example.com"):
        assert client.get("/").status_code == 200
    with acting_as(app, "bob@example.com"):
        assert client.get("/").status_code == 403
    assert client.get("/").status_code == 401
    with pytest.raises(MisuseError, match=r"write with acting_as\(app, the_identity\)"):
        authz_client(app, roles=["clerk"])


def test_a_loader_that_takes_a_token_is_asked_for_the_subject() -> None:
    app = make_shop()
    users = {"ann": Identity("ann", roles=["manager"], catalogue=ROLES)}
    app.extensions["jwt_authz"].identity_loader(lambda subject, claims: users.get(subject))
    assert authz_client(app, subject="ann").get("/hidden").status_code == 200
    assert authz_client(app, subject="bob").get("/hidden").status_code == 401


def test_a_look_up_of_users_by_fje_is_asked() -> None:
    app = make_shop()
    manager: JWTManager = app.extensions["flask-jwt-extended"]
    manager.user_lookup_loader(lambda header, claims: {"ann": "Ann"}.get(claims["sub"]))
    for act in (authz_client(app, subject="ann"), app.test_client()):
        with acting_as(app, subject="ann"):
            assert act.get("/seen").status_code == 200
    assert authz_client(app, subject="bob").get("/seen").status_code == 401


def test_an_application_that_trusts_others_alone_is_given_an_identity() -> None:
    app = Flask("trusting")
    authz = Authz(app, roles=ROLES)
    idp = "https://idp.example"
    authz.trust(Issuer(idp, "api", "RS256", jwks_uri=f"{idp}/keys"))
    app.get("/")(requires("orders:read")(lambda: "in"))
    with pytest.raises(MisuseError, match=r"no key to sign a token with.*acting_as\(app, Identity"):
        authz_client(app, roles=["clerk"])
    with acting_as(app, Identity("ann", roles=["clerk"], catalogue=ROLES)):
        assert app.test_client().get("/").status_code == 200
