"""AuthZEN over HTTP: what is asked, what counts as an answer, and what becomes of all else."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from jwt_authz import MisuseError
from jwt_authz._concurrency import breaker as breaker_module
from jwt_authz.contrib.authzen import AuthZEN, DecisionPoint, Entity, Question
from jwt_authz.errors import StoreUnavailable
from tests.foreign import self_signed
from tests.patience import PATIENCE

from .server import PolicyServer


def question(
    role: str = "editor", action: str = "edit", id: str = "7", **properties: Any
) -> Question:
    return Question(
        Entity("user", "ann", {"roles": [role]}), action, Entity("article", id, properties)
    )


@pytest.fixture
def point(server: PolicyServer) -> AuthZEN:
    return AuthZEN(server.url, timeout=PATIENCE)


def test_a_question_is_answered_by_the_policy(server: PolicyServer, point: AuthZEN) -> None:
    assert point.decide(question()) is True
    assert point.decide(question(role="viewer")) is False
    assert point.decide(question(id="13")) is False
    assert point.decide(question(action="read", owner="ann")) is True
    assert point.decide(question(action="read", owner="bob")) is False
    assert isinstance(point, DecisionPoint)


def test_a_question_is_put_as_the_protocol_says(server: PolicyServer, point: AuthZEN) -> None:
    point.decide(question(owner="ann"))
    assert server.asked == [
        (
            "/access/v1/evaluation",
            {
                "subject": {"type": "user", "id": "ann", "properties": {"roles": ["editor"]}},
                "action": {"name": "edit"},
                "resource": {"type": "article", "id": "7", "properties": {"owner": "ann"}},
            },
        )
    ]
    (headers,) = server.headers
    assert headers["Content-Type"] == "application/json"
    assert len(headers["X-Request-ID"]) == 36
    assert "Authorization" not in headers


def test_a_credential_of_the_applications_own_is_sent_and_not_shown(server: PolicyServer) -> None:
    point = AuthZEN(f"{server.url}/", token="a-secret")
    point.decide(question())
    assert server.headers[0]["Authorization"] == "Bearer a-secret"
    assert repr(point) == f"AuthZEN('{server.url}')"


def test_many_questions_are_asked_fifty_at_a_time(server: PolicyServer, point: AuthZEN) -> None:
    asked = [question(id=str(number)) for number in range(1, 121)]
    answers = point.decide_all(asked)
    assert answers == [number != 13 for number in range(1, 121)]
    assert server.paths == ["evaluations"] * 3
    assert [len(body["evaluations"]) for _, body in server.asked] == [50, 50, 20]
    assert point.decide_all([]) == []


def test_a_reason_is_logged_on_one_line_and_cut(
    point: AuthZEN, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "jwt_authz"):
        point.decide(question(role="viewer"))
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith("the decision point denied: {'reason_admin'")
    assert "\n" not in text and "\r" not in text and len(text) < 250


WRONG = [
    "",
    "<html>yes</html>",
    "true",
    "[true]",
    "null",
    "{}",
    '{"decision": "true"}',
    '{"decision": 1}',
    '{"decision": null}',
    '{"decision": [true]}',
    '{"Decision": true}',
    '{"decision": false, "decision": true}',
    '{"decision": true}{"decision": true}',
    '{"decision": true',
    '{"decision": true, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"decision": true, "x": "' + "x" * 600_000 + '"}',
    '{"decision": true, "x": NaN}',
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: body[:30])
def test_an_invalid_body_gives_no_decision(server: PolicyServer, point: AuthZEN, body: str) -> None:
    server.sends(body)
    with pytest.raises(StoreUnavailable, match="the decision point did not decide"):
        point.decide(question())


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 403, 404, 429, 500, 503])
def test_a_yes_of_another_status_is_none(server: PolicyServer, point: AuthZEN, status: int) -> None:
    server.sends('{"decision": true}', status, Location=f"{server.url}/elsewhere")
    with pytest.raises(StoreUnavailable, match="did not decide"):
        point.decide(question())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"evaluations": [{"decision": true}]}',
        '{"evaluations": [{"decision": true}, {"decision": true}, {"decision": true}]}',
        '{"evaluations": [{"decision": true}, {"decision": "true"}]}',
        '{"evaluations": [{"decision": true}, true]}',
        '{"evaluations": {"0": {"decision": true}, "1": {"decision": true}}}',
        '{"decision": true}',
    ],
)
def test_a_batch_with_an_answer_too_few_or_wrong_is_none(
    server: PolicyServer, point: AuthZEN, body: str
) -> None:
    server.sends(body)
    with pytest.raises(StoreUnavailable, match="did not decide"):
        point.decide_all([question(), question(id="8")])


@pytest.mark.parametrize("decision", ["true", "false"])
@pytest.mark.parametrize("error", ['{"status": 500, "message": "no\\nstore"}', "null", '"x"'])
def test_a_decision_with_an_error_beside_it_is_none(
    server: PolicyServer, point: AuthZEN, decision: str, error: str
) -> None:
    """Where one of many questions fails, its decision is false (AuthZEN 1.0 section 7.2)."""
    answer = f'{{"decision": {decision}, "context": {{"error": {error}}}}}'
    server.sends(answer)
    with pytest.raises(StoreUnavailable, match="did not decide: the answer reports an error"):
        point.decide(question())
    server.sends(f'{{"evaluations": [{{"decision": true}}, {answer}]}}')
    for _ in range(4):
        with pytest.raises(StoreUnavailable, match="reports an error") as caught:
            point.decide_all([question(), question(id="8")])
        assert "\n" not in str(caught.value)
    server.answer = None  # and the server is still asked, since it is up
    assert point.decide(question()) is True


@pytest.mark.parametrize("how", ["is_silent", "drips", "drips_headers", "hangs_up"])
def test_a_server_that_does_not_come_to_an_end_is_waited_for_so_long(
    server: PolicyServer, how: str
) -> None:
    server.answer = getattr(server, how)
    with pytest.raises(StoreUnavailable, match="did not decide"):
        AuthZEN(server.url, timeout=0.3).decide(question())
    assert not server.ends.is_set(), "the server had not ended"


def test_a_server_that_is_down_is_asked_once_a_second_after_three_failures(
    server: PolicyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1_000.0
    monkeypatch.setattr(breaker_module, "time", SimpleNamespace(monotonic=lambda: clock))
    point = AuthZEN(server.url, timeout=PATIENCE)
    server.sends("", 500)
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            point.decide(question())
    assert len(server.asked) == 3
    clock += 1.5
    server.answer = None
    assert point.decide(question()) is True
    assert point.decide(question()) is True
    assert len(server.asked) == 5


def test_a_caller_whose_questions_cannot_be_read_does_not_shut_out_the_others(
    server: PolicyServer, point: AuthZEN
) -> None:
    """Cerbos, for one, answers 400 where a subject has no role."""
    server.sends("", 400)
    for _ in range(4):
        with pytest.raises(
            StoreUnavailable, match="did not decide: the response has the status 400"
        ):
            point.decide(question())
    server.answer = None
    assert point.decide(question()) is True


def test_over_tls_the_certificate_is_checked_and_the_authorities_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    with PolicyServer(certificate) as server:
        url = f"https://localhost:{server.port}"
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            AuthZEN(url).decide(question())
        assert server.asked == []
        read = Mock(wraps=ssl.create_default_context)
        monkeypatch.setattr(ssl, "create_default_context", read)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        point = AuthZEN(url)
        assert [point.decide(question(id=str(number))) for number in (12, 13)] == [True, False]
        assert read.call_count == 1
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            AuthZEN(url.replace("localhost", "127.0.0.1")).decide(question())


def test_a_closed_port_gives_no_answer() -> None:
    with pytest.raises(StoreUnavailable, match=r"did not decide: 127\.0\.0\.1: "):
        AuthZEN("http://127.0.0.1:1").decide(question())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://pdp.example", "plain http is only for loopback addresses"),
        ("ftp://pdp.example", "Invalid URL: expected https://host/path"),
        ("https://user:secret@pdp.example", "Remove everything up to the '@'"),
        ("https://pdp.example?key=secret", "must not have a query: write https://host/path"),
        ("", "Invalid URL: expected"),
        (None, "Invalid URL: a NoneType"),
    ],
)
def test_a_url_that_cannot_be_asked_is_a_misuse(url: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        AuthZEN(url)


@pytest.mark.parametrize("timeout", [0, -1, None, "1", True, 61, float("inf"), float("nan")])
def test_an_invalid_timeout_is_a_misuse(timeout: Any) -> None:
    with pytest.raises(MisuseError, match=r"expected seconds, more than 0 and at most 60"):
        AuthZEN("https://pdp.example", timeout=timeout)


@pytest.mark.parametrize(
    "token", ["", "Bearer secret", "secret\r\nX: y", "s\u00e9cret", 7, b"secret"]
)
def test_an_invalid_token_is_a_misuse_that_does_not_show_it(token: Any) -> None:
    with pytest.raises(MisuseError, match="without 'Bearer ' in front") as caught:
        AuthZEN("https://pdp.example", token=token)
    assert "secret" not in str(caught.value)
