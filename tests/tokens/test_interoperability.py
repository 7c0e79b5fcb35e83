"""Other libraries verify own tokens by the published key set, before and after a rotation."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import joserfc.jwk
import joserfc.jwt
import jwt
import pytest
from flask import Flask
from flask_jwt_extended import create_access_token, create_refresh_token
from werkzeug.serving import make_server

from jwt_authz import Authz
from jwt_authz.endpoints import key_set_blueprint
from jwt_authz.tokens import KeySet
from tests.conftest import not_here
from tests.edge import private_pem

with warnings.catch_warnings(record=True):  # Authlib warns that joserfc replaces it
    from authlib.jose import JsonWebKey, JsonWebToken

PATH = "/.well-known/jwks.json"
# joserfc says that Ed25519 has a name of its own since RFC 9864.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
# Tokens come on the standard input, so that no argument shows one.
VERIFY_WITH_JOSE = """
import { readFileSync } from "node:fs";
import { createRemoteJWKSet, jwtVerify } from "jose";
const keys = createRemoteJWKSet(new URL(process.argv[2]));
const subjects = [];
for (const token of JSON.parse(readFileSync(0, "utf8"))) {
  const { payload } = await jwtVerify(token, keys, { algorithms: process.argv.slice(3) });
  subjects.push(payload.sub);
}
console.log(JSON.stringify(subjects));
"""

Verify = Callable[[list[str], str, list[str]], list[str]]
"""Return the subjects of tokens by the key set at a URL and these algorithms, or raise."""


def by_pyjwt(tokens: list[str], url: str, algorithms: list[str]) -> list[str]:
    client, options = jwt.PyJWKClient(url), {"verify_aud": False}
    keys = [client.get_signing_key_from_jwt(token) for token in tokens]
    read: Any = functools.partial(jwt.decode, algorithms=algorithms, options=options)
    return [read(token, key)["sub"] for token, key in zip(tokens, keys, strict=True)]


def by_joserfc(tokens: list[str], url: str, algorithms: list[str]) -> list[str]:
    keys = joserfc.jwk.KeySet.import_key_set(published(url))
    return [joserfc.jwt.decode(token, keys, algorithms).claims["sub"] for token in tokens]


def by_authlib(tokens: list[str], url: str, algorithms: list[str]) -> list[str]:
    keys, reader = JsonWebKey.import_key_set(published(url)), JsonWebToken(algorithms)
    return [reader.decode(token, keys)["sub"] for token in tokens]


def published(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def by_jose(tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Verify with Node's jose, which is installed for the tests of this module."""
    folder = tmp_path_factory.mktemp("jose")
    script = folder / "verify.mjs"
    script.write_text(VERIFY_WITH_JOSE)
    install = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "jose@5")
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=120)
        subprocess.run(("node", "--version"), check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        not_here(f"Node's jose cannot be installed ({type(error).__name__}): needs node and npm")

    def verify(tokens: list[str], url: str, algorithms: list[str]) -> list[str]:
        command, given = ("node", str(script), url, *algorithms), json.dumps(tokens)
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        subjects: list[str] = json.loads(done.stdout)
        return subjects

    return verify


@pytest.fixture(params=["PyJWT", "joserfc", "Authlib", "jose"])
def verify(request: pytest.FixtureRequest) -> Verify:
    verifiers = {"PyJWT": by_pyjwt, "joserfc": by_joserfc, "Authlib": by_authlib}
    named: Verify | None = verifiers.get(request.param)
    return request.getfixturevalue("by_jose") if named is None else named


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Flask, str]]]:
    """Serve an application with these settings; return it and the URL of its key set."""
    stops: list[Callable[[], None]] = []

    def start(**config: Any) -> tuple[Flask, str]:
        app = Flask("shop")
        app.config.update(config)
        Authz(app)
        app.register_blueprint(key_set_blueprint())
        server = make_server("127.0.0.1", 0, app)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stops.extend((server.shutdown, thread.join, server.server_close))
        return app, f"http://127.0.0.1:{server.port}{PATH}"

    yield start
    for stop in stops:
        stop()


def tokens(app: Flask) -> list[str]:
    with app.app_context():
        authz: Authz = app.extensions["jwt_authz"]
        return [authz.issue("ada"), create_access_token("ada"), create_refresh_token("ada")]


@functools.cache
def keys_for(algorithm: str) -> KeySet:
    return KeySet.new(algorithm)


ADA = 3 * ["ada"]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_others_verify_tokens_of_a_key_set_before_and_after_a_rotation(
    verify: Verify, serve: Callable[..., tuple[Flask, str]], algorithm: str, tmp_path: Path
) -> None:
    path, first, accepted = tmp_path / "keys.json", keys_for(algorithm), [algorithm, "ES256"]
    first.write(path)
    app, url = serve(AUTHZ_KEYS_FILE=str(path))
    before = tokens(app)
    assert verify(before, url, accepted) == ADA
    rotated = first.with_new_key("ES256").rotated()
    rotated.write(path)
    app, url = serve(AUTHZ_KEYS_FILE=str(path))
    after = tokens(app)
    assert {jwt.get_unverified_header(token)["kid"] for token in after} == {rotated.active}
    assert verify(before + after, url, accepted) == ADA + ADA
    rotated.retired(first.active).write(path)
    _, url = serve(AUTHZ_KEYS_FILE=str(path))
    assert verify(after, url, accepted) == ADA
    with pytest.raises(Exception):  # noqa: B017 each library has its own
        verify(before, url, accepted)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_others_verify_tokens_of_a_private_key_before_and_after_the_move_to_a_key_set(
    verify: Verify, serve: Callable[..., tuple[Flask, str]], algorithm: str, tmp_path: Path
) -> None:
    settings = {"JWT_ALGORITHM": algorithm, "JWT_PRIVATE_KEY": private_pem(algorithm)}
    app, url = serve(**settings)
    before = tokens(app)
    assert verify(before, url, [algorithm]) == ADA
    keys_for("ES256").write(tmp_path / "keys.json")
    app, url = serve(**settings, AUTHZ_KEYS_FILE=str(tmp_path / "keys.json"))
    assert verify(before + tokens(app), url, [algorithm, "ES256"]) == ADA + ADA
