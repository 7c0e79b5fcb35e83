"""Tenants: the requirement `same_tenant`: the tenant in the URL is the caller's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flask import has_request_context

from .._context import get_app, get_request
from ..errors import MisuseError
from ..policy.decision import DEPENDS, NO, YES, Decision
from ..policy.functions import Undecided
from ..policy.identity import Identity
from ..policy.requirements import Requirement


class same_tenant(Requirement):
    """Require that the caller's tenant is the one that an argument of the view names.

    For `/orgs/<org_id>/...` write `same_tenant("org_id")`, on a view or by `guard` on a blueprint.
    The argument is compared as a string. A caller without a tenant may belong to any, so they are
    refused, also under `~`. A route without the argument refuses everyone, and `check` reports it.
    """

    def __init__(self, argument: str) -> None:
        if not isinstance(argument, str) or not argument.isidentifier():
            raise MisuseError(
                f"{argument!r} is not an argument of a view: "
                "write same_tenant('org_id') for <org_id>"
            )
        self.view_argument = argument

    @property
    def sentence(self) -> str:
        return "belongs to the tenant in the URL"

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        if not isinstance(identity, Identity):
            raise Undecided(f"{self!r} needs an Identity, not {type(identity).__name__}")
        name = str(self.view_argument)
        arguments = _arguments(name) if has_request_context() else {}
        if name not in arguments:
            raise Undecided(f"{self!r} needs a request for a view with the argument {name}")
        if identity.tenant is None:
            return Decision(DEPENDS, self)
        is_same = str(arguments[name]) == identity.tenant
        return Decision(YES if is_same else NO, self)

    def __repr__(self) -> str:
        return f"same_tenant({self.view_argument!r})"


def _arguments(name: str) -> Mapping[str, Any]:
    """Return the arguments of the URL, also if a `url_value_preprocessor` has removed this one."""
    request = get_request()
    arguments = request.view_args or {}
    rule = request.url_rule
    if name in arguments or rule is None or name not in rule.arguments:
        return arguments
    adapter = get_app().create_url_adapter(request)
    return {} if adapter is None else adapter.match()[1]
