"""Errors: each is answered `application/problem+json` (RFC 9457).

jwt_authz's refusals are so already. The handlers here make Flask's errors, marshmallow's and the
database's look the same.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, current_app
from marshmallow import ValidationError
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, ServiceUnavailable, UnprocessableEntity

PROBLEM = "application/problem+json"


def answer_with_problems(app: Flask) -> None:
    """Have each error of the application answered with a problem."""
    app.register_error_handler(HTTPException, problem_of)
    app.register_error_handler(ValidationError, unfit)
    for kind in (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError):
        app.register_error_handler(kind, unavailable)


def problem_of(error: HTTPException, **more: Any) -> Response:
    """The error's own response, its headers kept (`Allow`, say), with a problem for its body."""
    response: Any = error.get_response()
    if response.mimetype != PROBLEM:
        response.mimetype = PROBLEM
        response.data = json.dumps(
            {
                "type": "about:blank",  # RFC 9457 section 4.2.1: the status says it all
                "title": error.name,
                "status": error.code,
                "detail": error.description,
                **more,
            }
        )
    return response  # type: ignore[no-any-return]


def unavailable(error: exc.SQLAlchemyError) -> Response:
    """503: the database is gone, full or busy. The log has the kind of error, and no statement."""
    cause = getattr(error, "orig", None) or error
    current_app.logger.error("the database does not answer: %s", type(cause).__name__)
    answer = problem_of(ServiceUnavailable("The database does not answer. Try again in a while."))
    answer.headers["Retry-After"] = "5"
    return answer


def unfit(error: ValidationError) -> Response:
    """422: the body is JSON, and not what the schema wants; `errors` tells what of it."""
    return problem_of(UnprocessableEntity("The body is not as expected."), errors=error.messages)
