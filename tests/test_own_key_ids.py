"""Own tokens name their key: clients of the key set find it, and a key of before still verifies."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as formats
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask, jsonify
from flask_jwt_extended import create_access_token, jwt_required
from werkzeug.serving import make_server

from jwt_authz import Authz, requires
from jwt_authz.endpoints import key_set_blueprint
from jwt_authz.tokens import KeySet
from tests.tokens.forging import encoded, signed_text

SECRET = "a secret of this test that is long enough"


def shop(**config: Any) -> tuple[Flask, Authz]:
    app = Flask("shop")
    app.config.update(config)
    authz = Authz(app)
    app.register_blueprint(key_set_blueprint())
    app.add_url_rule("/guarded", "guarded", requires()(lambda: jsonify()))
    app.add_url_rule("/plain", "plain", jwt_required()(lambda: jsonify()))
    return app, authz


def issued(app: Flask, authz: Authz) -> list[str]:
    with app.app_context():
        return [authz.issue("ada"), create_access_token("ada")]


def statuses(app: Flask, token: str) -> set[int]:
    headers = {"Authorization": f"Bearer {token}"}
    client = app.test_client()
    return {client.get(url, headers=headers).status_code for url in ("/guarded", "/plain")}


def test_a_client_of_the_published_set_verifies_tokens_of_a_private_key() -> None:
    pem, key = formats.Encoding.PEM, ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(pem, formats.PrivateFormat.PKCS8, formats.NoEncryption())
    public = key.public_key().public_bytes(pem, formats.PublicFormat.SubjectPublicKeyInfo)
    app, authz = shop(
        JWT_ALGORITHM="ES256",
        JWT_PRIVATE_KEY=private.decode(),
        JWT_PUBLIC_KEY=public.decode(),
    )
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        client = jwt.PyJWKClient(f"http://127.0.0.1:{server.port}/.well-known/jwks.json")
        for token in issued(app, authz):
            found = client.get_signing_key_from_jwt(token)
            options: Any = {"verify_aud": False}
            assert jwt.decode(token, found, algorithms=["ES256"], options=options)["sub"] == "ada"
            assert statuses(app, token) == {200}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    KeySet.new("ES256").write(file)
    return file


def test_tokens_of_the_secret_stay_valid_beside_a_key_set(keys_file: Path) -> None:
    before = issued(*shop(JWT_SECRET_KEY=SECRET))
    app, authz = shop(JWT_SECRET_KEY=SECRET, AUTHZ_KEYS_FILE=str(keys_file))
    assert [statuses(app, token) for token in before] == [{200}, {200}]
    for token in issued(app, authz):
        assert jwt.get_unverified_header(token)["alg"] == "ES256"
    without, _ = shop(AUTHZ_KEYS_FILE=str(keys_file))
    assert all(statuses(without, token) <= {401, 422} for token in before)


def test_a_secret_verifies_no_token_that_names_a_key_of_the_set(keys_file: Path) -> None:
    app, _ = shop(JWT_SECRET_KEY=SECRET, AUTHZ_KEYS_FILE=str(keys_file))
    (good, _) = issued(*shop(JWT_SECRET_KEY=SECRET))
    kid = KeySet.read(keys_file).active
    for named in (kid, "other", ""):
        header = encoded({"alg": "HS256", "typ": "at+jwt", "kid": named})
        token = signed_text(f"{header}.{good.split('.')[1]}", SECRET)
        assert statuses(app, token) <= {401, 422}


def test_the_secret_of_sessions_verifies_no_token_beside_a_key_set(keys_file: Path) -> None:
    before = issued(*shop(SECRET_KEY=SECRET))
    app, _ = shop(SECRET_KEY=SECRET, AUTHZ_KEYS_FILE=str(keys_file))
    assert all(statuses(app, token) <= {401, 422} for token in before)
