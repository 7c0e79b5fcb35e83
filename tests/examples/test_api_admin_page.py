"""The admin page of the example: at `/admin/`, beside the JSON routes, with the same rules."""

from __future__ import annotations

from typing import Any

PASSWORD = "correct horse"
HERE = {"Sec-Fetch-Site": "same-origin"}


def test_the_admin_signs_in_and_sees_the_users(api: Any) -> None:
    client = api.app.test_client()
    assert client.get("/admin/").location == "/admin/log-in?next=/admin/"
    form = {"username": "admin", "password": PASSWORD}
    assert client.post("/admin/log-in", data=form, headers=HERE).location == "/admin/"
    page = client.get("/admin/").text
    for name in ("viewer", "editor", "admin"):
        assert f">{name}</a>" in page
    assert "south" not in page


def test_the_json_routes_keep_the_rules_of_the_page(api: Any) -> None:
    answer = api.ask("operator", "PUT", "/admin/users/operator/roles", json=["editor"])
    assert answer.status_code == 409
    assert answer.json["type"] == "urn:jwt-authz:problem:last-administrator"
