"""`GET /.well-known/jwks.json`: the public keys, for anyone who verifies tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask

from jwt_authz import guard
from jwt_authz.endpoints import key_set_blueprint
from jwt_authz.endpoints.key_set import MAX_AGE_SECONDS
from jwt_authz.tokens import KeySet, verify
from tests.edge import guarded_app, private_pem, public_pem, token_for

PATH = "/.well-known/jwks.json"


def publishing(
    algorithm: str = "HS256", authz: dict[str, Any] | None = None, **config: Any
) -> Flask:
    app = guarded_app(algorithm, authz=authz, **config)
    app.register_blueprint(key_set_blueprint())
    return app


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_the_public_keys_of_the_file_are_published_and_verify_its_tokens(path: Path) -> None:
    KeySet.new("ES256").with_new_key("EdDSA").with_new_key("HS256").write(path)
    app = publishing(AUTHZ_KEYS_FILE=str(path))
    answer = app.test_client().get(PATH)
    assert answer.status_code == 200
    assert answer.mimetype == "application/jwk-set+json"
    keys = answer.get_json()["keys"]
    assert [key["alg"] for key in keys] == ["ES256", "EdDSA"]
    for key in keys:
        assert key.keys() <= {"kty", "kid", "use", "alg", "crv", "x", "y"}
    token = token_for(app, "alice", "viewer")
    assert verify(token, keys[0], "ES256")
    foreign = jwt.PyJWKSet.from_dict(answer.get_json())[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, foreign.key, algorithms=["ES256"])["sub"] == "alice"


@pytest.mark.parametrize(
    "algorithm", ["RS256", "PS256", "ES256", "ES256K", "ES512", "EdDSA", "Ed25519", "Ed448"]
)
@pytest.mark.parametrize("has_public", [True, False])
def test_without_a_file_the_key_of_an_asymmetric_algorithm_is_published(
    algorithm: str, has_public: bool
) -> None:
    app = publishing(algorithm, **({} if has_public else {"JWT_PUBLIC_KEY": None}))
    (key,) = app.test_client().get(PATH).get_json()["keys"]
    assert (key["alg"], key["use"]) == (algorithm, "sig")
    assert key.keys() <= {"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"}
    assert verify(token_for(app, "alice"), key, algorithm)


def test_an_application_that_only_verifies_publishes_its_public_key() -> None:
    app = publishing("ES256", JWT_PRIVATE_KEY=None)
    (key,) = app.test_client().get(PATH).get_json()["keys"]
    assert verify(token_for(guarded_app("ES256"), "alice"), key, "ES256")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_is_never_published(algorithm: str, path: Path) -> None:
    KeySet.new(algorithm).write(path)
    for config in ({}, {"AUTHZ_KEYS_FILE": str(path)}):
        app = publishing(algorithm, **config)
        answer = app.test_client().get(PATH)
        assert answer.get_json() == {"keys": []}
        assert json.loads(path.read_text())["keys"][0]["k"] not in answer.text
        assert app.config["JWT_SECRET_KEY"] not in answer.text


def test_an_application_whose_keys_are_elsewhere_publishes_an_empty_set() -> None:
    app = publishing("ES256", JWT_PRIVATE_KEY=None, JWT_PUBLIC_KEY=None)
    manager = app.extensions["flask-jwt-extended"]
    manager.decode_key_loader(lambda header, payload: public_pem("ES256"))
    manager.encode_key_loader(lambda identity: private_pem("ES256"))
    with app.test_request_context():
        from jwt_authz.endpoints.key_set import key_set

        assert key_set() == {"keys": []}


def test_the_answer_may_be_kept_by_everybody_for_a_minute_and_asked_for_again_cheaply(
    path: Path,
) -> None:
    KeySet.new("ES256").write(path)
    client = publishing(AUTHZ_KEYS_FILE=str(path)).test_client()
    answer = client.get(PATH)
    assert answer.headers["Cache-Control"] == f"public, max-age={MAX_AGE_SECONDS}"
    assert MAX_AGE_SECONDS <= 300
    assert "Vary" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    etag = answer.headers["ETag"]
    again = client.get(PATH, headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    assert client.get(PATH, headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_new_key_is_published_within_a_second_under_another_etag(path: Path) -> None:
    held = KeySet.new("ES256")
    held.write(path)
    app = publishing(AUTHZ_KEYS_FILE=str(path))
    client = app.test_client()
    before = client.get(PATH)
    held.with_new_key().write(path)
    app.extensions["jwt_authz.state"]._key_file.current(0.0, look=True)  # in place of a second
    after = client.get(PATH, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.get_json()["keys"][0] == before.get_json()["keys"][0]
    assert len(after.get_json()["keys"]) == 2


def test_everybody_may_read_it_where_everything_else_is_closed() -> None:
    app = guarded_app("ES256", authz={"default": "deny"})
    guard(app, "article:edit")
    app.register_blueprint(key_set_blueprint())
    client = app.test_client()
    for headers in ({}, {"Authorization": "Bearer x.y.z"}):
        assert client.get(PATH, headers=headers).status_code == 200
    assert client.head(PATH).headers["ETag"] == client.get(PATH).headers["ETag"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.open(PATH, method=method).status_code == 405
    with app.app_context():
        app.extensions["jwt_authz"].check()


def test_the_url_is_the_applications_choice() -> None:
    app = guarded_app("ES256")
    app.register_blueprint(key_set_blueprint("/keys"), url_prefix="/v1")
    assert len(app.test_client().get("/v1/keys").get_json()["keys"]) == 1
    assert app.test_client().get(PATH).status_code == 404
