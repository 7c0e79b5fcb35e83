"""What is recorded of each decision: the signal, the counter, and the log without secrets."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Blueprint, Flask

from jwt_authz import (
    Authz,
    Identity,
    Requirement,
    allowed,
    authorize,
    guard,
    has_claim,
    has_role,
    requirement,
    requires,
)
from jwt_authz._concurrency import patching
from jwt_authz.audit import decided, tell_change
from jwt_authz.errors import StoreUnavailable
from tests import hostile
from tests.edge import TYPE, bearer, catalog, claims_of, get, guarded_app, token_for


@contextmanager
def listening(app: Flask) -> Iterator[list[dict[str, Any]]]:
    """What the signal's receivers get from one application."""
    reported: list[dict[str, Any]] = []

    def receive(sender: Flask, **what: Any) -> None:
        reported.append(what)

    with decided.connected_to(receive, sender=app):
        yield reported


def audited_app(**config: Any) -> Flask:
    app = guarded_app(**config)

    @requirement
    def unavailable(identity: Identity) -> bool:
        raise StoreUnavailable

    app.add_url_rule("/any", "any", requires()(lambda: "in"))
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "in"))
    app.add_url_rule("/stored", "stored", requires(unavailable)(lambda: "in"))
    app.add_url_rule("/asks", "asks", lambda: str(allowed("article:edit")))
    app.add_url_rule("/insists", "insists", lambda: str(authorize("article:edit")))
    app.add_url_rule("/optional", "optional", requires(optional=True)(lambda: "in"))
    app.add_url_rule("/hidden", "hidden", requires("article:edit", hide=True)(lambda: "in"))
    app.add_url_rule("/own", "own", requires("article:edit", on_fail="no")(lambda: "in"))
    return app


def counts(app: Flask) -> dict[str, int]:
    with app.app_context():
        return {k: v for k, v in app.extensions["jwt_authz"].counts.items() if v}


# --- the signal and the counter ------------------------------------------------------------------


def test_each_decision_is_signalled_with_what_it_was_about() -> None:
    app = audited_app()
    client = app.test_client()
    editor, viewer = token_for(app, "alice", "editor"), token_for(app, "bob", "viewer")
    with listening(app) as reported:
        get(client, "/edit", editor)
        get(client, "/edit", viewer)
        get(client, "/edit")
        get(client, "/edit", "x.y.z")
        get(client, "/stored", editor)
    assert [one["outcome"] for one in reported] == [
        *("allowed", "refused", "not identified", "not identified", "unavailable")
    ]
    assert reported[0]["identity"].subject == "alice"
    assert bool(reported[0]["decision"]) is True
    assert reported[0]["problem"] is None
    assert reported[1]["identity"].subject == "bob"
    assert bool(reported[1]["decision"]) is False
    assert reported[1]["problem"].status == 403
    assert reported[2]["identity"] is reported[2]["decision"] is None
    assert reported[3]["problem"].type == f"{TYPE}token-malformed"
    assert reported[4]["problem"].status == 503


@pytest.mark.parametrize("path", ["/edit", "/asks", "/insists", "/hidden", "/own"])
def test_every_verb_is_signalled_once(path: str) -> None:
    app = audited_app()
    with listening(app) as reported:
        get(app.test_client(), path, token_for(app, "bob", "viewer"))
        get(app.test_client(), path, token_for(app, "alice", "editor"))
    assert [one["outcome"] for one in reported] == ["refused", "allowed"]


def test_the_reference_in_the_answer_is_the_one_in_the_signal() -> None:
    app = audited_app()
    with listening(app) as reported:
        body = get(app.test_client(), "/any").get_json()
    assert reported[0]["problem"].instance == body["instance"]


def test_an_application_gets_no_signals_of_anothers_decisions() -> None:
    one, two = audited_app(), audited_app()
    with listening(one) as reported:
        two.test_client().get("/any")
    assert reported == []
    assert counts(one) == {}
    assert counts(two) == {"not identified": 1}


def test_the_guards_of_blueprint_application_and_default_are_signalled() -> None:
    app = guarded_app(authz={"default": "deny"})
    blueprint = Blueprint("b", "b")
    guard(blueprint, "article:read")
    guard(app, "article:read")
    blueprint.add_url_rule("/b", "view", lambda: "in")
    app.register_blueprint(blueprint)
    with listening(app) as reported:
        get(app.test_client(), "/b", token_for(app, "bob", "viewer"))
        get(app.test_client(), "/b")
    assert [one["outcome"] for one in reported] == ["allowed", "allowed", "not identified"]


def test_a_receiver_that_crashes_is_not_a_pass() -> None:
    app = audited_app()
    app.logger.disabled = True

    def crash(sender: Flask, **what: Any) -> None:
        raise ZeroDivisionError

    with decided.connected_to(crash, sender=app):
        for token in (token_for(app, "alice", "editor"), token_for(app, "bob"), None):
            assert get(app.test_client(), "/edit", token).status_code == 500


def test_the_counter_counts_by_outcome() -> None:
    app = audited_app()
    client = app.test_client()
    for _ in range(3):
        get(client, "/edit", token_for(app, "alice", "editor"))
    get(client, "/edit", token_for(app, "bob", "viewer"))
    get(client, "/optional")
    get(client, "/any")
    get(client, "/stored", token_for(app))
    assert counts(app) == {"allowed": 4, "refused": 1, "not identified": 1, "unavailable": 1}


def test_the_counter_is_a_copy() -> None:
    app = audited_app()
    with app.app_context():
        app.extensions["jwt_authz"].counts["allowed"] = 100
    assert counts(app) == {}


@pytest.mark.slow
def test_the_counter_loses_nothing_to_threads() -> None:
    app = audited_app()
    token = token_for(app, "alice", "editor")
    get(app.test_client(), "/any", token)

    def work(_: int) -> None:
        client = app.test_client()
        for _ in range(50):
            get(client, "/edit", token)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert counts(app) == {"allowed": 401}


# --- the log -------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def records(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name.startswith("jwt_authz")]


def test_each_refusal_is_logged_with_place_problem_and_reference(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    client = app.test_client()
    answers = [
        get(client, "/edit", token_for(app, "bob", "viewer")),
        get(client, "/any"),
        get(client, "/any", "x.y.z"),
        get(client, "/stored", token_for(app)),
    ]
    refusals = [record for record in records(log) if record.levelno == logging.WARNING]
    assert len(refusals) == len(answers)
    for record, answer in zip(refusals, answers, strict=True):
        body = answer.get_json()
        assert record.name == "jwt_authz"
        text = record.getMessage()
        assert body["instance"] in text
        assert body["type"] in text
        assert f"GET {answer.request.path[1:]}" in text
        assert (record.authz_instance, record.authz_problem) == (body["instance"], body["type"])
    assert [record.authz_outcome for record in refusals] == [
        *("refused", "not identified", "not identified", "unavailable")
    ]


def test_a_refusal_is_logged_with_the_whole_tree_of_reasons(log: pytest.LogCaptureFixture) -> None:
    @requirement
    def fails(identity: Identity) -> bool:
        raise KeyError("a secret of the requirement")

    app = guarded_app(AUTHZ_DISCLOSE="none")
    asked = has_role("viewer") & (has_role("admin") | ~has_claim("sub")) & fails
    app.add_url_rule("/", "view", requires(asked)(lambda: "in"))
    app.add_url_rule("/fails", "fails", requires(fails)(lambda: "in"))
    get(app.test_client(), "/", token_for(app, "bob", "viewer"))
    text = records(log)[-1].getMessage()
    for part in ("yes has_role('viewer')", "no has_role('admin')", "no ~has_claim('sub')"):
        assert part in text
    assert "no has_role('admin') (claim roles)" in text
    get(app.test_client(), "/fails", token_for(app, "bob", "viewer"))
    text = records(log)[-1].getMessage()
    assert "error fails" in text
    assert "KeyError" in text
    assert "test_audit.py" in text
    assert "a secret" not in text


def test_the_log_tells_what_was_wrong_with_a_token_and_the_answer_does_not(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    response = get(app.test_client(), "/any", hostile.token(claims_of(roles="admin")))
    assert "roles" in records(log)[-1].getMessage()
    assert "roles" not in response.text


def test_what_is_allowed_is_logged_only_where_the_level_asks_for_it(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    client, token = app.test_client(), token_for(app, "alice", "editor")
    get(client, "/edit", token)
    assert [(r.levelno, r.authz_outcome) for r in records(log)] == [(logging.DEBUG, "allowed")]
    assert "has_permission('article:edit') (claim permissions)" in records(log)[0].getMessage()
    log.clear()
    log.set_level(logging.INFO, logger="jwt_authz")
    get(client, "/edit", token)
    assert records(log) == []


def test_a_refusal_is_not_logged_where_nobody_wants_warnings(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    log.set_level(logging.ERROR, logger="jwt_authz")
    app.test_client().get("/any")
    assert records(log) == []


def test_a_question_outside_a_request_is_logged_as_such(log: pytest.LogCaptureFixture) -> None:
    app = audited_app()
    with app.app_context():
        assert not allowed("article:edit", identity=Identity("job"))
    assert "outside a request" in records(log)[-1].getMessage()


def test_a_role_that_the_catalog_lacks_is_logged_once(log: pytest.LogCaptureFixture) -> None:
    app = audited_app()
    client = app.test_client()
    for number in range(3):
        token = hostile.token(claims_of(f"user-{number}", roles=[f"stranger-{number}"]))
        assert get(client, "/any", token).status_code == 200
    reported = [r.getMessage() for r in records(log) if "not in the catalog" in r.getMessage()]
    assert len(reported) == 1
    assert "stranger" not in reported[0]


def test_what_is_reported_once_is_reported_once_whatever_reads_the_token(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    client = app.test_client()
    authz: Authz = app.extensions["jwt_authz"]
    assert get(client, "/any", hostile.token(claims_of(roles=["stranger"]))).status_code == 200
    app.config["JWT_DECODE_LEEWAY"] = 1  # from now on others verify
    assert get(client, "/any", hostile.token(claims_of(roles=["another"]))).status_code == 200
    authz.identity_loader(lambda subject, claims: authz.read_identity(subject, claims))
    for number in range(3):
        token = hostile.token(claims_of(roles=[f"stranger-{number}"]))
        assert get(client, "/any", token).status_code == 200
    assert len([r for r in records(log) if "not in the catalog" in r.getMessage()]) == 1


# --- tokens of another catalog -----------------------------------------------------------------

SAID = "used after change"


def outdated(**changes: Any) -> str:
    return hostile.token(claims_of(catalogue="s3cret-version-1", **changes))


def decisions(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The records of decisions, taken out of the log."""
    found = [record for record in records(log) if record.name == "jwt_authz"]
    log.clear()
    return found


@pytest.mark.parametrize("path", ["/any", "/edit", "/asks", "/insists", "/hidden", "/own"])
def test_each_decision_about_a_token_of_another_catalog_is_marked(
    path: str, log: pytest.LogCaptureFixture
) -> None:
    client = audited_app().test_client()
    for roles in (["viewer"], ["editor"]):
        get(client, path, outdated(roles=roles))
        (record,) = decisions(log)
        assert f" | {SAID} | " in record.getMessage()
        assert vars(record)["authz_used_after_change"] is True
        assert "s3cret" not in str(vars(record))


def test_a_decision_about_any_other_caller_is_not_marked(log: pytest.LogCaptureFixture) -> None:
    app = audited_app()
    client = app.test_client()
    current = hostile.token(claims_of(catalogue=catalog().fingerprint))
    own = hostile.token(claims_of())
    for token in (current, own, None, "x.y.z", hostile.token(claims_of(catalogue=1))):
        for path in ("/any", "/edit"):
            get(client, path, token)
            (record,) = decisions(log)
            assert SAID not in record.getMessage()
            assert vars(record)["authz_used_after_change"] is False


def test_an_unavailable_answer_is_marked_too(log: pytest.LogCaptureFixture) -> None:
    assert get(audited_app().test_client(), "/stored", outdated()).status_code == 503
    (record,) = decisions(log)
    assert record.getMessage().startswith(f"unavailable | GET stored | {SAID} | ")


def test_a_callers_object_that_is_not_an_identity_is_not_asked_how_old_it_is(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()

    class Odd:
        @property
        def is_outdated(self) -> bool:
            raise ZeroDivisionError

    app.extensions["jwt_authz"].identity_loader(Odd)
    assert get(app.test_client(), "/any").status_code == 200
    (record,) = decisions(log)
    assert vars(record)["authz_used_after_change"] is False


def test_the_first_token_of_another_catalog_is_reported_once_a_process(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    client = app.test_client()
    for number in range(3):
        get(client, "/any", outdated(sub=f"user-{number}"))
        app.config["JWT_DECODE_LEEWAY"] = number + 1  # from now on others verify
    reported = [
        record for record in records(log) if "another version of the catalog" in record.getMessage()
    ]
    assert [record.levelno for record in reported] == [logging.INFO]
    assert "s3cret" not in str(vars(reported[0]))


# --- what must never be in it --------------------------------------------------------------------

SECRET_CLAIM = "s3cret-value-of-a-claim"


def everything_said(record: logging.LogRecord) -> str:
    """All that a handler could write of a record: its text, its extras, its traceback."""
    extras = {
        name: value
        for name, value in vars(record).items()
        if name not in ("pathname", "filename", "module", "exc_info", "created", "msecs")
    }
    return f"{record.getMessage()} {extras} {record.exc_text or ''}"


def line_breaks(record: logging.LogRecord) -> list[str]:
    values = [record.getMessage(), *(v for v in vars(record).values() if isinstance(v, str))]
    return [v for v in values if any(sign in v for sign in "\r\n\x0b\x0c\x1c\x85\u2028\u2029\0")]


@pytest.mark.slow
def test_a_run_of_the_hostile_table_leaves_no_token_and_no_line_break_in_any_log(
    log: pytest.LogCaptureFixture,
) -> None:
    """SECURITY 2.48."""
    clients = {}
    for target, settings in hostile.TARGETS.items():
        app = Flask(target.replace(" ", "_"))
        app.config.update(settings)
        Authz(app, roles=catalog())
        view = requires(has_claim("sub", "nobody"))(lambda: "in")
        app.add_url_rule("/open-to-any", "view", view, methods=["GET", "POST"])
        clients[target] = app.test_client()
        get(clients[target], "/open-to-any", hostile.good_token(target))
    for attempt in hostile.ATTEMPTS + hostile.GOOD:
        sent = attempt.build()
        log.clear()
        sent.to(clients[attempt.target])
        assert len(log.records) >= 1, attempt
        for record in log.records:
            said = everything_said(record)
            assert "eyJ" not in said, attempt
            assert "alice" not in said, attempt
            assert line_breaks(record) == [], attempt
            text = sent.token or sent.authorization or ""
            assert not any(len(part) > 20 and part in said for part in text.split(".")), attempt


def test_a_run_of_refusals_by_role_leaves_no_claims_value_in_any_log(
    log: pytest.LogCaptureFixture,
) -> None:
    @requirement
    def looks(identity: Identity) -> bool:
        return bool(identity.claims[SECRET_CLAIM])

    @requirement
    def asks(identity: Identity) -> bool:
        return identity.has_permission(identity.claims["wish"])

    @requirement
    def converts(identity: Identity) -> bool:
        return int(identity.claims["wish"]) > 1

    @requirement
    def answers(identity: Identity) -> Any:
        return identity.claims["wish"]

    app = guarded_app()
    asked = {
        "looks": looks,
        "asks": asks,
        "converts": converts,
        "answers": answers,
        "role": has_role("admin"),
        "claim": has_claim("wish", 1),
        "claim2": has_claim("wish", "x"),
        "tree": ~asks | (has_role("admin") & looks),
    }
    for name, one in asked.items():
        app.add_url_rule(f"/{name}", name, requires(one)(lambda: "in"))
    claims = claims_of(
        SECRET_CLAIM,
        wish=SECRET_CLAIM,
        email=SECRET_CLAIM,
        tenant=SECRET_CLAIM,
        scope=SECRET_CLAIM,
        roles=[SECRET_CLAIM],
        permissions=[SECRET_CLAIM, f"{SECRET_CLAIM}:read"],
        jti=SECRET_CLAIM,
    )
    token, client = hostile.token(claims), app.test_client()
    leaked = []
    for name in asked:
        log.clear()
        assert get(client, f"/{name}", token).status_code == 403
        for record in log.records:
            said = everything_said(record)
            assert "eyJ" not in said
            if SECRET_CLAIM in said.replace(f"identity.claims[{SECRET_CLAIM}]", ""):
                leaked.append((name, record.getMessage()))
    assert leaked == []


class Named(Requirement):
    """A requirement with a text from outside in its attributes, as for an object's title."""

    def __init__(self, title: str) -> None:
        self.title = title

    def fulfill(self, identity: Any) -> bool:
        return False


class Drawn(Named):
    """The same, and it draws itself without quoting."""

    def __repr__(self) -> str:
        return f"named {self.title}"


FORGED = "x\r\n2026-01-01 INFO allowed | GET admin\x0b\x85\u2028"


@pytest.mark.parametrize("kind", [Named, Drawn, has_role, has_claim], ids=lambda k: k.__name__)
def test_a_text_from_outside_forges_no_line_in_the_log(
    kind: Any, log: pytest.LogCaptureFixture
) -> None:
    """SECURITY 2.48."""
    app = guarded_app()
    app.add_url_rule("/", "view", lambda: authorize(kind(FORGED)))
    response = get(app.test_client(), "/", token_for(app))
    assert response.status_code == 403
    for record in records(log):
        assert line_breaks(record) == []


@pytest.mark.parametrize("kind", [Named, Drawn], ids=lambda k: k.__name__)
def test_a_text_from_outside_breaks_no_header(kind: Any) -> None:
    app = guarded_app(AUTHZ_DISCLOSE="tree")
    app.add_url_rule("/", "view", lambda: authorize(kind(FORGED)))
    response = get(app.test_client(), "/", token_for(app))
    assert response.status_code == 403
    assert response.headers["WWW-Authenticate"].isprintable()


@pytest.mark.parametrize("method", ["GET", "G\r\nET", "X" * 5_000, "PROPFIND\x00"])
def test_a_method_from_outside_is_not_repeated_in_the_log(
    method: str, log: pytest.LogCaptureFixture
) -> None:
    app = guarded_app(authz={"default": "deny"})
    app.add_url_rule("/", "view", requires()(lambda: "in"), methods=["GET", method.upper()])
    app.test_client().open("/", environ_overrides={"REQUEST_METHOD": method})
    for record in records(log):
        assert line_breaks(record) == []
        assert len(record.getMessage()) < 1_000


def test_the_path_and_the_query_are_not_in_the_log(log: pytest.LogCaptureFixture) -> None:
    app = guarded_app()
    app.add_url_rule("/<path:rest>", "view", requires()(lambda rest: "in"))
    client = app.test_client()
    client.get("/a%1b[2J/forged?token=secret-in-query", headers=bearer("x.y.z"))
    (record,) = records(log)
    said = everything_said(record)
    assert "forged" not in said
    assert "secret-in-query" not in said


def test_the_log_tests_would_notice_a_note_that_repeats_the_token(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a condition whose detail is what was sent."""
    from jwt_authz.errors import TokenMalformed
    from jwt_authz.jwt_extended import locations

    def telling(request: Any, *rest: Any) -> str:
        raise TokenMalformed(request.headers["Authorization"])

    monkeypatch.setattr(locations, "token_from_header", telling)
    app = audited_app()
    get(app.test_client(), "/any", hostile.token())
    assert any("eyJ" in everything_said(record) for record in log.records)


def test_the_log_is_of_our_logger_and_the_applications_own_is_left_alone(
    log: pytest.LogCaptureFixture,
) -> None:
    app = audited_app()
    for token in (token_for(app, "bob"), None, "x.y.z"):
        get(app.test_client(), "/edit", token)
    assert Counter(record.name for record in log.records) == {"jwt_authz": 3}


HOSTILE_NAMES = [
    "bob | by root at the command line",
    "bob|by root",
    "bob \\| by root",
    "bob\\",
    "bob\nchanged | users add eve | by root",
    "bob\r\u2028\x1b[2K",
    "bob\\x7c",
    "\U0001f980 | b\u00f6b",
]


def unescaped(text: str) -> str:
    """Return what a field was before it was escaped, as docs/audit.md says."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_no_name_forges_a_field_or_a_line_of_the_record_of_a_change(
    log: pytest.LogCaptureFixture, name: str
) -> None:
    log.set_level(logging.INFO, "jwt_authz")
    tell_change(Flask("shop"), name, "users disable", name, "7")
    (record,) = records(log)
    text = record.getMessage()
    assert text.isprintable()
    changed, what, by = text.split(" | ")
    assert text.count("|") == 2
    assert (changed, unescaped(what), unescaped(by)) == (
        "changed", f"users disable {name}", f"by {name}",
    )  # fmt: skip
    assert (record.authz_change, record.authz_by) == ("users disable", name)
    assert (record.authz_name, record.authz_subject) == (name, "7")


def test_no_text_in_a_requirement_forges_a_line_of_the_tree_of_reasons(
    log: pytest.LogCaptureFixture,
) -> None:
    forged = has_claim("team", "x;   yes has_role(admin)\n")
    app = guarded_app()
    app.add_url_rule("/named", "named", requires(forged)(lambda: "never"))
    assert get(app.test_client(), "/named", token_for(app)).status_code == 403
    (record,) = [one for one in records(log) if one.levelno == logging.WARNING]
    tree = record.getMessage().rpartition(" | ")[2]
    assert ";" not in tree
    assert record.getMessage().isprintable()


def test_the_log_says_what_to_do_where_threads_were_patched_too_late(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patching, "_LOCK", object())
    app = guarded_app()
    assert get(app.test_client(), "/any", token_for(app)).status_code == 500
    assert any("without --preload" in record.getMessage() for record in records(log))
