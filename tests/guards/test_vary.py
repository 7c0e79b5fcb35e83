"""A guard that Flask calls itself sets `Vary`, and nothing else changes by that."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, jsonify

from jwt_authz import Authz, current_identity, requires
from jwt_authz.guards import vary
from tests.edge import bearer, catalog, guarded_app, token_for

PATHS = ("/json", "/text", "/tuple", "/response", "/none", "/raises", "/again/2")


def app_with_views(app: Flask | None = None) -> Flask:
    app = app or guarded_app()
    app.logger.disabled = True

    @app.errorhandler(TypeError)
    def type_error(error: TypeError) -> Any:
        return "a TypeError of the view", 400

    def again(depth: int) -> Any:
        return {"inner": again(depth - 1)["inner"] + 1 if depth else 0}

    again = requires()(again)
    app.add_url_rule("/again/<int:depth>", "again", again)
    app.add_url_rule("/json", "json", requires()(lambda: {"who": current_identity.subject}))
    app.add_url_rule("/text", "text", requires()(lambda: "text"))
    app.add_url_rule("/tuple", "tuple", requires()(lambda: ("t", 201, {"Vary": "Accept"})))
    app.add_url_rule("/response", "response", requires()(lambda: jsonify(1)))
    app.add_url_rule("/none", "none", requires()(lambda: None))
    app.add_url_rule("/raises", "raises", requires()(lambda: 1 + ""))  # type: ignore[operator]
    return app


def answered(app: Flask, path: str) -> tuple[int, bytes, list[tuple[str, str]]]:
    answer = app.test_client().get(path, headers=bearer(token_for(app)))
    return answer.status_code, answer.data, sorted(answer.headers)


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_that_of_the_callback(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with_views()
    direct = answered(app, path)
    monkeypatch.setattr("jwt_authz.guards.guard.request_answered_by", lambda *rest: None)
    assert direct == answered(app, path)
    assert "Authorization" in dict(direct[2])["Vary"]


def test_most_answers_need_no_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above: there are two ways to compare."""
    app, later = app_with_views(), []
    monkeypatch.setattr("jwt_authz.guards.guard.vary_later", later.append)
    monkeypatch.setattr(vary, "vary_later", later.append)
    for path in PATHS:
        answered(app, path)
    assert len(later) == 2  # of None and of the error


def test_an_application_that_handles_answers_itself_gets_what_the_view_returned() -> None:
    class Wrapping(Flask):
        def dispatch_request(self) -> Any:
            found: Any = super().dispatch_request()
            return {"data": found} if isinstance(found, dict) else found

    app = Wrapping(__name__)
    app.config["JWT_SECRET_KEY"] = "a secret of more than thirty-two bytes"
    Authz(app, roles=catalog())
    status, body, headers = answered(app_with_views(app), "/again/1")
    assert (status, body.split()) == (200, b'{"data":{"inner":1}}'.split())
    assert dict(headers)["Vary"] == "Authorization"


def test_a_guard_cannot_be_changed() -> None:
    guard = requires("article:read")
    for name in ("on", "requirement", "is_question", "enforce"):
        with pytest.raises(AttributeError, match="guards are immutable"):
            setattr(guard, name, None)
