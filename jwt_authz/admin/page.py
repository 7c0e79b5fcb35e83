"""The admin page: the functions of the API in a browser, which also work without scripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for

from ..accounts import User
from ..accounts.user import MAX_TEXT
from ..application import current_state
from ..endpoints.bodies import load
from ..endpoints.login_attempt import add_rate_checks
from ..errors import StoreUnavailable
from ..guards.placement import PAGES, exempt, mark
from ..guards.verbs import guard, requires
from ..refusals import RETRY_AFTER_SECONDS, ProblemAnswer
from .access_page import access_file, access_shown
from .api import FRESH, administration_of
from .cookie import take_cookie
from .login import log_in, log_out, protect, refuse_forged, show_log_in, to_confirm, to_log_in
from .paging import choices, last_page
from .rendering import render, seen, status_of
from .role_pages import RolePages
from .schemas import ChangesQuery, NewUser, read_query, wanted_of
from .user_changes import Administration, add_administration_checks

_DONE = {
    "roles": "The roles are changed. The change is in force.",
    "disabled": "The user is disabled and logged out everywhere.",
    "enabled": "The user is enabled.",
    "sessions": "The user is logged out everywhere.",
    "created": "The user is created.",
}


def admin_page_blueprint(
    *requirements: Any, url_prefix: str = "/admin", fresh: timedelta = FRESH
) -> Blueprint:
    """Return a blueprint with a page on which callers who meet the requirements administer users.

    The same rules apply as for `admin_api_blueprint`. The page has its own log-in, with the same
    rate limit as `POST /token`. It lasts as long as an access token and is not valid elsewhere. If
    it is older than `fresh`, a change of roles asks for the password again. Raise `MisuseError`
    without a requirement.
    """
    administration = administration_of("admin_page_blueprint", requirements)
    blueprint = Blueprint(
        "jwt_authz_admin_page",
        __name__,
        url_prefix=url_prefix,
        static_folder="static",
        static_url_path="/static",
    )
    mark(blueprint, PAGES)
    blueprint.url_value_preprocessor(take_cookie)
    guard(blueprint, *requirements, on_fail=to_log_in)
    blueprint.after_request(protect)
    blueprint.record(lambda state: add_administration_checks(state.app))
    blueprint.record(lambda state: add_rate_checks(state.app))
    is_fresh = requires(fresh=fresh, on_fail=to_confirm)
    _add_views(blueprint, _Pages(administration), RolePages(administration), is_fresh)
    return blueprint


def _add_views(blueprint: Blueprint, pages: _Pages, roles: RolePages, fresh: Any) -> None:
    for method, rule, view in (
        ("GET", "/", pages.show_users),
        ("GET", "/user/<subject>", pages.show_user),
        ("POST", "/user/<subject>/preview", pages.preview),
        ("POST", "/user/<subject>/roles", fresh(pages.give_roles)),
        ("POST", "/user/<subject>/disabled", fresh(pages.set_disabled)),
        ("POST", "/user/<subject>/sessions", pages.end_sessions),
        ("GET", "/new", pages.show_new),
        ("POST", "/new", fresh(pages.create)),
        ("GET", "/roles", roles.show_roles),
        ("GET", "/role/<path:name>", roles.show_role),
        ("POST", "/role/<path:name>", fresh(roles.change_role)),
        ("POST", "/role-preview/<path:name>", roles.preview_role),
        ("GET", "/role-removal/<path:name>", roles.show_removal),
        ("POST", "/role-removal/<path:name>", fresh(roles.remove_role)),
        ("GET", "/new-role", roles.show_new_role),
        ("POST", "/new-role", fresh(roles.create_role)),
        ("GET", "/access", pages.show_access),
        ("GET", "/access/<form>", pages.download_access),
        ("GET", "/trail", pages.show_trail),
        ("GET", "/log-in", exempt(show_log_in)),
        ("POST", "/log-in", exempt(log_in)),
        ("POST", "/log-out", exempt(log_out)),
    ):
        blueprint.add_url_rule(rule, view.__name__, _explained(view), methods=[method])


def _explained(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return the view for requests from the page only, with problems shown as pages."""

    @wraps(view)
    def explained(**values: Any) -> Any:
        try:
            return refuse_forged() or view(**values)
        except ProblemAnswer as problem:
            return render("message.html", status_of(problem), message=problem.description)
        except StoreUnavailable:
            message = "A database does not answer. Try again later."
            answer = render("message.html", 503, message=message)
            answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return answer

    return explained


class _Pages:
    """The views of one blueprint."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def show_users(self) -> Response:
        given = {name: value for name, value in read_query().items() if value}
        wanted = wanted_of(given)
        users, total = self._administration.users(wanted)
        pages = last_page(total, wanted.page_size)
        if wanted.page > pages:
            wanted = replace(wanted, page=pages)
            users, total = self._administration.users(wanted)
        return self._render(
            "users.html", users=users, total=total, wanted=wanted, given=given,
            roles=_role_names(), pages=pages,
        )  # fmt: skip

    def show_user(self, subject: str) -> Response:
        return self._user(self._administration.user(subject), done=_done())

    def preview(self, subject: str) -> Response:
        user, roles = self._administration.user(subject), _chosen()
        effects = None  # the button that finds roles keeps what was chosen, and shows no effect
        if "find" not in request.form:
            effects = self._administration.effect_of_roles(user, roles)
        return self._user(user, chosen=roles, effects=effects, seen=request.form.get("seen", ""))

    def give_roles(self, subject: str) -> Any:
        def give() -> object:
            return self._administration.give_roles(subject, _chosen(), seen(is_needed=True))

        return self._do(subject, "roles", give)

    def set_disabled(self, subject: str) -> Any:
        disabled = request.form.get("disabled") == "true"
        done = "disabled" if disabled else "enabled"
        return self._do(
            subject, done, lambda: self._administration.set_disabled(subject, disabled, seen())
        )

    def end_sessions(self, subject: str) -> Any:
        return self._do(
            subject, "sessions", lambda: self._administration.end_sessions(subject, seen())
        )

    def show_new(self) -> Response:
        return self._new()

    def create(self) -> Any:
        form = {name: request.form.get(name, "") for name in ("username", "password")}
        try:
            body = load(NewUser(), {**form, "roles": _chosen()})
            user = self._administration.create(body["username"], body["password"], body["roles"])
        except ProblemAnswer as problem:
            return self._new(status_of(problem), problem.description or "", form["username"])
        return redirect(url_for(".show_user", subject=user.subject, done="created"), 303)

    def show_access(self) -> Response:
        return self._render("access.html", **access_shown())

    def download_access(self, form: str) -> Response:
        return access_file(form)

    def show_trail(self) -> Response:
        query = load(ChangesQuery(), read_query())
        page, size = query["page"], query["page_size"]
        of = {name: query[name] for name in ("subject", "role") if name in query}
        entries, total = self._administration.changes(page, size, **of)
        pages = last_page(total, size)
        if page > pages:
            page = pages
            entries, total = self._administration.changes(page, size, **of)
        return self._render(
            "trail.html", entries=entries, total=total, page=page, pages=pages, of=of
        )

    def _do(self, subject: str, done: str, change: Callable[[], object]) -> Any:
        try:
            change()
        except ProblemAnswer as problem:
            status = status_of(problem)
            if status == 404:
                raise
            user = self._administration.user(subject)
            return self._user(user, status=status, alert=problem.description)
        return redirect(url_for(".show_user", subject=subject, done=done), 303)

    def _user(
        self,
        user: User,
        status: int = 200,
        *,
        chosen: list[str] | None = None,
        effects: Any = None,
        seen: str | None = None,
        **shown: Any,
    ) -> Response:
        user, version = self._administration.versioned(user.subject)
        entries, _ = self._administration.changes(1, 10, user.subject)
        roles = user.roles if chosen is None else chosen
        search = request.form.get("find_roles", "")[:MAX_TEXT]
        return self._render(
            "user.html", status, user=user, entries=entries, effects=effects,
            seen=version if seen is None else seen,
            chosen=roles, offered=choices(_role_names(), roles, search),
            sessions=self._administration.sessions(user.subject), when=_when,
            **{"done": None, "alert": None, **shown},
        )  # fmt: skip

    def _new(self, status: int = 200, alert: str = "", username: str = "") -> Response:
        values = {"alert": alert, "username": username, "chosen": _chosen()}
        return self._render("new.html", status, roles=_role_names(), **values)

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        return render(template, status, who=self._administration.actor().username, **values)


def _role_names() -> tuple[str, ...]:
    return tuple(current_state().catalog or ())


def _chosen() -> list[str]:
    return request.form.getlist("roles")


def _done() -> str | None:
    return _DONE.get(request.args.get("done", ""))


def _when(seconds: float) -> str:
    """Return a time in UTC, formatted for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
