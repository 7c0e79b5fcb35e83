"""What is not enforced: the refusal is decided, logged and counted, and the call goes through."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, jsonify
from flask.views import MethodView
from flask_jwt_extended import get_jwt

from jwt_authz import (
    Identity,
    MisuseError,
    allowed,
    authorize,
    current_identity,
    guard,
    has_role,
    requirement,
    requires,
)
from jwt_authz.application import KEY
from jwt_authz.audit import decided
from jwt_authz.cli.main import authz
from jwt_authz.compat import flask_allows
from jwt_authz.errors import StoreUnavailable
from tests.edge import TYPE, get, guarded_app, token_for

WOULD = "would have been refused"


@requirement("has an account that answers")
def stored(identity: Identity) -> bool:
    raise StoreUnavailable("the accounts do not answer")


def who() -> Any:
    return jsonify(subject=current_identity.subject if current_identity else None)


def load(id: int) -> int:
    return id if id == 1 else abort(404)


def ask_inside() -> Any:
    return jsonify(allowed=allowed("article:edit"))


def insist_inside() -> Any:
    return jsonify(got=authorize("article:edit", on="the article"))


def insist_on_anyone() -> Any:
    somebody = authorize("article:edit")
    return jsonify(subject=somebody.subject if somebody is not None else None)


def insist_in_a_block() -> Any:
    with requires("article:edit", on="the article") as article:
        return jsonify(got=article)


def app_of(enforce: bool | None = False, **config: Any) -> Flask:
    """An application whose guards say `enforce`; None leaves that to `AUTHZ_ENFORCE`."""
    app = guarded_app(**config)
    said = {} if enforce is None else {"enforce": enforce}

    def crash(*arguments: Any, **keywords: Any) -> Any:
        raise AssertionError("nobody is refused here")

    guards = {
        "edit": requires("article:edit", **said),
        "hidden": requires("article:edit", hide=True, **said),
        "own": requires("article:edit", on_fail=crash, **said),
        "throws": requires("article:edit", throws=KeyError, **said),
        "fresh": requires(fresh=True, **said),
        "stored": requires(stored, **said),
        "method": requires({"GET": "article:edit"}, **said),
    }
    for name, each in guards.items():
        app.add_url_rule(f"/{name}", name, each(lambda: who()))
    loaded = requires(lambda identity, article: False, on=load, **said)
    app.add_url_rule("/articles/<int:id>", "article", loaded(lambda id: jsonify(id=id)))
    return app


PLACES = ["/edit", "/hidden", "/own", "/throws", "/method"]


def own_records(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name == "jwt_authz"]


def counts(app: Flask) -> dict[str, int]:
    return {name: count for name, count in app.extensions[KEY].audit.counts.items() if count}


# --- the call goes through -----------------------------------------------------------------------


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("enforce", [False, None], ids=["by the guard", "by the setting"])
def test_who_would_have_been_refused_passes_and_is_known(path: str, enforce: bool | None) -> None:
    app = app_of(enforce, **({} if enforce is False else {"AUTHZ_ENFORCE": False}))
    answer = get(app.test_client(), path, token_for(app, "bob", "viewer"))
    assert (answer.status_code, answer.get_json()) == (200, {"subject": "bob"})
    assert counts(app) == {WOULD: 1}


@pytest.mark.parametrize("path", [*PLACES, "/fresh", "/stored"])
@pytest.mark.parametrize("token", [None, "x.y.z"])
def test_without_a_good_token_the_call_passes_with_no_identity(
    path: str, token: str | None
) -> None:
    app = app_of()
    answer = get(app.test_client(), path, token)
    assert (answer.status_code, answer.get_json()) == (200, {"subject": None})
    assert counts(app) == {WOULD: 1}


def test_a_bad_token_leaves_nothing_of_itself_to_the_view() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(enforce=False)(lambda: jsonify(get_jwt())))
    expired = token_for(app, "alice", "admin", expires_delta=timedelta(seconds=-1))
    for token in (None, "x.y.z", expired):
        assert get(app.test_client(), "/", token).get_json() == {}


def test_a_token_that_is_not_fresh_passes_with_its_identity() -> None:
    app = app_of()
    answer = get(app.test_client(), "/fresh", token_for(app, "bob", "viewer"))
    assert answer.get_json() == {"subject": "bob"}
    assert counts(app) == {WOULD: 1}


def test_where_a_store_does_not_answer_the_call_passes() -> None:
    app = app_of()
    answer = get(app.test_client(), "/stored", token_for(app, "bob", "viewer"))
    assert (answer.status_code, answer.get_json()) == (200, {"subject": "bob"})


@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_where_the_revocations_are_not_known_the_call_passes_with_no_identity() -> None:
    app = app_of(AUTHZ_STORE_URL="redis://127.0.0.1:1/0")
    enforced = requires()(lambda: who())
    app.add_url_rule("/enforced", "enforced", enforced)
    app.add_url_rule("/asks", "asks", requires(enforce=False)(lambda: ask_inside()))
    token = token_for(guarded_app(), "bob", "viewer")  # which needs no store
    client = app.test_client()
    answer = get(client, "/edit", token)
    assert (answer.status_code, answer.get_json()) == (200, {"subject": None})
    assert get(client, "/enforced", token).status_code == 503
    assert get(client, "/asks", token).status_code == 503
    app.extensions[KEY].revocations.stop()
    app.extensions[KEY].revocations.store.close()


def test_an_enforced_guard_behind_one_that_is_not_refuses_all_the_same() -> None:
    app = guarded_app()
    both = requires(has_role("editor"), enforce=False)(requires("article:edit")(lambda: who()))
    app.add_url_rule("/", "view", both)
    assert get(app.test_client(), "/").status_code == 401
    assert get(app.test_client(), "/", token_for(app, "bob", "viewer")).status_code == 403
    assert get(app.test_client(), "/", token_for(app, "eve", "editor")).status_code == 200


def test_a_resource_that_is_not_there_is_a_404_all_the_same() -> None:
    app = app_of()
    token = token_for(app, "bob", "viewer")
    assert get(app.test_client(), "/articles/1", token).get_json() == {"id": 1}
    assert get(app.test_client(), "/articles/2", token).status_code == 404


def test_who_meets_the_requirement_is_allowed_and_no_more_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = app_of()
    caplog.set_level(logging.INFO)
    get(app.test_client(), "/edit")
    caplog.clear()
    assert get(app.test_client(), "/edit", token_for(app, "eve", "editor")).status_code == 200
    assert counts(app) == {"allowed": 1, WOULD: 1}
    assert own_records(caplog) == []


def test_an_answer_depends_on_the_caller_all_the_same() -> None:
    assert app_of().test_client().get("/edit").headers["Vary"] == "Authorization"


# --- blueprints, classes, applications -----------------------------------------------------------


def test_the_guard_of_a_blueprint_can_let_its_views_be() -> None:
    app = guarded_app()
    blueprint = Blueprint("back", "back", url_prefix="/back")
    guard(blueprint, has_role("admin"), enforce=False)
    blueprint.add_url_rule("/stock", "stock", who)
    blueprint.add_url_rule("/sales", "sales", requires("article:edit")(lambda: who()))
    app.register_blueprint(blueprint)
    token = token_for(app, "bob", "viewer")
    assert get(app.test_client(), "/back/stock", token).get_json() == {"subject": "bob"}
    assert get(app.test_client(), "/back/stock").get_json() == {"subject": None}
    assert get(app.test_client(), "/back/sales", token).status_code == 403
    assert counts(app) == {WOULD: 3, "refused": 1}


def test_the_guard_of_an_application_and_of_a_class_can_let_them_be() -> None:
    class Articles(MethodView):
        decorators = [requires({"GET": "article:edit"}, enforce=False)]  # noqa: RUF012

        def get(self) -> Any:
            return who()

        def delete(self) -> Any:
            return who()

    app = guarded_app()
    guard(app, has_role("admin"), enforce=False)
    app.add_url_rule("/articles", view_func=Articles.as_view("articles"))
    token = token_for(app, "bob", "viewer")
    assert get(app.test_client(), "/articles", token).get_json() == {"subject": "bob"}
    assert app.test_client().delete("/articles").get_json() == {"subject": None}
    assert counts(app) == {WOULD: 4}


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_with_the_setting_no_guard_of_the_application_refuses(default: str) -> None:
    app = guarded_app(authz={"default": default}, AUTHZ_ENFORCE=False)
    guard(app, has_role("admin"))
    app.add_url_rule("/", "view", requires("article:edit")(lambda: who()))
    assert app.test_client().get("/").get_json() == {"subject": None}
    assert counts(app) == {WOULD: 2}


def test_what_is_not_enforced_by_the_setting_cannot_be_by_a_guard() -> None:
    app = guarded_app(AUTHZ_ENFORCE=False)
    app.add_url_rule("/", "view", requires("article:edit", enforce=True)(lambda: who()))
    assert app.test_client().get("/").status_code == 200


def test_what_the_old_names_guard_is_refused_whatever_the_setting() -> None:
    app = guarded_app(AUTHZ_ENFORCE=False)
    flask_allows.Allows(app, identity_loader=lambda: "ada")
    old = flask_allows.requires(lambda user: False)
    app.add_url_rule("/", "view", old(lambda: "in"))
    assert app.test_client().get("/").status_code == 403
    assert counts(app) == {"refused": 1}


def test_both_default_to_enforce() -> None:
    app = app_of(enforce=None)
    assert get(app.test_client(), "/edit").status_code == 401
    assert get(app.test_client(), "/edit", token_for(app, "bob", "viewer")).status_code == 403


# --- allowed and authorize -----------------------------------------------------------------------


@pytest.mark.parametrize("token_of", [None, "viewer"])
def test_with_the_setting_authorize_lets_pass_and_allowed_tells_the_truth(
    token_of: str | None,
) -> None:
    app = guarded_app(AUTHZ_ENFORCE=False)
    app.add_url_rule("/asks", "asks", ask_inside)
    app.add_url_rule("/insists", "insists", insist_inside)
    app.add_url_rule("/block", "block", insist_in_a_block)
    app.add_url_rule("/anyone", "anyone", insist_on_anyone)
    client, token = app.test_client(), token_of and token_for(app, "bob", token_of)
    assert get(client, "/asks", token).get_json() == {"allowed": False}
    assert get(client, "/insists", token).get_json() == {"got": "the article"}
    assert get(client, "/block", token).get_json() == {"got": "the article"}
    assert get(client, "/anyone", token).get_json() == {"subject": "bob" if token_of else None}
    assert counts(app) == {WOULD: 3, "refused" if token_of else "not identified": 1}
    editor = token_for(app, "eve", "editor")
    assert get(client, "/asks", editor).get_json() == {"allowed": True}


def test_outside_a_request_authorize_lets_pass_as_well() -> None:
    app = guarded_app(AUTHZ_ENFORCE=False)
    job = Identity("job")
    with app.app_context():
        assert authorize("article:edit", identity=job) is job
        assert authorize(stored, identity=job, on="it") == "it"
        assert not allowed("article:edit", identity=job)


def test_a_block_can_not_be_let_be_by_itself_for_the_check_does_not_see_it() -> None:
    app = guarded_app()
    guarded = requires("article:edit", enforce=False)
    with app.test_request_context("/"), pytest.raises(MisuseError, match="is only for views"):
        guarded.__enter__()


@pytest.mark.parametrize("unfit", [None, 0, 1, "no"])
def test_enforce_is_true_or_false_and_nothing_that_might_be_taken_for_it(unfit: Any) -> None:
    with pytest.raises(MisuseError, match="expected True or False"):
        requires("article:edit", enforce=unfit)
    with pytest.raises(MisuseError, match="expected True or False"):
        guard(Blueprint("b", "b"), "article:edit", enforce=unfit)


@pytest.mark.parametrize("unfit", [None, 0, "", "false", "no"])
def test_an_invalid_setting_is_reported_and_lets_no_one_pass(unfit: Any) -> None:
    app = guarded_app(AUTHZ_ENFORCE=unfit)
    app.add_url_rule("/", "view", requires("article:edit")(lambda: who()))
    with app.app_context(), pytest.raises(MisuseError, match="AUTHZ_ENFORCE is"):
        app.extensions["jwt_authz"].check()
    assert app.test_client().get("/").status_code == 500


# --- it is said ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "token_of", "kind"),
    [
        ("/edit", "viewer", "not-allowed"),
        ("/hidden", "viewer", "not-allowed"),
        ("/edit", None, "token-missing"),
        ("/fresh", "viewer", "token-not-fresh"),
        ("/stored", "viewer", "authorization-unavailable"),
    ],
)
def test_each_is_logged_as_a_warning_with_place_type_and_tree(
    path: str, token_of: str | None, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of()
    app.test_client().get("/nowhere")  # the first request's warnings
    caplog.clear()
    get(app.test_client(), path, token_of and token_for(app, "bob", token_of))
    (record,) = own_records(caplog)
    assert record.levelno == logging.WARNING
    assert record.authz_outcome == WOULD
    assert record.authz_problem == f"{TYPE}{kind}"
    text = record.getMessage()
    assert text.startswith(f"{WOULD} | GET {path[1:]} | {TYPE}{kind} | urn:uuid:")
    assert text.endswith("no has_permission('article:edit') (claim permissions)") == (
        kind == "not-allowed"
    )


def test_each_is_signalled_with_identity_decision_and_problem() -> None:
    app = app_of()
    seen: list[dict[str, Any]] = []

    def receive(sender: Flask, **what: Any) -> None:
        seen.append(what)

    with decided.connected_to(receive, sender=app):
        get(app.test_client(), "/edit", token_for(app, "bob", "viewer"))
    (one,) = seen
    assert (one["outcome"], one["identity"].subject) == (WOULD, "bob")
    assert not one["decision"]
    assert one["problem"].status == 403


def check(app: Flask) -> list[str]:
    """What the check prints, without headings, and permissions that nothing asks for."""
    result = app.test_cli_runner().invoke(authz, ["check"])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    left_out = ("AZ", "warning: nothing asks for")
    return [line for line in lines if not line.startswith(left_out)]


def test_the_check_warns_of_each_place_that_is_not_enforced() -> None:
    app = guarded_app()
    blueprint = Blueprint("back", "back", url_prefix="/back")
    guard(blueprint, has_role("admin"), enforce=False)
    blueprint.add_url_rule("/stock", "stock", who, methods=["GET", "POST"])
    app.register_blueprint(blueprint)
    app.add_url_rule("/edit", "edit", requires("article:edit", enforce=False)(lambda: who()))
    app.add_url_rule("/read", "read", requires("article:read")(lambda: who()))
    *warnings, last = check(app)
    assert last == "every view has a guard, or is exempt, but not every guard is enforced"
    assert [line.partition(" refuses no one: ")[0] for line in warnings] == [
        "warning: GET /back/stock (back.stock)",
        "warning: POST /back/stock (back.stock)",
        "warning: GET /edit (edit)",
    ]
    assert "requires(has_permission('article:edit')) has enforce=False" in warnings[2]


def test_the_check_says_of_no_method_that_is_let_through_that_it_is_refused() -> None:
    app = guarded_app()
    guarded = requires({"GET": "article:edit"}, enforce=False)(lambda: who())
    app.add_url_rule("/edit", "edit", guarded, methods=["POST"])
    lacks, refuses, _ = check(app)
    assert refuses.startswith("warning: POST /edit (edit) refuses no one")
    assert lacks.startswith("warning: POST /edit (edit) would always be refused: requires({...})")


def test_the_check_warns_of_the_setting() -> None:
    app = guarded_app(AUTHZ_ENFORCE=False)
    app.add_url_rule("/read", "read", requires("article:read")(lambda: who()))
    warning, last = check(app)
    assert warning.startswith("warning: AUTHZ_ENFORCE=False: no guard of the application")
    assert last == "every view has a guard, or is exempt, but not every guard is enforced"


def test_the_first_request_logs_the_warnings(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(AUTHZ_ENFORCE=False)
    app.test_client().get("/nowhere")
    texts = [
        record.getMessage() for record in own_records(caplog) if record.levelno >= logging.WARNING
    ]
    assert len(texts) == 1 + 8
    assert sum("AUTHZ_ENFORCE=False" in text for text in texts) == 1


def test_where_all_is_enforced_nothing_is_said() -> None:
    app = guarded_app()
    app.add_url_rule("/read", "read", requires("article:read")(lambda: who()))
    assert check(app) == ["every view has a guard, or is exempt"]
