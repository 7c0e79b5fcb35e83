"""Render the page's own templates, separate from those of the application."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for

from ..inspection.page import environment_of
from ..refusals import ProblemAnswer
from .cookie import csrf_token
from .schemas import is_reachable
from .versions import Seen

_ENVIRONMENT = environment_of("jwt_authz.admin")
_ENVIRONMENT.tests["reachable"] = is_reachable
_ENVIRONMENT.globals["url_for"] = url_for


def status_of(problem: ProblemAnswer) -> int:
    """Return the status of a problem's response."""
    return problem.get_response().status_code


def seen(is_needed: bool = False) -> Seen:
    """Return the version that the form shows."""
    return Seen(request.form.getlist("seen") or None, is_needed)


def render(template: str, status: int = 200, **values: Any) -> Response:
    """Render a page; the template has `url_for` and the token of its forms."""
    text = _ENVIRONMENT.get_template(template).render(
        csrf_token=csrf_token(), **{"who": None, **values}
    )
    return Response(text, status, mimetype="text/html")
