"""Errors: each is answered `application/problem+json` (RFC 9457).

jwt_authz's refusals are so already. The two handlers here make Flask's errors and marshmallow's
look the same.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, UnprocessableEntity

PROBLEM = "application/problem+json"


def answer_with_problems(app: Flask) -> None:
    """Have each error of the application answered with a problem."""
    app.register_error_handler(HTTPException, problem_of)
    app.register_error_handler(ValidationError, unfit)


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


def unfit(error: ValidationError) -> Response:
    """422: the body is JSON, and not what the schema wants; `errors` tells what of it."""
    return problem_of(UnprocessableEntity("The body is not as expected."), errors=error.messages)
