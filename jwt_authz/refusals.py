"""Refusals: a Problem as a werkzeug exception that renders itself, and the order of failing.

Each class is an `HTTPException` of its status, so an application's `errorhandler(401)`, `(403)` and
`(503)` handle it. Without a handler, the response is `application/problem+json` (RFC 9457).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from flask import Response, current_app, jsonify, make_response
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    Forbidden,
    HTTPException,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
)
from werkzeug.wrappers import Response as BaseResponse

from .errors import AuthzError, MisuseError
from .policy.problem import Problem, make_problem

RETRY_AFTER_SECONDS = 5
_Raised = TypeVar("_Raised", bound=HTTPException)


class Refusal(AuthzError, HTTPException):
    """The base of all refusals: a problem (RFC 9457) and its rendering as a response."""

    def __init__(self, problem: Problem, realm: str = "api") -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.realm = realm

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.__dict__)

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        return json.dumps(self.problem.as_dict())

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        headers = [("Content-Type", "application/problem+json")]
        challenge = self.problem.challenge(self.realm)
        if challenge is not None:
            headers.append(("WWW-Authenticate", challenge))
        seconds = getattr(self, "retry_after", None)
        if seconds is not None:
            headers.append(("Retry-After", str(seconds)))
        return headers


class NotIdentified(Refusal, Unauthorized):
    """401: the request has no token, or an invalid one.

    >>> with app.test_request_context():
    ...     authorize("orders:read")
    Traceback (most recent call last):
        ...
    jwt_authz.refusals.NotIdentified: ...
    """


class NotAllowed(Refusal, Forbidden):
    """403: the caller is identified, and does not meet the requirements.

    >>> authorize("orders:delete", identity=Identity("ann", permissions=["orders:read"]))
    Traceback (most recent call last):
        ...
    jwt_authz.refusals.NotAllowed: ...
    """


class AuthorizationUnavailable(Refusal, ServiceUnavailable):
    """503: a store that is needed does not answer, so the call is refused, with `Retry-After`."""

    def __init__(self, problem: Problem, realm: str = "api") -> None:
        super().__init__(problem, realm)
        self.retry_after = RETRY_AFTER_SECONDS


class TokenNotIssued(Refusal, ServiceUnavailable):
    """503: no token is short enough for the roles; without `Retry-After`."""


class TooManyAttempts(Refusal, TooManyRequests):
    """429: too many log-ins of an account or an address have failed; with `Retry-After`."""

    def __init__(self, problem: Problem, realm: str = "api", retry_after: int = 1) -> None:
        super().__init__(problem, realm)
        self.retry_after = retry_after


class CompleteAnswer(HTTPException):
    """An exception with a complete response, which error handlers must not replace."""


class ProblemAnswer(CompleteAnswer):
    """An exception whose response is a problem (RFC 9457) without a challenge."""

    def __init__(self, status: int, name: str, detail: str, error: str | None = None) -> None:
        self.problem = make_problem(name, status, detail, error=error)
        response = unstored(self.problem.as_dict())
        response.status_code = status
        response.mimetype = "application/problem+json"
        super().__init__(detail, response)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.__dict__)


def unstored(members: dict[str, Any] | None = None) -> Response:
    """Return a response with these members as JSON, or an empty one, that no cache may store."""
    response = Response() if members is None else jsonify(members)
    response.headers["Cache-Control"] = "no-store"  # RFC 6749 section 5.1
    return response


def _restored(kind: type[_Raised], attributes: dict[str, Any]) -> _Raised:
    """Return a refusal as it was before `pickle`, whatever its class takes."""
    made = kind.__new__(kind)
    made.__dict__.update(attributes)
    return made


_Refusal = TypeVar("_Refusal", bound=Refusal)
_BY_STATUS: dict[int, type[Refusal]] = {
    401: NotIdentified,
    403: NotAllowed,
    503: AuthorizationUnavailable,
}


class Failing:
    """What a guard or the extension does on a refusal: `on_fail`, then `throws`.

    `on_fail` is a response, or a function of the view's arguments; if it returns None, `throws`
    follows. `throws` is an exception or an exception class. Raise `MisuseError` for another value.
    """

    __slots__ = ("on_fail", "throws")

    def __init__(self, on_fail: Any = None, throws: Any = None) -> None:
        if throws is not None and not _is_exception(throws):
            raise MisuseError(
                f"Invalid throws {throws!r}: expected an exception or an exception class."
            )
        self.on_fail = on_fail
        self.throws = throws

    def respond(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Return the response of `on_fail`, or None; raise `throws` if it is set."""
        response = self.on_fail
        if isinstance(response, BaseResponse):  # shared by all requests
            response = make_response((response.get_data(), response.status, response.headers))
        elif callable(response):
            response = current_app.ensure_sync(response)(*arguments, **keywords)
        if response is None and self.throws is not None:
            # Without its traceback: an instance would collect the frames of every raise.
            raised = self.throws
            raise raised.with_traceback(None) if isinstance(raised, Exception) else raised
        return response


def _is_exception(value: object) -> bool:
    if inspect.isclass(value):
        return issubclass(value, Exception)
    return isinstance(value, Exception)


@dataclass(frozen=True, slots=True)
class Refusing:
    """How an application refuses: its own `failing`, its abort function, its challenge."""

    failing: Failing
    abort: Callable[[Problem], ResponseReturnValue | None] | None
    realm: str
    scheme: Callable[[], str]

    def refusal(self, kind: type[_Refusal], problem: Problem, *arguments: Any) -> _Refusal:
        """Return a refusal of a class, with the application's scheme and realm."""
        return kind(self._named(problem), self.realm, *arguments)

    def _named(self, problem: Problem) -> Problem:
        scheme = self.scheme()
        return problem if problem.scheme == scheme else replace(problem, scheme=scheme)

    def refuse(
        self,
        problem: Problem,
        own: Failing,
        hide: bool = False,
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Return the response to a refusal, or raise it; the first of these that answers decides:

        the guard's `on_fail` and `throws`; the 404 of a hidden resource, which is werkzeug's, so
        that it looks like that of a missing resource; the application's `on_fail`, `throws` and
        abort function; the refusal itself.
        """
        response = own.respond(arguments, keywords)
        if response is None and hide and problem.status == 403:
            raise NotFound
        if response is None:
            response = self.failing.respond(arguments, keywords)
        if response is None and self.abort is not None:
            response = current_app.ensure_sync(self.abort)(self._named(problem))
        if response is None:
            raise self.refusal(_BY_STATUS[problem.status], problem)
        return response


def raise_response(value: Any) -> NoReturn:
    """Raise a response where there is no view to return it from."""
    raise CompleteAnswer(response=make_response(value))
