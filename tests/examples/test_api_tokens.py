"""The example's tokens: refreshed, revoked, and what an admin changes while they are in use."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from flask_jwt_extended import create_access_token

from jwt_authz.authentication import verified


def pair_of(api: Any, who: str) -> dict[str, str]:
    answer = api.log_in(who)
    assert answer.status_code == 200
    members: dict[str, str] = answer.json
    return members


def refresh(api: Any, pair: dict[str, str]) -> Any:
    body = {"refresh_token": pair["refresh_token"]}
    return api.app.test_client().post("/token/refresh", json=body)


def get(api: Any, pair: dict[str, str], path: str) -> int:
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    status: int = api.app.test_client().get(path, headers=headers).status_code
    return status


@pytest.mark.slow
def test_a_refresh_token_is_good_once_and_ends_its_log_in_when_it_comes_again(start: Any) -> None:
    api = start(AUTHZ_REFRESH_GRACE="0")
    first = pair_of(api, "editor")
    second = refresh(api, first).json
    assert get(api, second, "/reports") == 200
    assert refresh(api, first).status_code == 401
    assert refresh(api, second).status_code == 401
    assert get(api, second, "/reports") == 401


def test_a_client_logs_out_by_revoking_its_refresh_token(start: Any) -> None:
    api = start()
    pair = pair_of(api, "editor")
    answer = api.app.test_client().post("/token/revoke", data={"token": pair["refresh_token"]})
    assert answer.status_code == 200
    assert refresh(api, pair).status_code == 401
    assert get(api, pair, "/me") == 401


def test_new_roles_are_in_force_at_once_and_the_refresh_brings_them(api: Any) -> None:
    pair = pair_of(api, "editor")
    assert get(api, pair, "/reports") == 200
    try:
        url = "/admin/users/editor/roles"
        assert api.ask("admin", "PUT", url, json=["viewer"]).status_code == 204
        assert get(api, pair, "/reports") == 401
        after = refresh(api, pair).json
        assert (get(api, after, "/me"), get(api, after, "/reports")) == (200, 403)
    finally:
        assert api.ask("admin", "PUT", url, json=["editor"]).status_code == 204
        api.tokens.clear()
    assert get(api, pair_of(api, "editor"), "/reports") == 200


@pytest.mark.slow
def test_a_stale_list_of_roles_does_not_bring_back_one_that_was_taken_away(start: Any) -> None:
    api, url = start(), "/admin/users/editor"
    seen = api.ask("admin", "GET", url).headers["ETag"]
    statuses = []
    for names in (["viewer"], ["viewer", "editor"]):
        answer = api.ask("admin", "PUT", f"{url}/roles", json=names, headers={"If-Match": seen})
        statuses.append(answer.status_code)
    found = api.ask("admin", "GET", url)
    assert (statuses, found.json["roles"]) == ([204, 412], ["viewer"])
    assert found.headers["ETag"] != seen


@pytest.mark.parametrize("body", ["viewer", {"roles": ["viewer"]}, ["nobody"], [1], [None]])
def test_unknown_roles_are_reported_and_nothing_is_changed(api: Any, body: Any) -> None:
    pair = pair_of(api, "viewer")
    answer = api.ask("admin", "PUT", "/admin/users/viewer/roles", json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert get(api, pair, "/me") == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "kind"),
    [
        ("admin", "subject"),
        ("admin", "tenant"),
        ("operator", "jti"),
        ("operator", "subject"),
        ("operator", "role"),
        ("operator", "tenant"),
        ("operator", "everything"),
    ],
)
def test_an_admin_revokes_tokens_of_their_tenant_and_an_operator_those_of_all(
    start: Any, who: str, kind: str
) -> None:
    api = start()
    pair = pair_of(api, "editor")
    said = claims(pair["access_token"])
    body = {
        "jti": said["jti"],
        "subject": said["sub"],
        "role": "editor",
        "tenant": "north",
        "everything": True,
    }[kind]
    answer = api.ask(who, "POST", "/admin/revocations", json={kind: body})
    assert (answer.status_code, answer.data) == (204, b"")
    assert get(api, pair, "/me") == 401
    ends_log_ins = kind in ("subject", "tenant", "everything")
    assert refresh(api, pair).status_code == (401 if ends_log_ins else 200)
    assert get(api, pair_of(api, "editor"), "/me") == 200


@pytest.mark.slow
def test_an_admin_does_not_log_out_a_user_who_also_has_roles_in_another_tenant(start: Any) -> None:
    api = start()
    pair = pair_of(api, "editor")
    subject = claims(pair["access_token"])["sub"]
    api.app.extensions["jwt_authz"].accounts.grant_roles(subject, ["viewer"], tenant="south")
    answer = api.ask("admin", "POST", "/admin/revocations", json={"subject": subject})
    assert answer.status_code == 403
    assert answer.json["type"] == "urn:jwt-authz:problem:holds-more"
    assert get(api, pair, "/me") == 200
    assert api.ask("operator", "POST", "/admin/revocations", json={"subject": subject}).data == b""
    assert get(api, pair, "/me") == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"jti": "a", "subject": "b"},
        {"jti": ""},
        {"jti": 1},
        {"jti": None},
        {"subject": "a\0b"},
        {"role": "nobody"},
        {"everything": False},
        {"everything": "true"},
        {"everything": 1},
        {"user": "a"},
        {"jti": "x" * 256},
    ],
    ids=str,
)
def test_a_revocation_that_is_not_of_one_thing_is_reported(api: Any, body: Any) -> None:
    answer = api.ask("admin", "POST", "/admin/revocations", json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


@pytest.mark.parametrize(("name", "status"), [("nobody", 404), ("a%00b", 422), ("%FF", 404)])
def test_roles_of_someone_there_is_not(api: Any, name: str, status: int) -> None:
    answer = api.ask("admin", "PUT", f"/admin/users/{name}/roles", json=["viewer"])
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


@pytest.mark.slow
def test_other_roles_ask_for_a_recent_log_in(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = start()
    change = {"json": ["editor"], "headers": {"If-Match": "*"}}
    api.token("admin")
    later = time.time() + 601
    with monkeypatch.context() as patch:
        patch.setattr(verified, "time", lambda: later)
        answer = api.ask("admin", "PUT", "/admin/users/viewer/roles", **change)
        assert answer.status_code == 401
        assert answer.json["type"].endswith("token-not-fresh")
        assert api.ask("admin", "GET", "/admin/users").status_code == 200
    assert api.ask("admin", "PUT", "/admin/users/viewer/roles", **change).status_code == 204


def test_a_plain_token_without_what_rfc_9068_demands_is_refused(start: Any) -> None:
    api = start()
    with api.app.app_context():
        plain = create_access_token("ada", additional_claims={"roles": ["admin"]})
    answer = api.app.test_client().get("/me", headers={"Authorization": f"Bearer {plain}"})
    assert answer.status_code == 401
