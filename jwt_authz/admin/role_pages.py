"""The pages of the roles: what each grants, and what a change would open and close."""

from __future__ import annotations

from typing import Any

from flask import Response, redirect, request, url_for

from ..accounts.user import MAX_TEXT
from ..endpoints.bodies import load
from ..policy.roles import Role
from ..refusals import ProblemAnswer
from .guard_parts import permissions_in_use
from .paging import choices, page_of
from .rendering import render, seen, status_of
from .role_changes import RoleAdministration
from .roles import role_of
from .schemas import NewRole, RoleBody, RolesQuery, is_permission, read_query
from .user_changes import Administration
from .user_query import Wanted

LONGEST_NUMBER = 11

_DONE = {
    "created": "The role is created. Users who hold it through another role can give it to others.",
    "changed": "The role is changed. The change is in force.",
    "removed": "The role is removed, also from all users.",
}


class RolePages:
    """The views of one blueprint for roles."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._roles = RoleAdministration(administration)

    def show_roles(self) -> Response:
        given = {name: value for name, value in read_query().items() if value}
        done = _DONE.get(given.pop("done", ""))
        query = load(RolesQuery(), given)
        part, roles = query["search"], self._roles.roles().values()
        found = [
            one for one in roles if part in one.name or part in " ".join(map(str, one.permissions))
        ]
        shown = page_of(found, query["page"], query["page_size"])
        return self._render("roles.html", done=done, shown=shown, search=part, given=given)

    def show_role(self, name: str) -> Response:
        role = self._roles.role(name)
        return self._role(role, done=_DONE.get(request.args.get("done", "")))

    def preview_role(self, name: str) -> Response:
        role = self._roles.role(name)
        if "find" in request.form:  # keep what was chosen, and show no effect
            return self._role(role, request.form)
        try:
            wanted = role_of(name, **_chosen(RoleBody()))
            effects = self._roles.effect_of_change(wanted)
        except ProblemAnswer as problem:
            return self._refused(role, problem)
        try:
            self._roles.judge(wanted)
        except ProblemAnswer as problem:
            refusal = f"This cannot be saved: {problem.description}"
            return self._role(role, request.form, effects=effects, refusal=refusal)
        return self._role(role, request.form, effects=effects)

    def change_role(self, name: str) -> Any:
        role = self._roles.role(name)
        try:
            wanted = role_of(name, **_chosen(RoleBody()))
            self._roles.change(wanted, seen(is_needed=True))
        except ProblemAnswer as problem:
            return self._refused(role, problem)
        return redirect(url_for(".show_role", name=name, done="changed"), 303)

    def show_removal(self, name: str) -> Any:
        role, version = self._roles.versioned(name)
        try:
            effects = self._roles.effect_of_removal(name)
        except ProblemAnswer as problem:
            return self._refused(role, problem)
        _, total = self._administration.users(Wanted(role=name))
        return self._render(
            "role_removal.html", role=role, effects=effects, total=total, seen=version,
            by=self._roles.roles().including(name),
        )  # fmt: skip

    def remove_role(self, name: str) -> Any:
        role = self._roles.role(name)
        try:
            self._roles.remove(name, seen())
        except ProblemAnswer as problem:
            return self._role(role, None, status_of(problem), alert=problem.description)
        return redirect(url_for(".show_roles", done="removed"), 303)

    def show_new_role(self) -> Response:
        return self._new()

    def create_role(self) -> Any:
        try:
            form = request.form
            named = {"name": form.get("name", ""), "included_by": form.getlist("included_by")}
            given = _chosen(NewRole(), **named)
            included_by = given.pop("included_by")
            role = self._roles.create(role_of(**given), included_by)
        except ProblemAnswer as problem:
            return self._new(status_of(problem), problem.description or "")
        return redirect(url_for(".show_role", name=role.name, done="created"), 303)

    def _refused(self, role: Role, problem: ProblemAnswer) -> Response:
        return self._role(role, request.form, status_of(problem), alert=problem.description)

    def _role(self, role: Role, form: Any = None, status: int = 200, **shown: Any) -> Response:
        """Render the page of a role; the form shows what was sent, if given."""
        written = _written(form) if form is not None else {
            "chosen": [*map(str, role.permissions)], "included": role.includes, "more": "",
            "level": role.level,
        }  # fmt: skip
        role, version = self._roles.versioned(role.name)
        entries, _ = self._administration.changes(1, 10, role=role.name)
        shown = {"done": None, "alert": None, "effects": None, "refusal": None, **shown}
        values: dict[str, Any] = self._with_known(written)
        others = [name for name in self._roles.roles() if name != role.name]
        return self._render(
            "role.html", status, role=role, entries=entries, **values, **shown,
            offered_permissions=choices(values["known"], values["chosen"], _find("permissions")),
            offered_roles=choices(others, values["included"], _find("includes")),
            seen=(form or {}).get("seen", version),
            by=self._roles.roles().including(role.name),
        )  # fmt: skip

    def _new(self, status: int = 200, alert: str = "") -> Response:
        form, caller = request.form, self._administration.safeguards().caller
        held = [name for name in self._roles.roles() if caller.has_role(name)]
        is_sent = request.method == "POST"
        return self._render(
            "new_role.html", status, alert=alert, name=form.get("name", ""), held=held,
            **self._with_known(_written(form)),
            # Otherwise no user would hold the new role, and none could give it to others.
            included_by=form.getlist("included_by") if is_sent else sorted(caller.roles),
        )  # fmt: skip

    def _with_known(self, written: dict[str, Any]) -> dict[str, Any]:
        """Return the contents of a form, with all permissions that it offers."""
        known = {*self._roles.roles().permissions, *permissions_in_use(), *written["chosen"]}
        return {**written, "known": sorted(known)}

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        return render(
            template, status, who=self._administration.actor().username,
            roles=self._roles.roles(), why_fixed=self._roles.why_fixed(), **values,
        )  # fmt: skip


def _find(what: str) -> str:
    return request.form.get(f"find_{what}", "")[:MAX_TEXT]


def _written(form: Any) -> dict[str, Any]:
    """Return what was entered into the form of a role, valid or not."""
    return {
        "chosen": form.getlist("permissions"), "included": form.getlist("includes"),
        "more": form.get("more", ""), "level": form.get("level", ""),
    }  # fmt: skip


def _permissions() -> list[str]:
    """Return the permissions in the form: the selected ones and the typed ones."""
    return [*request.form.getlist("permissions"), *request.form.get("more", "").split()]


def _chosen(schema: RoleBody, **members: Any) -> dict[str, Any]:
    """Return the role in the form; raise `ProblemAnswer` if it is invalid."""
    for text in _permissions():
        if not is_permission(text):
            detail = f"{text} is not a permission. Write resource:action."
            raise ProblemAnswer(400, "invalid-request", detail)
    members |= {"permissions": _permissions(), "includes": request.form.getlist("includes")}
    members["level"] = _number(request.form.get("level", "").strip())
    return load(schema, members)


def _number(text: str) -> int | str | None:
    """Return the text as a number; leave other texts for the schema to refuse."""
    is_number = len(text) <= LONGEST_NUMBER and text.removeprefix("-").isdecimal()
    return int(text) if is_number else text or None
