"""Pages: what a browser is answered in place of a problem, and where it may be sent back to.

`Authz(app, abort=browser_pages(login="log_in"))` sends a browser that is not logged in to the
log-in page, and shows one that is not allowed a page or sends it home with a message. A client
that does not prefer HTML gets the problem as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response, after_this_request, flash, redirect, request, url_for
from markupsafe import Markup

from ..jwt_extended.locations import vary_by
from ..policy.problem import Problem

_PAGE = Markup(
    "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
    '<meta name=viewport content="width=device-width, initial-scale=1">\n'
    "<title>{title}</title>\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n"
    "<p><small>{instance}</small></p>\n</main>\n"
)


def browser_pages(
    login: str | None = None, home: str | None = None, category: str = "message"
) -> Callable[[Problem], Any]:
    """An abort function that answers browsers with pages, and leaves other clients the problem.

    `login` is the endpoint that a caller who is not identified is sent to, with `next`; `home`
    the endpoint that one who is not allowed is sent to, with the problem's sentence flashed under
    `category`. Where an endpoint is not given, a plain page says the same with the problem's own
    status.
    """

    def answer(problem: Problem) -> Any:
        after_this_request(_vary_by_accept)
        if not prefers_html():
            return None
        endpoint = {401: login, 403: home}.get(problem.status)
        if endpoint is None or request.endpoint == endpoint:
            return _page(problem)
        with suppress(RuntimeError):  # an application without a secret has no session to flash in
            flash(_MESSAGES.get(problem.status, problem.detail), category)
        if problem.status == 401 and request.method == "GET":
            return redirect(url_for(endpoint, next=_this_url()))
        return redirect(url_for(endpoint))

    return answer


_MESSAGES = {401: "Please log in first."}


def _this_url() -> str:
    """The path and query of the request as the browser asked for them, to come back to."""
    path = quote(request.script_root + request.path, safe="/:@!$&'()*+,;=~-._")
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def prefers_html() -> bool:
    """Whether the client would rather have a page than JSON (RFC 9110 section 12.5.1)."""
    # The first of equals is taken, so that */* alone is answered by JSON.
    offered = ["application/problem+json", "application/json", "text/html"]
    return request.accept_mimetypes.best_match(offered) == "text/html"


def next_url(default: str) -> str:
    """Where a log-in may send the browser: the request's `next` if it is a path here, else default.

    Refused is whatever a browser could take for another host: a scheme, `//`, a backslash, a
    blank or control character, anything that does not begin with a single slash.
    """
    target = request.values.get("next", "")
    return target if is_local_path(target) else default


def is_local_path(target: str) -> bool:
    """Whether a browser reads the text as a path of this very host, and as nothing else."""
    if not target.startswith("/") or target.startswith("//") or "\\" in target:
        return False
    if not target.isascii() or any(char <= " " or char == "\x7f" for char in target):
        return False
    parts = urlsplit(target)
    return not parts.scheme and not parts.netloc


def _page(problem: Problem) -> Response:
    detail = _MESSAGES.get(problem.status, problem.detail)
    text = _PAGE.format(title=problem.title, detail=detail, instance=problem.instance)
    response = Response(text, status=problem.status, mimetype="text/html")
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _vary_by_accept(response: Response) -> Any:
    return vary_by(response, "Accept")
