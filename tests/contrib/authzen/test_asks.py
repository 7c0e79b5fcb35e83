"""`asks` behind the guards: once a question and request at most, in batches, and fail closed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, copy_current_request_context, jsonify

from jwt_authz import (
    Authz,
    Identity,
    MisuseError,
    Role,
    Roles,
    allowed,
    authorize,
    has_role,
    requires,
)
from jwt_authz.cli.main import authz as authz_commands
from jwt_authz.contrib.authzen import AuthZEN, Entity, Question, asks, subject_of
from jwt_authz.errors import StoreUnavailable
from jwt_authz.policy.decision import DEPENDS
from jwt_authz.testing import authz_client

from .server import PolicyServer

ROLES = Roles(Role("viewer"), Role("editor", includes="viewer"))


@dataclass
class Article:
    id: int
    owner: str = "ann"


def make_app(edit: asks) -> Flask:
    """An API whose views ask about articles, some of them often."""
    app = Flask("shop")
    app.config.update(JWT_SECRET_KEY="k" * 64, TESTING=True)
    Authz(app, roles=ROLES)

    @app.get("/articles/<int:id>")
    @requires(edit, on=Article)
    def show(id: int) -> str:
        assert allowed(edit, on=Article(id))
        authorize(edit, on={"id": id})
        return "in"

    @app.get("/unless/<int:id>")
    @requires(~edit, on=Article)
    def unless(id: int) -> str:
        return "in"

    @app.get("/or/<int:id>")
    @requires(has_role("editor") | edit, on=Article)
    def either(id: int) -> str:
        return "in"

    @app.get("/articles")
    @requires()
    def list_articles() -> Any:
        found = edit.allowed_among(Article(number) for number in (12, 13, 14, 12))
        again = [one for one in found if allowed(edit, on=one)]
        return jsonify([one.id for one in again])

    @app.get("/twenty")
    @requires()
    def twenty() -> Any:
        return jsonify([number for number in range(1, 21) if allowed(edit, on=Article(number))])

    @app.get("/twenty-at-once")
    @requires()
    def twenty_at_once() -> Any:
        return jsonify([one.id for one in edit.allowed_among(map(Article, range(1, 21)))])

    @app.get("/any")
    @requires(edit)
    def any_article() -> str:
        return "in"

    return app


@pytest.fixture
def edit(server: PolicyServer) -> asks:
    return asks(AuthZEN(server.url), "article", "edit")


@pytest.fixture
def app(edit: asks) -> Flask:
    return make_app(edit)


def test_the_decision_point_decides(app: Flask) -> None:
    editor, viewer = authz_client(app, roles=["editor"]), authz_client(app, roles=["viewer"])
    assert editor.get("/articles/7").status_code == 200
    assert editor.get("/articles/13").status_code == 403
    assert viewer.get("/articles/7").status_code == 403
    assert app.test_client().get("/articles/7").status_code == 401


def test_a_question_is_asked_once_a_request(app: Flask, server: PolicyServer) -> None:
    editor = authz_client(app, roles=["editor"])
    editor.get("/articles/7")
    assert server.paths == ["evaluation"]
    editor.get("/articles/7")
    assert server.paths == ["evaluation"] * 2


def test_an_answer_about_one_caller_is_not_used_for_another(
    app: Flask, edit: asks, server: PolicyServer
) -> None:
    ann = Identity("ann", roles=["editor"], catalogue=ROLES)
    bob = Identity("bob", roles=["viewer"], catalogue=ROLES)
    with app.test_request_context():
        assert allowed(edit, on=Article(7), identity=ann)
        assert not allowed(edit, on=Article(7), identity=bob)
        assert allowed(edit, on=Article(7), identity=ann)
    assert len(server.asked) == 2


def test_a_list_is_asked_for_at_once_and_its_checks_ask_nothing(
    app: Flask, server: PolicyServer
) -> None:
    assert authz_client(app, roles=["editor"]).get("/articles").json == [12, 14, 12]
    assert server.paths == ["evaluations"]
    assert len(server.asked[0][1]["evaluations"]) == 3


def test_twenty_questions_of_a_request_take_one_connection(
    app: Flask, server: PolicyServer
) -> None:
    editor = authz_client(app, roles=["editor"])
    assert editor.get("/twenty").json == [number for number in range(1, 21) if number != 13]
    assert server.paths == ["evaluation"] * 20
    assert len(server.connections) == 1
    editor.get("/twenty")
    assert len(server.connections) == 1


def test_twenty_questions_in_a_batch_take_one_exchange(app: Flask, server: PolicyServer) -> None:
    editor = authz_client(app, roles=["editor"])
    assert editor.get("/twenty-at-once").json == [number for number in range(1, 21) if number != 13]
    assert server.paths == ["evaluations"]
    assert len(server.connections) == 1


def test_outside_a_request_nobody_is_remembered(edit: asks, server: PolicyServer) -> None:
    editor = Identity("ann", roles=["editor"], catalogue=ROLES)
    assert edit.evaluate(editor, Article(7)) and edit.evaluate(editor, Article(7))
    assert len(server.asked) == 2
    assert edit.allowed_among([Article(7), Article(13)], identity=editor) == [Article(7)]
    assert edit.allowed_among([Article(7)], identity=None) == []


def test_without_a_resource_the_question_is_about_the_type(
    app: Flask, server: PolicyServer
) -> None:
    assert authz_client(app, roles=["editor"]).get("/any").status_code == 200
    assert server.asked[0][1]["resource"] == {"type": "article", "id": "*"}


def test_a_part_before_it_that_settles_the_matter_asks_nothing(
    app: Flask, server: PolicyServer
) -> None:
    assert authz_client(app, roles=["editor"]).get("/or/13").status_code == 200
    assert server.asked == []


def test_the_question_about_a_caller_contains_neither_claims_nor_the_token(
    app: Flask, server: PolicyServer
) -> None:
    client = authz_client(
        app, roles=["editor"], subject="ann", tenant="acme", scope="a b", claims={"email": "a@b.c"}
    )
    client.get("/articles/7")
    subject = server.asked[0][1]["subject"]
    assert subject.pop("properties") == {
        "roles": ["editor"],
        "scopes": ["a", "b"],
        "tenant": "acme",
        "issuer": "shop",
    }
    assert subject == {"type": "user", "id": "ann"}


def test_a_function_adds_properties_to_the_question(server: PolicyServer) -> None:
    read = asks(
        AuthZEN(server.url),
        "article",
        "read",
        id=lambda article: f"number-{article.id}",
        properties=lambda article: {"owner": article.owner},
        subject=lambda identity: Entity("user", identity["name"]),
    )
    assert read.evaluate({"name": "ann"}, Article(7))
    assert not read.evaluate({"name": "bob"}, Article(7))
    assert server.asked[0][1]["resource"] == {
        "type": "article",
        "id": "number-7",
        "properties": {"owner": "ann"},
    }


@pytest.mark.parametrize("path", ["/articles/7", "/unless/7", "/or/7", "/any", "/articles"])
def test_no_answer_is_503_and_asked_for_once_a_request(
    app: Flask, server: PolicyServer, path: str
) -> None:
    server.sends("", 500)
    answer = authz_client(app, roles=["viewer"]).get(path)
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json" and answer.headers["Retry-After"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", ["/articles/7", "/unless/7", "/articles"])
def test_an_error_that_comes_as_a_no_is_503_also_under_not(
    app: Flask, server: PolicyServer, path: str
) -> None:
    failed = '{"decision": false, "context": {"error": {"status": 500}}}'
    server.sends(failed if "7" in path else f'{{"evaluations": [{failed}, {failed}, {failed}]}}')
    assert authz_client(app, roles=["viewer"]).get(path).status_code == 503


def test_a_failure_is_remembered_for_its_request_alone(app: Flask, server: PolicyServer) -> None:
    edit = asks(AuthZEN(server.url), "article", "edit")
    editor = Identity("ann", roles=["editor"], catalogue=ROLES)
    with app.test_request_context():
        server.sends("", 500)
        with pytest.raises(StoreUnavailable):
            edit.evaluate(editor, Article(7))
        server.answer = None
        with pytest.raises(StoreUnavailable):
            edit.evaluate(editor, Article(7))
    assert len(server.asked) == 1
    with app.test_request_context():
        assert edit.evaluate(editor, Article(7))


def test_a_batch_without_an_answer_is_remembered_for_its_request(
    app: Flask, edit: asks, server: PolicyServer
) -> None:
    editor = Identity("ann", roles=["editor"], catalogue=ROLES)
    with app.test_request_context():
        assert edit.evaluate(editor, Article(12))
        server.sends("", 500)
        with pytest.raises(StoreUnavailable):
            edit.allowed_among([Article(12), Article(14)], identity=editor)
        server.answer = None
        with pytest.raises(StoreUnavailable):
            edit.evaluate(editor, Article(14))
        with pytest.raises(StoreUnavailable):
            edit.allowed_among([Article(14)], identity=editor)
        assert edit.evaluate(editor, Article(12)) and not edit.evaluate(editor, Article(13))
    assert server.paths == ["evaluation", "evaluations", "evaluation"]


@pytest.mark.parametrize("resource", [Article(None), {}, {"id": ""}, {"id": "*"}, object()])  # type: ignore[arg-type]
def test_a_resource_without_an_id_of_its_own_refuses(
    app: Flask, edit: asks, server: PolicyServer, resource: Any
) -> None:
    editor = Identity("ann", roles=["editor"], catalogue=ROLES)
    for requirement in (edit, ~edit):
        decision = requirement.evaluate(editor, resource)
        assert not decision and "expected an id that is neither empty" in "".join(decision.lines())
    assert server.asked == []


def test_an_identity_of_another_kind_refuses_and_says_what_to_write(edit: asks) -> None:
    decision = edit.evaluate("ann", Article(7))
    assert not decision and "write asks(..., subject=a_function_of_it)" in decision.error


def test_a_foreign_subject_is_not_asked_about_as_a_user_of_the_application(
    app: Flask, edit: asks, server: PolicyServer
) -> None:
    who = Identity("ann", "https://id.example", subject_is_foreign=True)
    for requirement in (edit, ~edit):
        decision = requirement.evaluate(who, Article(7))
        assert not decision
        assert "subject_prefix='...'" in "".join(decision.lines())
    with app.app_context():
        assert edit.allowed_among([Article(2), Article(7)], identity=who) == []
    assert server.asked == []


def test_a_function_can_tell_of_a_foreign_subject(server: PolicyServer) -> None:
    def partner(identity: Identity) -> Entity:
        return Entity("partner", f"{identity.issuer} {identity.subject}")

    edit = asks(AuthZEN(server.url), "article", "edit", subject=partner)
    edit.evaluate(Identity("ann", "https://id.example", subject_is_foreign=True), Article(7))
    ((_, body),) = server.asked
    assert body["subject"] == {"type": "partner", "id": "https://id.example ann"}


class Scripted:
    """A decision point of the application's own."""

    def __init__(self, answer: Callable[[Question], Any]) -> None:
        self.answer = answer

    def decide(self, question: Question) -> Any:
        return self.answer(question)

    def decide_all(self, questions: Sequence[Question]) -> Any:
        return [self.answer(question) for question in questions]


def test_a_decision_point_of_the_applications_own_does_as_well() -> None:
    app = make_app(asks(Scripted(lambda asked: asked.resource.id == "7"), "article", "edit"))
    client = authz_client(app)
    assert client.get("/articles/7").status_code == 200
    assert client.get("/articles/8").status_code == 403


@pytest.mark.parametrize("answer", [None, 1, "yes", {"decision": True}])
def test_an_answer_other_than_a_bool_is_503_also_under_not(answer: Any) -> None:
    app = make_app(asks(Scripted(lambda asked: answer), "article", "edit"))
    client = authz_client(app)
    assert client.get("/articles/7").status_code == 503
    assert client.get("/unless/7").status_code == 503


def test_an_error_in_a_decision_point_refuses_also_under_not() -> None:
    def fail(asked: Question) -> bool:
        raise ZeroDivisionError

    client = authz_client(make_app(asks(Scripted(fail), "article", "edit")))
    assert client.get("/articles/7").status_code == 403
    assert client.get("/unless/7").status_code == 403


def test_an_error_in_a_decision_point_is_remembered_too() -> None:
    asked: list[Question] = []

    def fail(question: Question) -> bool:
        asked.append(question)
        raise ZeroDivisionError

    edit = asks(Scripted(fail), "article", "edit")
    with Flask("shop").test_request_context():
        with pytest.raises(ZeroDivisionError):
            edit.allowed_among([Article(7)], identity=Identity("ann"))
        for requirement in (edit, ~edit):
            decision = requirement.evaluate(Identity("ann"), Article(7))
            assert not decision and "ZeroDivisionError in fail" in decision.error
    assert len(asked) == 1


@pytest.mark.parametrize("answers", [[], [True], [True] * 3, None, iter([True, True])])
def test_answers_of_another_number_than_the_questions_are_none(answers: Any) -> None:
    point = Scripted(lambda asked: True)
    point.decide_all = lambda questions: answers  # type: ignore[method-assign]
    edit = asks(point, "article", "edit")
    with pytest.raises((StoreUnavailable, TypeError)):
        edit.allowed_among([Article(7), Article(8)], identity=Identity("ann"))


def test_the_answers_of_a_replaced_decision_point_are_not_used_for_the_next_one() -> None:
    with Flask("shop").test_request_context():
        for answer in (True, True, False, False) * 5:
            edit = asks(Scripted(lambda asked, said=answer: said), "article", "edit")
            assert bool(edit.evaluate(Identity("ann"), Article(7))) is answer
            del edit


def test_the_threads_of_a_request_ask_a_question_once() -> None:
    asked: list[Question] = []

    def slow(question: Question) -> bool:
        asked.append(question)
        time.sleep(0.1)
        return True

    edit = asks(Scripted(slow), "article", "edit")
    answers: list[bool] = []

    def check() -> None:
        answers.append(bool(edit.evaluate(Identity("ann"), Article(7))))

    with Flask("shop").test_request_context():
        threads = [threading.Thread(target=copy_current_request_context(check)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [True] * 4 and len(asked) == 1


def test_a_decision_point_may_ask_another_one() -> None:
    inner = asks(Scripted(lambda asked: asked.resource.id == "7"), "article", "read")
    outer = asks(
        Scripted(lambda asked: bool(inner.evaluate(Identity("ann"), {"id": asked.resource.id}))),
        "article",
        "edit",
    )
    with Flask("shop").test_request_context():
        assert outer.evaluate(Identity("ann"), Article(7))
        assert not outer.evaluate(Identity("ann"), Article(8))


def test_the_matrix_shows_it_and_an_explanation_asks_for_real(
    app: Flask, server: PolicyServer
) -> None:
    run = app.test_cli_runner().invoke
    table = run(authz_commands, ["matrix"]).output
    line = next(line for line in table.splitlines() if "/articles/<int:id>" in line)
    assert "depends" in line and server.asked == []
    ways = [("editor", "allowed", 0), ("viewer", "refused, 403", 1)]
    for role, said, code in ways:
        result = run(authz_commands, ["explain", "GET", "/articles/7", "--role", role])
        assert result.exit_code == code and said in result.output.splitlines()[0]
        assert f"asks(AuthZEN('{server.url}'), 'article', 'edit')" in result.output
    assert server.paths == ["evaluation"] * 2


def test_it_reads_like_its_source_and_is_a_value(edit: asks, server: PolicyServer) -> None:
    assert repr(edit) == f"asks(AuthZEN('{server.url}'), 'article', 'edit')"
    assert edit.sentence == "may edit article, as the decision point says"
    assert edit == asks(edit.point, "article", "edit") and hash(edit) == hash(
        asks(edit.point, "article", "edit")
    )
    assert edit != asks(edit.point, "article", "read")
    assert edit.analyse(Identity("ann", roles=["editor"], catalogue=ROLES)) is DEPENDS


def test_a_refusal_says_the_sentence_and_not_where_it_was_asked(
    app: Flask, server: PolicyServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "jwt_authz"):
        answer = authz_client(app, roles=["viewer"]).get("/articles/7")
    assert "may edit article, as the decision point says" in answer.json["detail"]
    assert server.url not in answer.text
    assert server.url in caplog.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda point: asks(AuthZEN, "article", "edit"),
            "is not a decision point: exp",
        ),
        (lambda point: asks("https://pdp", "article", "edit"), "is not a decision point"),
        (lambda point: asks(point, "", "edit"), r"as in asks\(point, 'article', 'edit'\)"),
        (lambda point: asks(point, "article", None), r"as in asks\(point, 'article', 'edit'\)"),
        (
            lambda point: asks(point, "article", "edit", id=7),
            "id must be the name of an attr",
        ),
        (lambda point: asks(point, "article", "edit", subject="ann"), "subject a function of the"),
        (
            lambda point: asks(point, "article", "edit", properties={}),
            "properties must be a",
        ),
    ],
)
def test_what_cannot_be_asked_is_a_misuse(make: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        make(Scripted(lambda asked: True))


def test_properties_that_json_cannot_express_refuse() -> None:
    point = Scripted(lambda asked: True)
    unserializable = asks(point, "a", "b", properties=lambda it: {"x": object()})
    decision = unserializable.evaluate(Identity("ann"), Article(7))
    assert not decision and "use strings, numbers, booleans, lists and dicts" in decision.error


def test_nothing_of_the_answers_is_left_behind_by_a_request(
    app: Flask, edit: asks, server: PolicyServer
) -> None:
    with app.app_context():  # one context, and two requests in it
        for _ in range(2):
            authz_client(app, roles=["editor"]).get("/articles/7")
    assert len(server.asked) == 2
    assert subject_of(Identity("ann")) == Entity("user", "ann", {})
