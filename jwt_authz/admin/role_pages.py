"""The pages of the roles: what each grants, and what a change of it would open and close."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, redirect, request, url_for

from ..context import get_app
from ..endpoints.answers import ProblemAnswer
from ..endpoints.bodies import load
from ..matrix import read_matrix
from ..parts import current_parts
from ..requirements import has_permission
from ..roles import Role
from .administration import Administration
from .queries import NewRole, RoleBody
from .rendering import render, status_of
from .roles import role_of

LONGEST_NUMBER = 11

_DONE = {
    "created": "The role is created. Whoever holds it gives it to users on their pages.",
    "changed": "The role is changed, and in force.",
    "removed": "The role is removed, also from all users.",
}


class RolePages:
    """The views of one blueprint that are about roles."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def show_roles(self) -> Response:
        return self._render("roles.html", done=_DONE.get(request.args.get("done", "")))

    def show_role(self, name: str) -> Response:
        role = self._administration.role(name)
        return self._role(role, done=_DONE.get(request.args.get("done", "")))

    def preview_role(self, name: str) -> Response:
        role = self._administration.role(name)
        try:
            role = role_of(name, **_chosen(RoleBody()))
            effects = self._administration.effect_of_role(role)
        except ProblemAnswer as problem:
            return self._refused(role, problem)
        return self._role(role, effects=effects)

    def change_role(self, name: str) -> Any:
        role = self._administration.role(name)
        try:
            role = role_of(name, **_chosen(RoleBody()))
            self._administration.change_role(role)
        except ProblemAnswer as problem:
            return self._refused(role, problem)
        return redirect(url_for(".show_role", name=name, done="changed"), 303)

    def remove_role(self, name: str) -> Any:
        role = self._administration.role(name)
        try:
            self._administration.remove_role(name)
        except ProblemAnswer as problem:
            return self._refused(role, problem)
        return redirect(url_for(".show_roles", done="removed"), 303)

    def show_new_role(self) -> Response:
        return self._new()

    def create_role(self) -> Any:
        try:
            form = request.form
            named = {"name": form.get("name", ""), "included_by": form.getlist("included_by")}
            given = _chosen(NewRole(), **named)
            included_by = given.pop("included_by")
            role = self._administration.create_role(role_of(**given), included_by)
        except ProblemAnswer as problem:
            return self._new(status_of(problem), problem.description or "")
        return redirect(url_for(".show_role", name=role.name, done="created"), 303)

    def _refused(self, role: Role, problem: ProblemAnswer) -> Response:
        return self._role(role, status_of(problem), alert=problem.description)

    def _role(self, role: Role, status: int = 200, **told: Any) -> Response:
        entries, _ = self._administration.changes(1, 10, role=role.name)
        return self._render(
            "role.html", status, role=role, chosen=[*map(str, role.permissions)], entries=entries,
            **{"done": None, "alert": None, "effects": None, **told},
        )  # fmt: skip

    def _new(self, status: int = 200, alert: str = "") -> Response:
        form = request.form
        caller = self._administration.rules().caller
        return self._render(
            "new_role.html", status, alert=alert, name=form.get("name", ""),
            chosen=form.getlist("permissions"), more=form.get("more", ""),
            included=form.getlist("includes"), included_by=form.getlist("included_by"),
            level=form.get("level", ""),
            held=[name for name in self._administration.roles() if caller.has_role(name)],
        )  # fmt: skip

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        roles = self._administration.roles()
        return render(
            template, status, who=self._administration.actor().username, roles=roles,
            known=sorted({*roles.permissions, *_asked_for(), *values.get("chosen", ())}),
            why_fixed=self._administration.why_roles_are_fixed(), **values,
        )  # fmt: skip


def _asked_for() -> Iterator[str]:
    """The permissions that guards and rules ask for."""
    guards = (access.requirement for access in read_matrix(get_app()))
    rules = (rule for _, _, rule in current_parts().rules)
    for requirement in (*guards, *rules):
        for part in requirement.walk() if requirement is not None else ():
            if isinstance(part, has_permission):
                yield str(part.permission)


def _permissions() -> list[str]:
    """The permissions that the form names: those chosen, and those written out."""
    return [*request.form.getlist("permissions"), *request.form.get("more", "").split()]


def _chosen(schema: RoleBody, **members: Any) -> dict[str, Any]:
    """What the form says of a role; raises a `ProblemAnswer`."""
    members |= {"permissions": _permissions(), "includes": request.form.getlist("includes")}
    members["level"] = _number(request.form.get("level", "").strip())
    return load(schema, members)


def _number(text: str) -> int | str | None:
    """The number that a text spells; a text that spells none is left to the schema to refuse."""
    is_number = len(text) <= LONGEST_NUMBER and text.removeprefix("-").isdecimal()
    return int(text) if is_number else text or None
