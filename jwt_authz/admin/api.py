"""The admin API: users with their roles and log-ins, the roles, and the trail, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response

from ..accounts import User
from ..endpoints.bodies import load
from ..errors import MisuseError
from ..guards.verbs import guard, requires
from ..inspection.access import read_access
from ..inspection.documents import access_document
from ..policy.roles import Role
from ..refusals import unstored
from .effect import Effect
from .role_changes import RoleAdministration
from .roles import role_of
from .schemas import (
    ChangesQuery,
    DisabledBody,
    NewRole,
    NewUser,
    RoleBody,
    RolesBody,
    read_json,
    read_query,
    wanted_of,
)
from .shown import shown, shown_role
from .user_changes import Administration, add_administration_checks
from .versions import if_match

FRESH = timedelta(minutes=10)
"""The maximum age of a log-in for a change of roles."""


def admin_api_blueprint(
    *requirements: Any, url_prefix: str = "/admin/api", fresh: timedelta = FRESH
) -> Blueprint:
    """Return a blueprint with which callers who meet the requirements administer the users.

    The accounts of the `Authz` must be `AdminAccounts`. If the catalog is in the same tables
    (`SQLAlchemyRoles`), it can be changed, too. Creating a user, changing roles, disabling and
    changing the catalog need a log-in at most `fresh` ago, by the token's `auth_time`, which
    log-ins set if there is a `refresh_blueprint`. Callers cannot give themselves a role, or act on
    a user or role that holds more than they do. An administrator can be removed only if another one
    remains who holds as much. `GET` of a user or a role returns an `ETag`; requests that replace a
    list need `If-Match`. Raise `MisuseError` without a requirement.
    """
    administration = administration_of("admin_api_blueprint", requirements)
    blueprint = Blueprint("jwt_authz_admin_api", __name__, url_prefix=url_prefix)
    guard(blueprint, *requirements)
    blueprint.record(lambda state: add_administration_checks(state.app))
    views = _Views(administration)
    is_fresh = requires(fresh=fresh)
    for method, rule, view, needs_fresh in (
        ("GET", "/users", views.list_users, False),
        ("POST", "/users", views.create_user, True),
        ("GET", "/users/<subject>", views.show_user, False),
        ("PUT", "/users/<subject>/roles", views.give_roles, True),
        ("POST", "/users/<subject>/roles/preview", views.preview_roles, False),
        ("PUT", "/users/<subject>/disabled", views.set_disabled, True),
        ("GET", "/users/<subject>/sessions", views.list_sessions, False),
        ("DELETE", "/users/<subject>/sessions", views.end_sessions, False),
        ("GET", "/roles", views.list_roles, False),
        ("POST", "/roles", views.create_role, True),
        ("GET", "/roles/<path:name>", views.show_role, False),
        ("PUT", "/roles/<path:name>", views.change_role, True),
        ("DELETE", "/roles/<path:name>", views.remove_role, True),
        ("POST", "/roles/<path:name>/preview", views.preview_role, False),
        ("GET", "/access", views.show_access, False),
        ("GET", "/changes", views.list_changes, False),
    ):
        name = view.__name__
        blueprint.add_url_rule(
            rule, name, is_fresh(view) if needs_fresh else view, methods=[method]
        )
    return blueprint


def administration_of(name: str, requirements: tuple[Any, ...]) -> Administration:
    """Return the administration for a blueprint; raise `MisuseError` without a requirement."""
    if not requirements:
        raise MisuseError(
            f'{name} needs a requirement: write {name}("users:manage"), or has_role("admin")'
        )
    return Administration(requirements)


class _Views:
    """The views of one blueprint."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._roles = RoleAdministration(administration)

    def list_users(self) -> Response:
        wanted = wanted_of(read_query())
        users, total = self._administration.users(wanted)
        return unstored(
            {"users": [*map(shown, users)], **_paged(wanted.page, wanted.page_size, total)}
        )

    def create_user(self) -> Response:
        body = read_json(NewUser())
        user = self._administration.create(body["username"], body["password"], body["roles"])
        answer = unstored(dict(shown(user)))
        answer.status_code = 201
        return answer

    def show_user(self, subject: str) -> Response:
        return _of_user(*self._administration.versioned(subject))

    def give_roles(self, subject: str) -> Response:
        self._administration.user(subject)
        roles = read_json(RolesBody())["roles"]
        return _of_user(*self._administration.give_roles(subject, roles, if_match(is_needed=True)))

    def preview_roles(self, subject: str) -> Response:
        user, roles = self._administration.user(subject), read_json(RolesBody())["roles"]
        return _effects(self._administration.effect_of_roles(user, roles))

    def set_disabled(self, subject: str) -> Response:
        disabled = read_json(DisabledBody())["disabled"]
        return _of_user(*self._administration.set_disabled(subject, disabled, if_match()))

    def list_sessions(self, subject: str) -> Response:
        families = self._administration.sessions(subject)
        return unstored(
            {
                "sessions": [
                    {
                        "id": family.id,
                        "client": family.client,
                        "created_at": int(family.created_at),
                        "used_at": int(family.used_at),
                        "expires_at": int(family.expires_at),
                    }
                    for family in families
                ]
            }
        )

    def end_sessions(self, subject: str) -> Response:
        self._administration.end_sessions(subject, if_match())
        return Response(status=204)

    def list_roles(self) -> Response:
        roles = self._roles.roles()
        is_editable = self._roles.why_fixed() is None
        return unstored({"roles": [*map(shown_role, roles.values())], "editable": is_editable})

    def create_role(self) -> Response:
        body = read_json(NewRole())
        included_by = body.pop("included_by")
        answer = unstored(dict(shown_role(self._roles.create(role_of(**body), included_by))))
        answer.status_code = 201
        return answer

    def show_role(self, name: str) -> Response:
        return _of_role(*self._roles.versioned(name))

    def change_role(self, name: str) -> Response:
        role = role_of(self._roles.role(name).name, **read_json(RoleBody()))
        return _of_role(*self._roles.change(role, if_match(is_needed=True)))

    def preview_role(self, name: str) -> Response:
        role = role_of(self._roles.role(name).name, **read_json(RoleBody()))
        return _effects(self._roles.effect_of_change(role))

    def show_access(self) -> Response:
        self._administration.safeguards()
        return unstored(access_document(read_access()))

    def remove_role(self, name: str) -> Response:
        self._roles.remove(name, if_match())
        return Response(status=204)

    def list_changes(self) -> Response:
        query = load(ChangesQuery(), read_query())
        page, size = query["page"], query["page_size"]
        of = query.get("subject"), query.get("role")
        entries, total = self._administration.changes(page, size, *of)
        changes = [entry.as_dict() for entry in entries]
        return unstored({"changes": changes, **_paged(page, size, total)})


def _of_user(user: User, version: str) -> Response:
    """Return a user with an ETag for the If-Match of a change (RFC 9110 section 13.1.1)."""
    answer = unstored(dict(shown(user)))
    answer.set_etag(version)
    return answer


def _of_role(role: Role, version: str) -> Response:
    """Return a role; for the ETag see `_of_user`."""
    answer = unstored(dict(shown_role(role)))
    answer.set_etag(version)
    return answer


def _effects(effects: list[Effect]) -> Response:
    return unstored({"effects": [asdict(effect) for effect in effects]})


def _paged(page: int, page_size: int, total: int) -> dict[str, object]:
    return {"page": page, "page_size": page_size, "total": total}
