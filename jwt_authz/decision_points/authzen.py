"""AuthZEN: a policy server that speaks the Authorization API 1.0, asked over HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from ..decision import printable
from ..errors import MisuseError, StoreUnavailable
from ..revocation.breaker import Breaker
from ..tokens.fetch import check_url, post_json
from .question import Question

_ONE, _MANY = "/access/v1/evaluation", "/access/v1/evaluations"
_BATCH = 100
_LONGEST_REASON = 200

Answer = TypeVar("Answer")
_log = logging.getLogger("jwt_authz")


class AuthZEN:
    """The decision point at a URL, below which `/access/v1/evaluation` answers.

    `token` is this application's own credential there, sent as a bearer token (RFC 6750);
    `timeout` the seconds for a whole exchange. Only `{"decision": true}` is a yes and only
    `{"decision": false}` a no; whatever else comes, or nothing, raises `StoreUnavailable`, and
    after three failures in a row the server is asked once a second. Raises `MisuseError` for a
    URL that is neither https nor on this machine.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 1.0) -> None:
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or timeout <= 0:
            raise MisuseError(f"timeout is seconds, more than none: write 1.0, not {timeout!r}")
        self.url = check_url(url).rstrip("/")
        self.timeout = timeout
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._breaker = Breaker()

    def decide(self, question: Question) -> bool:
        """Whether the answer is yes (AuthZEN 1.0 section 6); raises `StoreUnavailable`."""
        return self._ask(_ONE, question.as_dict(), _decision)

    def decide_all(self, questions: Sequence[Question]) -> list[bool]:
        """The answers, asked for a hundred at a time (section 7); raises `StoreUnavailable`."""
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
            self._breaker.failed()
            raise StoreUnavailable(f"the decision point did not decide: {error}") from None
        self._breaker.succeeded()
        return answer

    def __repr__(self) -> str:
        return f"AuthZEN({self.url!r})"


def _decision(answer: Any) -> bool:
    decision = answer.get("decision") if isinstance(answer, dict) else None
    if not isinstance(decision, bool):
        raise StoreUnavailable("the answer has no decision that is true or false")
    if not decision:
        _tell(answer.get("context"))
    return decision


def _decisions(answer: Any, count: int) -> list[bool]:
    found = answer.get("evaluations")
    if not isinstance(found, list) or len(found) != count:
        raise StoreUnavailable("the answer has not one evaluation for each question")
    return [_decision(one) for one in found]


def _tell(context: Any) -> None:
    """Log why a decision point says no, as far as it says so (section 5.5.1)."""
    if context:
        reason = printable(str(context))[:_LONGEST_REASON]
        _log.info("the decision point said no: %s", reason)
