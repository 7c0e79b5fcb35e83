"""Cache the answers of decision points, and their failures, for the length of one request.

How it works. Answers are stored on the request object only, keyed by the decision point and the
complete text of the question; outside a request nothing is cached. The threads of a request ask
one after another, so that no question is asked twice. Each decision point is stored with its
answers, so that a new object cannot reuse its `id` in the meantime.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from flask import has_request_context

from ..._context import get_request
from ...errors import StoreUnavailable
from ...policy.functions import Undecided, describe_error
from .question import DecisionPoint, Question

_KEPT = "_jwt_authz_answers"

Answer = bool | StoreUnavailable | Undecided


class Answers:
    """The answers of one request; a failure counts as an answer and is raised again on reuse."""

    def __init__(self) -> None:
        self._turn = threading.RLock()  # reentrant: a decision point may ask another one
        self._points: dict[int, tuple[DecisionPoint, dict[str, Answer]]] = {}

    def one(self, point: DecisionPoint, question: Question) -> bool:
        """Return the answer to a question; raise `StoreUnavailable` and what `decide` raises."""
        text = question.as_text()
        with self._turn:
            kept = self._of(point)
            if text not in kept:
                _keep(kept, [text], lambda: [point.decide(question)])
            return _result(kept[text])

    def many(self, point: DecisionPoint, questions: Sequence[Question]) -> list[bool]:
        """Return the answer to each question; those not yet cached are asked in one call."""
        texts = [question.as_text() for question in questions]
        with self._turn:
            kept = self._of(point)
            asked = zip(texts, questions, strict=True)
            missing = {text: question for text, question in asked if text not in kept}
            if missing:
                _keep(kept, list(missing), lambda: point.decide_all(list(missing.values())))
            return [_result(kept[text]) for text in texts]

    def _of(self, point: DecisionPoint) -> dict[str, Answer]:
        return self._points.setdefault(id(point), (point, {}))[1]


def answers_now() -> Answers:
    """Return the answers of the current request, or an empty cache outside a request."""
    if not has_request_context():
        return Answers()
    answers: Answers = get_request().__dict__.setdefault(_KEPT, Answers())
    return answers


def _keep(kept: dict[str, Answer], texts: list[str], ask: Callable[[], Sequence[object]]) -> None:
    """Cache the answers that `ask` returns; if it raises, cache the failure and raise it."""
    try:
        kept.update(zip(texts, _checked(ask(), len(texts)), strict=True))
    except StoreUnavailable as error:
        kept.update(dict.fromkeys(texts, StoreUnavailable(str(error))))
        raise
    except Exception as error:
        kept.update(dict.fromkeys(texts, Undecided(describe_error(error))))
        raise


def _checked(answers: Sequence[object], count: int) -> list[bool]:
    """Validate the answers, since the application's own decision point may return anything."""
    if len(answers) != count:
        raise StoreUnavailable(
            f"the decision point gave {len(answers)} answers to {count} questions: expected one "
            "for each question"
        )
    return [_bool(answer) for answer in answers]


def _bool(answer: object) -> bool:
    if not isinstance(answer, bool):
        raise StoreUnavailable(
            f"the decision point answered with {type(answer).__name__}: expected True or False"
        )
    return answer


def _result(answer: Answer) -> bool:
    if isinstance(answer, bool):
        return answer
    raise type(answer)(str(answer))  # a new instance: a reused traceback keeps its frames alive
