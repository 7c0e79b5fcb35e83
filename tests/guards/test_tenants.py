"""Tenants: the one in the URL must be the token's, and nothing of one reaches another.

SECURITY 1.41, 2.33: tokens of each tenant against every route of each tenant.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request
from flask.testing import FlaskClient

from jwt_authz import Authz, Identity, MisuseError, Role, Roles, exempt, guard, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import KEY
from jwt_authz.endpoints import permissions_blueprint, refresh_blueprint, token_blueprint
from jwt_authz.guards.tenants import same_tenant
from jwt_authz.policy.decision import DEPENDS
from jwt_authz.testing import acting_as, authz_client

ROLES = Roles(Role("clerk", "orders:read"), Role("boss", "orders:*", includes="clerk"))
TENANTS = ("acme", "north")


def make_app(**settings: Any) -> Flask:
    app = Flask("shop")
    app.config.update(
        {"JWT_SECRET_KEY": "k" * 64, "TESTING": True, "AUTHZ_STORE_URL": "memory:", **settings}
    )
    accounts = MemoryAccounts()
    for tenant in TENANTS:
        accounts.add(f"ann@{tenant}", "a good password", roles=["clerk"], tenant=tenant)
    Authz(app, roles=ROLES, accounts=accounts, default="deny")
    orgs = Blueprint("orgs", __name__, url_prefix="/orgs/<org_id>")
    guard(orgs, same_tenant("org_id"))

    @orgs.get("/orders")
    @requires("orders:read")
    def orders(org_id: str) -> Any:
        return jsonify(org_id)

    @orgs.get("/health")
    @exempt
    def health(org_id: str) -> str:
        return "well"

    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.get("/<int:id>")(lambda org_id, id: "in")
    orgs.register_blueprint(inner)
    app.register_blueprint(orgs)
    app.get("/view/<org_id>")(requires(same_tenant("org_id"))(lambda org_id: "in"))
    app.add_url_rule("/not/<org_id>", "un", requires(~same_tenant("org_id"))(lambda org_id: "in"))
    for page in (token_blueprint(), refresh_blueprint(), permissions_blueprint()):
        app.register_blueprint(page)
    return app


@pytest.fixture
def app() -> Flask:
    return make_app()


PATHS = ["/orgs/{}/orders", "/orgs/{}/inner/7", "/view/{}"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theirs", TENANTS)
@pytest.mark.parametrize("mine", TENANTS)
def test_a_token_of_one_tenant_is_good_in_its_own_alone(
    app: Flask, mine: str, theirs: str, path: str
) -> None:
    client = authz_client(app, subject="ann", roles=["clerk"], tenant=mine)
    wanted = 200 if mine == theirs else 403
    answers = [client.get(path.format(theirs)).status_code for _ in range(3)]  # cold, and warm
    assert answers == [wanted] * 3


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("order", [TENANTS, TENANTS[::-1]])
def test_two_tenants_with_one_subject_and_one_role_are_distinguished_in_either_order(
    app: Flask, path: str, order: tuple[str, str]
) -> None:
    clients = {t: authz_client(app, subject="ann", roles=["clerk"], tenant=t) for t in order}
    for mine in (*order, *order):
        for theirs in order:
            answer = clients[mine].get(path.format(theirs))
            assert (answer.status_code == 200) is (mine == theirs)


def test_exempt_views_of_the_blueprint_are_open_to_everybody(app: Flask) -> None:
    assert app.test_client().get("/orgs/acme/health").text == "well"
    assert app.test_client().get("/orgs/acme/orders").status_code == 401


@pytest.mark.parametrize("path", ["/view/acme", "/not/acme", "/not/"])
def test_a_caller_without_a_tenant_is_refused_also_under_not(app: Flask, path: str) -> None:
    client = authz_client(app, roles=["boss"])
    assert client.get(path).status_code in (403, 404)


def test_another_tenant_is_what_not_asks_for(app: Flask) -> None:
    client = authz_client(app, tenant="acme")
    assert client.get("/not/north").status_code == 200
    assert client.get("/not/acme").status_code == 403


@pytest.mark.parametrize("named", ["Acme", "acme ", "acm", "acmee", "%61cme/", "ACME"])
def test_only_the_very_same_name_is_the_same(app: Flask, named: str) -> None:
    client = authz_client(app, tenant="acme")
    assert client.get(f"/view/{named}").status_code in (403, 404)


@pytest.mark.parametrize(
    ("rule", "tenant", "path"),
    [
        ("/<int:org_id>", "7", "/7"),
        ("/<uuid:org_id>", str(uuid.UUID(int=7)), f"/{uuid.UUID(int=7)}"),
        ("/<path:org_id>", "a/b", "/a/b"),
    ],
)
def test_an_argument_is_compared_by_its_text(rule: str, tenant: str, path: str) -> None:
    app = Flask("typed")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app)
    app.get(rule)(requires(same_tenant("org_id"))(lambda org_id: "in"))
    assert authz_client(app, tenant=tenant).get(path).status_code == 200
    assert authz_client(app, tenant="other").get(path).status_code == 403


def log_in(client: FlaskClient, tenant: str) -> dict[str, Any]:
    sent = {"username": f"ann@{tenant}", "password": "a good password"}
    answer = client.post("/token", json=sent)
    assert answer.status_code == 200
    return dict(answer.json or {})


def get(client: FlaskClient, path: str, pair: dict[str, Any]) -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {pair['access_token']}"})


@pytest.fixture
def pairs(app: Flask) -> Iterator[dict[str, dict[str, Any]]]:
    """The tokens of a log-in to each tenant."""
    yield {tenant: log_in(app.test_client(), tenant) for tenant in TENANTS}


def test_a_log_in_and_its_refresh_are_of_one_tenant(
    app: Flask, pairs: dict[str, dict[str, Any]]
) -> None:
    client = app.test_client()
    for mine, pair in pairs.items():
        after = client.post("/token/refresh", json={"refresh_token": pair["refresh_token"]}).json
        for theirs in TENANTS:
            for held in (pair, after):
                wanted = 200 if mine == theirs else 403
                assert get(client, f"/orgs/{theirs}/orders", held).status_code == wanted
        assert get(client, "/me/permissions", after).json["tenant"] == mine


def test_what_is_revoked_of_one_tenant_is_not_of_another(
    app: Flask, pairs: dict[str, dict[str, Any]]
) -> None:
    client = app.test_client()
    with app.app_context():
        app.extensions["jwt_authz"].revoke(tenant="acme")
    assert get(client, "/orgs/acme/orders", pairs["acme"]).status_code == 401
    assert get(client, "/orgs/north/orders", pairs["north"]).status_code == 200
    ended, kept = (
        client.post("/token/refresh", json={"refresh_token": pairs[tenant]["refresh_token"]})
        for tenant in TENANTS
    )
    assert (ended.status_code, kept.status_code) == (401, 200)
    again = log_in(client, "acme")
    assert get(client, "/orgs/acme/orders", again).status_code == 200


def test_the_log_ins_of_one_tenant_are_not_shown_to_another(
    app: Flask, pairs: dict[str, dict[str, Any]]
) -> None:
    client = app.test_client()
    listed = {t: get(client, "/token/families", pairs[t]).json["families"] for t in TENANTS}
    assert [len(found) for found in listed.values()] == [1, 1]
    theirs = listed["north"][0]["id"]
    answer = client.delete(
        f"/token/families/{theirs}",
        headers={"Authorization": f"Bearer {pairs['acme']['access_token']}"},
    )
    assert answer.status_code == 404
    assert get(client, "/orgs/north/orders", pairs["north"]).status_code == 200


def test_the_rights_of_two_tenants_have_two_etags(
    app: Flask, pairs: dict[str, dict[str, Any]]
) -> None:
    client = app.test_client()
    tags = {get(client, "/me/permissions", pair).headers["ETag"] for pair in pairs.values()}
    assert len(tags) == 2


def test_two_tokens_that_differ_in_the_tenant_alone_are_kept_apart(app: Flask) -> None:
    seen = set()
    for tenant in TENANTS:
        client = authz_client(app, subject="ann", roles=["clerk"], tenant=tenant)
        client.get(f"/orgs/{tenant}/orders")
        seen.add(client.environ_base["HTTP_AUTHORIZATION"])
    assert len(seen) == 2
    assert len(app.extensions[KEY]._authenticator.verification.cache) == 2


def test_a_route_without_the_argument_is_a_misuse_that_says_what_to_write() -> None:
    app = Flask("wrong")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    authz = Authz(app)
    app.add_url_rule("/orgs/<org>", "orgs", requires(same_tenant("org_id"))(lambda org: "in"))
    with (
        app.app_context(),
        pytest.raises(
            MisuseError,
            match=r"GET /orgs/<org> \(orgs\).*needs the argument org_id, so write <org_id>",
        ),
    ):
        authz.check()


def test_outside_a_request_for_such_a_view_it_refuses(app: Flask) -> None:
    decision = same_tenant("org_id").evaluate(Identity("ann", tenant="acme"))
    assert not decision and "needs a request for a view" in decision.error
    with app.test_request_context("/"):
        assert (~same_tenant("org_id")).evaluate(Identity("ann", tenant="acme")).error
    assert not same_tenant("org_id").evaluate("ann")


def test_an_identity_of_another_source_is_of_its_tenant(app: Flask) -> None:
    with acting_as(app, Identity("ann", tenant="acme", roles=["clerk"], catalogue=ROLES)):
        assert app.test_client().get("/orgs/acme/orders").status_code == 200
        assert app.test_client().get("/orgs/north/orders").status_code == 403


def test_it_is_a_value_with_a_name_and_a_sentence() -> None:
    assert repr(same_tenant("org_id")) == "same_tenant('org_id')"
    assert same_tenant("org_id").sentence == "belongs to the tenant in the URL"
    assert same_tenant("org_id") == same_tenant("org_id") != same_tenant("org")
    assert same_tenant("org_id").analyse(Identity("ann", tenant="acme")) is DEPENDS


@pytest.mark.parametrize("argument", ["", "<org_id>", "org-id", None, 7])
def test_an_invalid_argument_is_a_misuse(argument: Any) -> None:
    with pytest.raises(MisuseError, match=r"write same_tenant\('org_id'\) for <org_id>"):
        same_tenant(argument)


@pytest.mark.parametrize("removes", ["pop", "replace"])
def test_the_tenant_counts_that_a_url_value_preprocessor_takes_out_of_the_arguments(
    removes: str,
) -> None:
    app = Flask("shop")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES, default="deny")
    orgs = Blueprint("orgs", __name__, url_prefix="/orgs/<org_id>/<int:page>")
    guard(orgs, same_tenant("org_id"))

    @orgs.url_value_preprocessor
    def keep(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert values is not None
        if removes == "pop":
            del values["org_id"], values["page"]
        else:
            request.view_args = {}

    orgs.get("/orders")(lambda: "in")
    app.register_blueprint(orgs)
    ann = authz_client(app, roles=["clerk"], tenant="acme")
    assert [ann.get(f"/orgs/{org}/1/orders").status_code for org in TENANTS] == [200, 403]
