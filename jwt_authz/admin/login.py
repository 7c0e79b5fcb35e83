"""The page's log-in and log-out, the redirect to them, and the headers of all responses."""

from __future__ import annotations

from hmac import compare_digest
from typing import Any

from flask import Response, redirect, request, url_for
from marshmallow import EXCLUDE, Schema, fields, validate

from .._context import get_app
from ..application import current_state
from ..contrib.browser import next_url
from ..endpoints.bodies import FORM, load
from ..endpoints.common import current_logins
from ..endpoints.login_attempt import Attempt
from ..endpoints.token import LONGEST_PASSWORD
from ..jwt_extended.locations import vary_by
from ..jwt_extended.times import access_lifetime
from ..logins.revoking import end_family
from ..policy.problem import too_many_attempts, wrong_credentials
from ..refusals import ProblemAnswer
from .cookie import COOKIE, cookie_options, csrf_token, is_from_here
from .rendering import render

CLIENT = "Administration page"
LONGEST_FORM = 65_536
"""The maximum size of a form in bytes; a role can have many permissions."""

CSRF_FIELD = "csrf_token"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class LogInForm(Schema):
    """The form for a log-in."""

    class Meta:
        unknown = EXCLUDE

    username = fields.String(required=True, validate=validate.Length(1, 255))
    password = fields.String(required=True, validate=validate.Length(1, LONGEST_PASSWORD))


def refuse_forged() -> Any:
    """Refuse posts that do not come from the page itself."""
    if request.method != "POST":
        return None
    if request.mimetype != FORM or not 0 <= (request.content_length or -1) <= LONGEST_FORM:
        message = f"The form cannot be read. Send a form of at most {LONGEST_FORM} bytes."
        return render("message.html", 400, message=message)
    is_log_in = request.endpoint is not None and request.endpoint.endswith(".log_in")
    known = is_log_in or compare_digest(_posted_token().encode(), csrf_token().encode())
    if not is_from_here() or not known:
        return render(
            "message.html", 403, message="This request did not come from the page. Try again."
        )
    return None


def protect(response: Response) -> Any:
    """Set the headers of all responses of the page."""
    headers = response.headers
    headers["Content-Security-Policy"] = POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not (request.endpoint or "").endswith(".static"):
        headers["Cache-Control"] = "no-store"
    return vary_by(response, "Cookie")


def show_log_in() -> Response:
    """Show the log-in form."""
    return _form(200)


def log_in() -> Any:
    """Log in: set the cookie and redirect, or show the form with an error."""
    try:
        body = load(LogInForm(), request.form.to_dict())
    except ProblemAnswer:
        return _form(400, "Enter your username and password.")
    logins = current_logins()
    attempt = Attempt(logins.accounts, body["username"])
    if attempt.must_wait:
        return _refused(429, attempt.wait)
    since = logins.now()
    user = attempt.authenticate(body["password"])
    started = None
    if user is not None:
        started = logins.start(
            user,
            has_refresh=True,
            since=since,
            client=CLIENT,
            lifetime=access_lifetime(),
            is_for_page=True,
        )
    if user is None or started is None:
        attempt.failed()
        return _refused(429 if attempt.wait else 401, attempt.wait)
    attempt.succeeded(user)
    response: Any = redirect(next_url(url_for(".show_users")), 303)
    response.set_cookie(
        COOKIE, started.access_token, max_age=started.expires_in, **cookie_options()
    )
    return response


def log_out() -> Any:
    """Log out: end the log-in, and delete the cookie."""
    state = current_state()
    found = state.authenticate(get_app())
    if found.token is not None and found.token.family is not None:
        end_family(state, found.token.family)
    response: Any = redirect(url_for(".show_log_in"), 303)
    response.delete_cookie(COOKIE, **cookie_options())
    return response


def to_log_in(*_: object, **__: object) -> Any:
    """Redirect a refused caller to the log-in, or show a page that refuses them."""
    found = current_state().authenticate(get_app())
    if found.identity is None:
        return _go_to_log_in()
    message = "You are signed in, but you are not an administrator."
    return render("message.html", 403, message=message, may_log_out=True)


def to_confirm(*_: object, **__: object) -> Any:
    """Redirect a caller whose log-in is too old, to log in again."""
    return _go_to_log_in(confirm="1")


def _go_to_log_in(confirm: str | None = None) -> Any:
    """Redirect to the log-in; for a request from a script, redirect the whole page."""
    url = url_for(".show_log_in", next=_way_back(), confirm=confirm)
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": url})
    return redirect(url, 303)


def _way_back() -> str:
    """Return where to go after the log-in: the requested page, or the page of the form."""
    if request.method == "GET":
        return request.script_root + request.full_path.rstrip("?")
    about = request.view_args or {}
    if "subject" in about:
        return url_for(".show_user", **about)
    return url_for(".show_role", **about) if "name" in about else url_for(".show_users")


def _form(status: int, message: str = "") -> Response:
    is_confirming = request.values.get("confirm") == "1"
    return render(
        "log_in.html",
        status,
        message=message,
        next=next_url(""),
        is_confirming=is_confirming,
        username=request.form.get("username", ""),
    )


def _refused(status: int, wait: int) -> Response:
    state = current_state()
    problem = too_many_attempts() if status == 429 else wrong_credentials()
    state.audit.refused(get_app(), None, None, problem, "log-in")
    advice = f" Try again in {wait} seconds." if wait else ""
    response = _form(status, f"{problem.detail}{advice}")
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _posted_token() -> str:
    return request.form.get(CSRF_FIELD, "")
