"""Answers: what decision points said in one request, and where they did not, why.

How it works. They hang on the request object, by the decision point and the whole text of the
question, and nowhere else: outside a request each question is asked. A request's threads ask in
turn, so that two of them do not ask the same. The point is kept with its answers, or the next one
that is made could be taken for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from flask import has_request_context

from ..._context import get_request
from ...errors import StoreUnavailable
from ...policy.functions import Undecided, told_of
from .question import DecisionPoint, Question

_KEPT = "_jwt_authz_answers"

Answer = bool | StoreUnavailable | Undecided


class Answers:
    """The answers of one request; a failure is one, and is raised anew where it is asked for."""

    def __init__(self) -> None:
        self._turn = threading.RLock()  # a decision point may ask another one
        self._points: dict[int, tuple[DecisionPoint, dict[str, Answer]]] = {}

    def one(self, point: DecisionPoint, question: Question) -> bool:
        """What the point says to a question; raises `StoreUnavailable`, and what it raises."""
        text = question.as_text()
        with self._turn:
            kept = self._of(point)
            if text not in kept:
                _keep(kept, [text], lambda: [point.decide(question)])
            return _told(kept[text])

    def many(self, point: DecisionPoint, questions: Sequence[Question]) -> list[bool]:
        """The same for each of the questions, where those not asked yet are asked in one call."""
        texts = [question.as_text() for question in questions]
        with self._turn:
            kept = self._of(point)
            asked = zip(texts, questions, strict=True)
            missing = {text: question for text, question in asked if text not in kept}
            if missing:
                _keep(kept, list(missing), lambda: point.decide_all(list(missing.values())))
            return [_told(kept[text]) for text in texts]

    def _of(self, point: DecisionPoint) -> dict[str, Answer]:
        return self._points.setdefault(id(point), (point, {}))[1]


def answers_now() -> Answers:
    """The answers of the current request; outside one, a memory of nothing."""
    if not has_request_context():
        return Answers()
    answers: Answers = get_request().__dict__.setdefault(_KEPT, Answers())
    return answers


def _keep(kept: dict[str, Answer], texts: list[str], ask: Callable[[], Sequence[object]]) -> None:
    """Keep the answers, or why there are none; then what was raised is raised."""
    try:
        kept.update(zip(texts, _checked(ask(), len(texts)), strict=True))
    except StoreUnavailable as error:
        kept.update(dict.fromkeys(texts, StoreUnavailable(str(error))))
        raise
    except Exception as error:
        kept.update(dict.fromkeys(texts, Undecided(told_of(error))))
        raise


def _checked(answers: Sequence[object], count: int) -> list[bool]:
    """Answers that are some; a decision point of the application's own may give any."""
    if len(answers) != count:
        raise StoreUnavailable("the decision point has not one answer for each question")
    return [_bool(answer) for answer in answers]


def _bool(answer: object) -> bool:
    if not isinstance(answer, bool):
        raise StoreUnavailable(f"the decision point answered {type(answer).__name__}")
    return answer


def _told(answer: Answer) -> bool:
    if isinstance(answer, bool):
        return answer
    raise type(answer)(str(answer))  # a new one each time: a traceback holds what it went through
