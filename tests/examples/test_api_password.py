"""The example: logged-in users change their own password."""

from __future__ import annotations

from typing import Any

PASSWORD = "correct horse"  # of all users

NEW = "a quite different password"


def test_everybody_changes_their_own_password_and_is_logged_out_elsewhere(start: Any) -> None:
    api = start()
    elsewhere = api.log_in("viewer").json
    body = {"old_password": PASSWORD, "new_password": NEW}
    answer = api.ask("viewer", "PUT", "/me/password", json=body)
    assert answer.status_code == 200
    bearer = {"Authorization": f"Bearer {elsewhere['access_token']}"}
    assert api.ask("nobody", "GET", "/me", headers=bearer).status_code == 401
    bearer = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert api.ask("nobody", "GET", "/me", headers=bearer).json["roles"] == ["viewer"]
    assert [api.log_in("viewer", text).status_code for text in (PASSWORD, NEW)] == [401, 200]


def test_nobody_changes_a_password_without_the_old_one_or_to_a_common_one(start: Any) -> None:
    api = start()
    for old, new, status in (("wrong", NEW, 403), (PASSWORD, "password1", 422)):
        body = {"old_password": old, "new_password": new}
        answer = api.ask("viewer", "PUT", "/me/password", json=body)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert api.log_in("viewer").status_code == 200
