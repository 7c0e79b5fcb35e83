"""Own tokens name their key: clients of the key set find it, and a key of before still verifies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, Response, jsonify
from flask_jwt_extended import (
    create_access_token,
    create_refresh_token,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
    set_refresh_cookies,
)

from jwt_authz import Authz, exempt, requires
from jwt_authz.endpoints import key_set_blueprint
from jwt_authz.tokens import KeySet
from tests.edge import private_key, private_pem, public_pem
from tests.tokens.forging import encoded, signed_text

pytestmark = pytest.mark.versions

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


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("form", ["text", "text, private alone", "object", "object, private alone"])
def test_tokens_of_a_private_key_carry_the_published_kid_and_are_valid(
    algorithm: str, form: str
) -> None:
    settings = asymmetric(algorithm, form)
    app, authz = shop(**settings)
    (published,) = app.test_client().get("/.well-known/jwks.json").get_json()["keys"]
    for token in issued(app, authz):
        assert jwt.get_unverified_header(token)["kid"] == published["kid"]
        assert statuses(app, token) == {200}


def asymmetric(algorithm: str, form: str = "text, private alone") -> dict[str, Any]:
    """Return settings with a key as a PEM text or an object, with the public half or without."""
    is_text, key = form.startswith("text"), private_key(algorithm)
    settings = {
        "JWT_ALGORITHM": algorithm,
        "JWT_PRIVATE_KEY": private_pem(algorithm) if is_text else key,
        "JWT_PUBLIC_KEY": public_pem(algorithm) if is_text else key.public_key(),
    }
    if form.endswith("alone"):
        del settings["JWT_PUBLIC_KEY"]
    return settings


def test_a_malformed_token_is_refused_where_no_public_key_is_set() -> None:
    app, _ = shop(**asymmetric("ES256"))
    forged, _ = issued(*shop(JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY=private_pem("ES256", 1)))
    for token in ("x", "x.y.z", forged):
        assert statuses(app, token) <= {401, 422}


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


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_of_a_private_key_stay_valid_beside_a_key_set(
    algorithm: str, keys_file: Path
) -> None:
    settings = asymmetric(algorithm)
    before = issued(*shop(**settings))
    plain = jwt.encode({**claims_of(before[0]), "jti": "plain"}, private_pem(algorithm), algorithm)
    app, authz = shop(**settings, AUTHZ_KEYS_FILE=str(keys_file))
    assert [statuses(app, token) for token in (*before, plain)] == [{200}] * 3
    active = KeySet.read(keys_file).active
    for token in issued(app, authz):
        assert jwt.get_unverified_header(token)["kid"] == active
    without, _ = shop(AUTHZ_KEYS_FILE=str(keys_file))
    assert all(statuses(without, token) <= {401, 422} for token in (*before, plain))


def test_a_former_private_key_verifies_no_token_that_names_a_key_of_the_set(
    keys_file: Path,
) -> None:
    settings = asymmetric("ES256")
    good, _ = issued(*shop(**settings))
    app, _ = shop(**settings, AUTHZ_KEYS_FILE=str(keys_file))
    for kid in (KeySet.read(keys_file).active, "other", ""):
        headers = {"kid": kid}
        token = jwt.encode(claims_of(good), private_pem("ES256"), "ES256", headers)
        assert statuses(app, token) <= {401, 422}


def test_cookies_of_before_a_key_set_stay_valid(keys_file: Path) -> None:
    def app_with_cookies(**config: Any) -> Flask:
        app, authz = shop(JWT_SECRET_KEY=SECRET, JWT_TOKEN_LOCATION=["cookies"], **config)

        @app.post("/log-in")
        @exempt
        def log_in() -> Response:
            response = jsonify()
            set_access_cookies(response, authz.issue("ada"))
            set_refresh_cookies(response, create_refresh_token("ada"))
            return response

        @app.post("/refresh")
        @exempt
        @jwt_required(refresh=True)
        def refresh() -> Response:
            response = jsonify()
            set_access_cookies(response, create_access_token(get_jwt_identity()))
            return response

        return app

    earlier = app_with_cookies().test_client()
    assert earlier.post("/log-in").status_code == 200
    later = app_with_cookies(AUTHZ_KEYS_FILE=str(keys_file)).test_client()
    later._cookies = earlier._cookies
    csrf = later.get_cookie("csrf_refresh_token")
    assert csrf is not None
    assert [later.get(url).status_code for url in ("/guarded", "/plain")] == [200, 200]
    assert later.post("/refresh").status_code == 401
    answer = later.post("/refresh", headers={"X-CSRF-TOKEN": csrf.value})
    assert answer.status_code == 200
    access = later.get_cookie("access_token_cookie")
    assert access is not None and jwt.get_unverified_header(access.value)["alg"] == "ES256"
    assert [later.get(url).status_code for url in ("/guarded", "/plain")] == [200, 200]


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims
