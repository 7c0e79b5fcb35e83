"""The settings of the example: texts stay texts, and what is not set is invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest
from flask_jwt_extended import jwt_required

from examples.api.keys import new_private_key, public_key_of
from jwt_authz import MisuseError, exempt

SECRET = "a secret for the tests that is long enough for any HMAC: 64 bytes."


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm",
    ["HS256", "HS512", "RS256", "PS384", "ES256", "ES256K", "ES512", "EdDSA", "Ed25519", "Ed448"],
)
def test_each_algorithm_starts_without_a_key_and_signs_with_it(start: Any, algorithm: str) -> None:
    api = start(JWT_ALGORITHM=algorithm)
    assert jwt.get_unverified_header(api.token("viewer"))["alg"] == algorithm
    assert api.ask("viewer", "GET", "/articles/1").status_code == 200
    assert api.ask("viewer", "GET", "/reports").status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_each_start_makes_another_key(start: Any, algorithm: str) -> None:
    """SECURITY 1.36."""
    one, other = start(JWT_ALGORITHM=algorithm), start(JWT_ALGORITHM=algorithm)
    other.tokens["viewer"] = one.token("viewer")
    assert other.ask("viewer", "GET", "/me").status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_private_key_that_is_given_is_the_one_that_signs(start: Any, algorithm: str) -> None:
    private_key = new_private_key(algorithm)
    api = start(JWT_ALGORITHM=algorithm, JWT_PRIVATE_KEY=private_key)
    payload = jwt.decode(
        api.token("viewer"), public_key_of(private_key), [algorithm], audience="examples.api"
    )
    assert payload["sub"] == api.ask("viewer", "GET", "/me").json["subject"]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_plain_jwt_required_takes_the_same_tokens(start: Any, algorithm: str) -> None:
    api = start(JWT_ALGORITHM=algorithm)
    api.app.add_url_rule("/plain", "plain", exempt(jwt_required()(lambda: "as ever")))
    assert api.ask("viewer", "GET", "/plain").text == "as ever"
    assert api.ask("nobody", "GET", "/plain").status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize(
    "password",
    ["73051946", "00073051946", "7305194e8", "-1.50000", "[1, 2, 3]", '{"a": "b"}', "1" * 4_096],
)
def test_a_password_is_taken_as_it_was_written(start: Any, password: str) -> None:
    api = start(DEMO_PASSWORD=password)
    assert api.log_in("viewer", password).status_code == 200


@pytest.mark.parametrize("password", ["true", "null", "1e5", "12345"])
def test_a_password_that_is_too_short_is_reported_at_the_start(start: Any, password: str) -> None:
    with pytest.raises(MisuseError, match=r"FLASK_DEMO_PASSWORD.*too short"):
        start(DEMO_PASSWORD=password)


@pytest.mark.slow
@pytest.mark.parametrize("secret", ["1234567890" * 7, "0" * 64, "1" + "0" * 60 + "e5"])
def test_a_secret_is_taken_as_it_was_written(start: Any, secret: str) -> None:
    api = start(JWT_SECRET_KEY=secret)
    payload = jwt.decode(api.token("viewer"), secret, ["HS256"], audience="examples.api")
    assert payload["roles"] == ["viewer"]


def test_texts_that_look_like_json_are_texts(start: Any) -> None:
    api = start(JWT_SECRET_KEY=SECRET, AUTHZ_REALM="null", AUTHZ_ISSUER="1e5", AUTHZ_AUDIENCE="12")
    payload = jwt.decode(api.token("viewer"), SECRET, ["HS256"], audience="12")
    assert payload["iss"] == "1e5"
    challenge = api.ask("nobody", "GET", "/me").headers["WWW-Authenticate"]
    assert challenge == 'Bearer realm="null"'


def test_numbers_are_still_numbers(start: Any) -> None:
    api = start(JWT_ACCESS_TOKEN_EXPIRES="60", MAX_CONTENT_LENGTH="100")
    assert api.log_in("viewer").json["expires_in"] == 60
    too_large = api.ask("editor", "POST", "/articles", json={"title": "x" * 101})
    assert too_large.status_code == 413


@pytest.mark.slow
def test_an_empty_setting_is_none(start: Any) -> None:
    api = start(JWT_ALGORITHM="", JWT_SECRET_KEY="", DATABASE_URL="")
    assert api.ask("viewer", "GET", "/me").status_code == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"JWT_SECRET_KEY": "short"}, "the secret for HS256 has 5 bytes and needs 32"),
        ({"JWT_ALGORITHM": "none"}, "signs nothing"),
        ({"JWT_ALGORITHM": "FOO"}, "Unsupported signing algorithm 'FOO'"),
        ({"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": "12"}, "FLASK_JWT_PRIVATE_KEY cannot be"),
        (
            {"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": new_private_key("ES256")},
            "Unsuitable key for RS256",
        ),
        (
            {"JWT_ALGORITHM": "ES256", "JWT_PUBLIC_KEY": public_key_of(new_private_key("ES256"))},
            "FLASK_JWT_PUBLIC_KEY needs its private half",
        ),
        ({"AUTHZ_REALMS": "x"}, "AUTHZ_REALMS is not a setting"),
    ],
)
def test_a_setting_that_cannot_work_is_reported_at_the_start(
    start: Any, settings: dict[str, str], message: str
) -> None:
    """SECURITY 2.5."""
    with pytest.raises(MisuseError, match=message):
        start(**settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 500),
        ({"JWT_SECRET_KEY": SECRET}, 500),
        ({"DATABASE_URL": "sqlite:///{folder}/x.db"}, 500),
        ({"DATABASE_URL": "sqlite:///{folder}/x.db", "JWT_ALGORITHM": "ES256"}, 500),
        ({"DATABASE_URL": "sqlite:///{folder}/x.db", "JWT_SECRET_KEY": SECRET}, 200),
    ],
)
def test_several_workers_need_a_key_and_a_database_that_they_share(
    start: Any, tmp_path: Path, settings: dict[str, str], status: int
) -> None:
    api = start(**{name: value.format(folder=tmp_path) for name, value in settings.items()})
    api.token("viewer")  # asked of a single worker
    answer = api.ask("viewer", "GET", "/me", environ_overrides={"wsgi.multiprocess": True})
    assert answer.status_code == status
    if status == 500:
        assert answer.mimetype == "application/problem+json"


@pytest.mark.slow
def test_the_database_that_is_invented_lies_in_a_folder_of_its_own(
    start: Any, tmp_path: Path
) -> None:
    start()
    start()
    assert len(list(tmp_path.glob("jwt_authz-example-*/api.db"))) == 2
