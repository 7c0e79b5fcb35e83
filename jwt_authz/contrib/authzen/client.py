"""An HTTP client for decision points that implement the AuthZEN Authorization API 1.0."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

from ..._concurrency.breaker import Breaker
from ...errors import MisuseError, StoreUnavailable
from ...issuers.egress import WrongStatus, open_client
from ...policy.decision import printable
from .question import Question

_ONE, _MANY = "/access/v1/evaluation", "/access/v1/evaluations"
_BATCH = 50  # OpenFGA's default limit
_LONGEST_REASON = 200
_LONGEST_TIME = 60
_BEARER = re.compile("[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1

Answer = TypeVar("Answer")
_log = logging.getLogger("jwt_authz")


class AuthZEN:
    """A decision point whose endpoint is `/access/v1/evaluation` below a base URL.

    `token` is this application's own credential, sent as a bearer token (RFC 6750); `timeout` is
    the limit for one exchange in seconds, at most 60. `ca_bundle` is the path of a PEM file of
    certificate authorities that are trusted instead of those of the machine. `unsafe_plain_http`
    permits http without TLS inside a private network, where others can read the questions and
    change the answers. Only `{"decision": true}` allows and only
    `{"decision": false}` denies: any other answer, no answer, or a decision with an error raises
    `StoreUnavailable`. After three failures in a row the server is tried once a second; an error
    about a single question does not count as a failure. Connections are kept for further
    questions. Raise `MisuseError` for a URL that is neither https nor on this machine, and
    ImportError if the extra `http` is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 1.0,
        ca_bundle: str | None = None,
        unsafe_plain_http: bool = False,
    ) -> None:
        self._client = open_client(ca_bundle, unsafe_plain_http)
        self.url = _base(self._client.check_url(url))
        self.timeout = _seconds(timeout)
        self._headers = {} if token is None else {"Authorization": f"Bearer {_bearer(token)}"}
        self._breaker = Breaker()

    def decide(self, question: Question) -> bool:
        """Return the decision (AuthZEN 1.0 section 6); raise `StoreUnavailable`."""
        return self._ask(_ONE, question.as_dict(), _decision)

    def decide_all(self, questions: Sequence[Question]) -> list[bool]:
        """Return the decisions, in batches of 50 (section 7); raise `StoreUnavailable`."""
        starts = range(0, len(questions), _BATCH)
        return [
            answer
            for start in starts
            for answer in self._decide_batch(questions[start : start + _BATCH])
        ]

    def _decide_batch(self, questions: Sequence[Question]) -> list[bool]:
        members = {"evaluations": [one.as_dict() for one in questions]}
        return self._ask(_MANY, members, lambda answer: _decisions(answer, len(questions)))

    def _ask(
        self, path: str, members: Mapping[str, Any], read: Callable[[dict[str, Any]], Answer]
    ) -> Answer:
        self._breaker.check()
        headers = {**self._headers, "X-Request-ID": str(uuid4())}
        try:
            until = time.monotonic() + self.timeout
            answer = read(self._client.post_json(self.url + path, members, until, headers))
        except StoreUnavailable as error:
            if not _concerns_one_question(error):
                self._breaker.failed()
            raise StoreUnavailable(f"the decision point did not decide: {error}") from None
        self._breaker.succeeded()
        return answer

    def __repr__(self) -> str:
        return f"AuthZEN({self.url!r})"


def _base(url: str) -> str:
    """Return the base URL of the endpoints, without a trailing slash."""
    if "?" in url:
        raise MisuseError(
            "The URL of a decision point must not have a query: write https://host/path."
        )
    return url.rstrip("/")


def _seconds(timeout: float) -> float:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout <= _LONGEST_TIME:
        raise MisuseError(
            f"Invalid timeout {timeout!r}: expected seconds, more than 0 and at most "
            f"{_LONGEST_TIME}."
        )
    return timeout


def _bearer(token: str) -> str:
    if not isinstance(token, str) or not _BEARER.fullmatch(token):
        raise MisuseError(
            "Invalid token: expected this application's bearer token for the decision point, "
            "without 'Bearer ' in front: write AuthZEN(url, token=the_token)"
        )
    return token


class _QuestionFailed(StoreUnavailable):
    """The server is up and reports an error instead of a decision."""


def _concerns_one_question(error: StoreUnavailable) -> bool:
    """Return whether only this question failed, which must not open the breaker for everyone."""
    is_bad_request = isinstance(error, WrongStatus) and error.status == HTTPStatus.BAD_REQUEST
    return is_bad_request or isinstance(error, _QuestionFailed)


def _decision(answer: Any) -> bool:
    decision = answer.get("decision") if isinstance(answer, dict) else None
    if not isinstance(decision, bool):
        raise StoreUnavailable("the answer has no decision that is true or false")
    context = answer.get("context")
    if isinstance(context, dict) and "error" in context:  # with a false that `~` must not invert
        raise _QuestionFailed(f"the answer reports an error: {_cut(context['error'])}")
    if context and not decision:
        _log.info("the decision point denied: %s", _cut(context))  # section 5.5.1
    return decision


def _decisions(answer: Any, count: int) -> list[bool]:
    found = answer.get("evaluations")
    if not isinstance(found, list) or len(found) != count:
        raise StoreUnavailable(f"the answer does not have {count} evaluations, one per question")
    return [_decision(one) for one in found]


def _cut(reason: Any) -> str:
    """Return a decision point's reason as printable, shortened text for the log."""
    return printable(str(reason))[:_LONGEST_REASON]
