"""Answer browsers with pages and redirects instead of problems, and validate `next` URLs.

`Authz(app, abort=browser_pages(login="log_in"))` redirects unauthenticated browsers to the log-in
page. Forbidden requests get a page, or a redirect to the home page with a message. Clients that do
not prefer HTML still get the problem.
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
    """Return an abort function that sends pages to browsers and problems to other clients.

    `login` is the endpoint to which unauthenticated callers are redirected, with `next`. `home` is
    the endpoint to which forbidden callers are redirected; the problem's detail is flashed under
    `category`. Without the endpoint, a plain page shows the problem with its status.
    """

    def answer(problem: Problem) -> Any:
        after_this_request(_vary_by_accept)
        if not prefers_html():
            return None
        endpoint = {401: login, 403: home}.get(problem.status)
        if endpoint is None or request.endpoint == endpoint:
            return _page(problem)
        with suppress(RuntimeError):  # flashing needs a session, and a session a secret key
            flash(_MESSAGES.get(problem.status, problem.detail), category)
        if problem.status == 401 and request.method == "GET":
            return redirect(url_for(endpoint, next=_this_url()))
        return redirect(url_for(endpoint))

    return answer


_MESSAGES = {401: "Please log in first."}


def _this_url() -> str:
    """Return the path and query of the request as the browser sent them."""
    path = quote(request.script_root + request.path, safe="/:@!$&'()*+,;=~-._")
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def prefers_html() -> bool:
    """Return whether the client prefers a page to JSON (RFC 9110 section 12.5.1)."""
    # Among equals the first one wins, so */* alone gets JSON.
    offered = ["application/problem+json", "application/json", "text/html"]
    return request.accept_mimetypes.best_match(offered) == "text/html"


def next_url(default: str) -> str:
    """Return the request's `next` if it is a path on this host, otherwise `default`.

    Anything that a browser could treat as another host is refused: a scheme, `//`, a backslash, a
    space or control character, and anything that does not start with a single slash.
    """
    target = request.values.get("next", "")
    return target if is_local_path(target) else default


def is_local_path(target: str) -> bool:
    """Return whether every browser treats the text as a path on the current host."""
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
        response.headers["WWW-Authenticate"] = problem.scheme
    response.headers["Cache-Control"] = "no-store"
    return response


def _vary_by_accept(response: Response) -> Any:
    return vary_by(response, "Accept")
