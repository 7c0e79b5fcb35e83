"""AuthZEN: a policy server that speaks the Authorization API 1.0, asked over HTTP."""

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
from ...issuers.http import WrongStatus, check_url, post_json
from ...policy.decision import printable
from .question import Question

_ONE, _MANY = "/access/v1/evaluation", "/access/v1/evaluations"
_BATCH = 50  # OpenFGA's limit, unless it is configured otherwise
_LONGEST_REASON = 200
_LONGEST_TIME = 60
_BEARER = re.compile("[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1

Answer = TypeVar("Answer")
_log = logging.getLogger("jwt_authz")


class AuthZEN:
    """The decision point at a URL, below which `/access/v1/evaluation` answers.

    `token` is this application's own credential there, sent as a bearer token (RFC 6750);
    `timeout` the seconds for a whole exchange, 60 at most. Only `{"decision": true}` is a yes and
    only `{"decision": false}` a no; whatever else comes, or nothing, or a decision with an error
    beside it, raises `StoreUnavailable`. After three failures in a row the server is asked once a
    second; what it says of a question that it cannot answer is none of these. Raises
    `MisuseError` for a URL that is neither https nor on this machine.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 1.0) -> None:
        self.url = _base(url)
        self.timeout = _seconds(timeout)
        self._headers = {} if token is None else {"Authorization": f"Bearer {_bearer(token)}"}
        self._breaker = Breaker()

    def decide(self, question: Question) -> bool:
        """Whether the answer is yes (AuthZEN 1.0 section 6); raises `StoreUnavailable`."""
        return self._ask(_ONE, question.as_dict(), _decision)

    def decide_all(self, questions: Sequence[Question]) -> list[bool]:
        """The answers, asked for fifty at a time (section 7); raises `StoreUnavailable`."""
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
            answer = read(post_json(self.url + path, members, until, headers))
        except StoreUnavailable as error:
            if not _is_of_the_question(error):
                self._breaker.failed()
            raise StoreUnavailable(f"the decision point did not decide: {error}") from None
        self._breaker.succeeded()
        return answer

    def __repr__(self) -> str:
        return f"AuthZEN({self.url!r})"


def _base(url: str) -> str:
    """The URL below which the endpoints stand."""
    if "?" in check_url(url):
        raise MisuseError("The URL of a decision point has no query: write https://host/path.")
    return url.rstrip("/")


def _seconds(timeout: float) -> float:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout <= _LONGEST_TIME:
        raise MisuseError(
            f"timeout is seconds, more than none and {_LONGEST_TIME} at most: write 1.0, "
            f"not {timeout!r}"
        )
    return timeout


def _bearer(token: str) -> str:
    if not isinstance(token, str) or not _BEARER.fullmatch(token):
        raise MisuseError(
            "token is this application's bearer token at the decision point, without 'Bearer ' "
            "before it: write AuthZEN(url, token=the_token)"
        )
    return token


class _ErrorTold(StoreUnavailable):
    """The server is up, and tells of an error where its decision should stand."""


def _is_of_the_question(error: StoreUnavailable) -> bool:
    """Whether the server is up and cannot answer this: one caller must not shut out all."""
    is_unread = isinstance(error, WrongStatus) and error.status == HTTPStatus.BAD_REQUEST
    return is_unread or isinstance(error, _ErrorTold)


def _decision(answer: Any) -> bool:
    decision = answer.get("decision") if isinstance(answer, dict) else None
    if not isinstance(decision, bool):
        raise StoreUnavailable("the answer has no decision that is true or false")
    context = answer.get("context")
    if isinstance(context, dict) and "error" in context:  # beside a false, which no `~` may turn
        raise _ErrorTold(f"the answer tells of an error: {_cut(context['error'])}")
    if context and not decision:
        _log.info("the decision point said no: %s", _cut(context))  # section 5.5.1
    return decision


def _decisions(answer: Any, count: int) -> list[bool]:
    found = answer.get("evaluations")
    if not isinstance(found, list) or len(found) != count:
        raise StoreUnavailable("the answer has not one evaluation for each question")
    return [_decision(one) for one in found]


def _cut(told: Any) -> str:
    """What a decision point says of its reasons, as it may stand in the log."""
    return printable(str(told))[:_LONGEST_REASON]
