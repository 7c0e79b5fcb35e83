"""The `AUTHZ_*` settings: read once, checked and frozen."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz, MisuseError, current_identity, has_scope, requires
from jwt_authz.settings import Settings, setting_name, settings_table
from tests import hostile
from tests.edge import bare_app, claims_of, get, guarded_app, token_for


def test_the_defaults_are_the_safe_ones() -> None:
    """SECURITY 2.57."""
    settings = Settings.read({})
    assert settings == Settings()
    assert (settings.realm, settings.disclose, settings.encoding) == ("api", "sentence", "auto")
    assert settings.max_token_bytes == 4_096
    assert settings.cache_bytes == 24 * 2**20


def test_settings_are_read_from_the_config_and_the_rest_of_it_is_left_alone() -> None:
    config = {"AUTHZ_REALM": "shop", "AUTHZ_CACHE_BYTES": 0, "JWT_ALGORITHM": "HS256", "OTHER": 1}
    settings = Settings.read(config)
    assert (settings.realm, settings.cache_bytes) == ("shop", 0)


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().realm = "other"  # type: ignore[misc]


UNFIT: dict[str, tuple[Any, ...]] = {
    "realm": ("", None, 1, b"api", ["api"]),
    "disclose": ("all", "", None, True, "Sentence", ["tree"]),
    "enforce": (0, 1, None, "", "False", []),
    "encoding": ("none", "", None, "FULL", 1),
    "max_token_bytes": (-1, "4096", None, 4096.0, True),
    "cache_bytes": (-1, "24 MiB", None, 1.5, False),
    "issuer": ("", 1, ["https://id.example"]),
    "audience": ("", 1, ["https://api.example"]),
    "client_id": ("", 1, ["client"]),
    "token_profile": ("jwt", "", "AT+JWT", 1, True, ["at+jwt"]),
    "keys_file": ("", " ", 1, ["keys.json"], '{"keys": []}', "-----BEGIN\nPRIVATE KEY"),
    "store_url": ("", 1, ["memory:"]),
    "store_namespace": ("a b", "{a}", "a:b", "x" * 65, "a\n", "redis://:s@host", None, 1),
    "accounts_timeout": (0, -1, "5", None, True, float("inf"), float("nan")),
    "store_timeout": (0, -1, "1", None, True, float("inf"), float("nan")),
    "revocation_max_age": (0, 0.5, "5", None, True),
    "refresh_grace": (-1, "10", None, True, float("inf"), float("nan")),
    "refresh_idle": (0, -1, "1", None, True, float("inf")),
    "roles_claim": ("", 1, None, "sub", ["roles"]),
    "permissions_claim": ("", 1, None, "exp", ["entitlements"]),
    "login_rate": ("10", "ten per minute", "0 per minute", "-1/minute", "10 per", None, 10, True),
    "login_rate_store": ("", "memory", "http://127.0.0.1", "postgresql://x", None, 1),
    "tenant_claim": ("", 1, None, "iss", "client_id"),
    "scope_claim": ("", 1, None, "type", "csrf"),
    "silence": ("AZ105", 1, None, [1], {"AZ105": True}),
}


MAY_HOLD_A_PASSWORD = ("store_url", "login_rate_store", "keys_file")


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in UNFIT.items() for value in values]
)
def test_a_value_that_is_unfit_is_reported_with_what_to_write(name: str, value: Any) -> None:
    setting = setting_name(name)
    with pytest.raises(MisuseError) as raised:
        Settings.read({setting: value})
    is_hidden = name in MAY_HOLD_A_PASSWORD or "://" in repr(value)
    shown = "not valid" if is_hidden else repr(value)
    assert str(raised.value).startswith(f"{setting} is {shown}: write ")


def test_every_setting_refuses_something() -> None:
    assert {field.name for field in dataclasses.fields(Settings)} == UNFIT.keys()


@pytest.mark.parametrize(
    "named",
    [
        {"AUTHZ_ROLES_CLAIM": "permissions"},
        {"AUTHZ_TENANT_CLAIM": "x", "AUTHZ_SCOPE_CLAIM": "x"},
    ],
)
def test_two_claims_cannot_have_one_name(named: dict[str, str]) -> None:
    with pytest.raises(MisuseError, match="give each claim a name of its own"):
        Settings.read(named)


@pytest.mark.parametrize("encoding", ["full", "roles", "compact"])
def test_renamed_claims_are_issued_completed_read_and_checked_alike(encoding: str) -> None:
    app = guarded_app(
        AUTHZ_ENCODING=encoding,
        AUTHZ_ROLES_CLAIM="https://shop.example/roles",
        AUTHZ_PERMISSIONS_CLAIM="entitlements",
        AUTHZ_TENANT_CLAIM="org",
        AUTHZ_SCOPE_CLAIM="scp",
    )
    app.add_url_rule("/edit", "edit", requires("article:edit", has_scope("a"))(lambda: "in"))
    app.add_url_rule("/tenant", "tenant", requires()(lambda: current_identity.tenant))
    client = app.test_client()
    roles = {"https://shop.example/roles": ["editor"]}
    with app.app_context():
        issued = app.extensions["jwt_authz"].issue(
            "alice", roles=["editor"], tenant="north", scope="a b"
        )
    plain = token_for(app, "alice", claims={**roles, "scp": "a"})
    usual = token_for(app, "alice", "editor", claims={"scope": "a", "permissions": ["*:*"]})
    assert get(client, "/edit", issued).status_code == 200
    assert get(client, "/tenant", issued).text == "north"
    assert get(client, "/edit", plain).status_code == 200
    assert get(client, "/edit", usual).status_code == 403
    wrong = token_for(app, "alice", claims={**roles, "org": ["north"]})
    assert get(client, "/tenant", wrong).status_code == 401
    assert usual != issued


@pytest.mark.parametrize("name", ["AUTHZ_RELAM", "AUTHZ_", "AUTHZ_realm", "AUTHZ_SECRET"])
def test_a_name_that_is_not_a_setting_is_reported_with_those_that_are(name: str) -> None:
    with pytest.raises(MisuseError, match=f"{name} is not a setting: write one of AUTHZ_REALM, "):
        Settings.read({name: "x"})


def test_the_table_for_the_documentation_has_every_setting() -> None:
    table = settings_table()
    assert [row[0] for row in table] == [
        setting_name(field.name) for field in dataclasses.fields(Settings)
    ]
    for name, default, wanted, meaning in table:
        assert name.startswith("AUTHZ_")
        assert default
        assert wanted
        assert meaning.endswith(".")


def test_settings_count_as_they_were_at_the_first_use() -> None:
    """Scalars are read once: a change while requests run would be half of each."""
    app = guarded_app(AUTHZ_REALM="first")
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    client = app.test_client()
    for realm in ("first", "second"):
        app.config["AUTHZ_REALM"] = realm
        assert 'realm="first"' in client.get("/").headers["WWW-Authenticate"]


def test_settings_may_come_after_the_extension() -> None:
    app = bare_app()
    Authz(app)
    app.config["AUTHZ_REALM"] = "late"
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    assert 'realm="late"' in app.test_client().get("/").headers["WWW-Authenticate"]


def test_two_applications_have_settings_of_their_own() -> None:
    authz, realms = Authz(), []
    for name in ("one", "two"):
        app = bare_app(AUTHZ_REALM=name)
        authz.init_app(app)
        app.add_url_rule("/", "view", requires()(lambda: "in"))
        realms.append(app.test_client().get("/").headers["WWW-Authenticate"])
    assert realms == ['Bearer realm="one"', 'Bearer realm="two"']


def test_settings_come_from_the_environment_as_flask_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLASK_AUTHZ_REALM", "shop")
    monkeypatch.setenv("FLASK_AUTHZ_CACHE_BYTES", "0")
    monkeypatch.setenv("FLASK_AUTHZ_ENCODING", "roles")
    app = Flask("environment")
    app.config.from_prefixed_env()
    settings = Settings.read(app.config)
    assert (settings.realm, settings.cache_bytes, settings.encoding) == ("shop", 0, "roles")


# --- the profile of RFC 9068 ---------------------------------------------------------------------

REQUIRED = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


def profiled() -> Flask:
    app = guarded_app(
        AUTHZ_TOKEN_PROFILE="at+jwt", JWT_DECODE_ISSUER="us", JWT_DECODE_AUDIENCE="api"
    )
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    return app


def rfc9068(**changes: Any) -> dict[str, Any]:
    return claims_of(**{"iss": "us", "aud": "api", "client_id": "c", **changes})


def test_under_the_profile_a_token_of_its_shape_is_accepted() -> None:
    app = profiled()
    with app.app_context():
        own = app.extensions["jwt_authz"].issue("alice", roles=["viewer"])
    generic = hostile.token(rfc9068(type=..., fresh=...), hostile.header_of(typ="at+jwt"))
    for token in (own, generic):
        assert get(app.test_client(), "/", token).status_code == 200


@pytest.mark.parametrize("claim", ["iss", "aud"])
def test_under_the_profile_a_token_of_a_sibling_that_shares_the_key_is_refused(claim: str) -> None:
    """RFC 9068 section 4: `iss` and `aud` must be checked, also where no setting names them."""
    app = guarded_app(AUTHZ_TOKEN_PROFILE="at+jwt")
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    good = rfc9068(iss=app.name, aud=app.name)
    header = hostile.header_of(typ="at+jwt")
    assert get(app.test_client(), "/", hostile.token(good, header)).status_code == 200
    sibling = hostile.token({**good, claim: "another"}, header)
    assert get(app.test_client(), "/", sibling).status_code == 401


@pytest.mark.parametrize("dropped", REQUIRED)
def test_under_the_profile_a_token_that_lacks_a_claim_is_refused(dropped: str) -> None:
    """SECURITY 2.12."""
    token = hostile.token(rfc9068(**{dropped: ...}), hostile.header_of(typ="at+jwt"))
    assert get(profiled().test_client(), "/", token).status_code == 401


@pytest.mark.parametrize("typ", ["JWT", ..., "jwt"])
def test_under_the_profile_a_token_of_another_typ_is_refused(typ: Any) -> None:
    """SECURITY 2.10."""
    app = profiled()
    token = hostile.token(rfc9068(), hostile.header_of(typ=typ))
    assert get(app.test_client(), "/", token).status_code == 401
    assert get(app.test_client(), "/", token_for(app)).status_code == 401
