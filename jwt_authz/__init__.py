"""jwt_authz: JWT-claims authorization for Flask REST APIs."""

from . import _moved as _moved
from .conditions import attr
from .errors import AuthzError, InvalidToken, MisuseError
from .extension import Authz
from .guards.placement import exempt
from .guards.verbs import allowed, authorize, current_identity, guard, requires
from .policy.decision import Decision
from .policy.identity import Identity
from .policy.permissions import Permission
from .policy.problem import Problem
from .policy.requirements import Requirement, has_permission, requirement
from .policy.roles import Role, Roles
from .policy.standard import has_claim, has_level, has_role, has_scope
from .refusals import NotAllowed, NotIdentified

__all__ = [
    "Authz",
    "AuthzError",
    "Decision",
    "Identity",
    "InvalidToken",
    "MisuseError",
    "NotAllowed",
    "NotIdentified",
    "Permission",
    "Problem",
    "Requirement",
    "Role",
    "Roles",
    "allowed",
    "attr",
    "authorize",
    "current_identity",
    "exempt",
    "guard",
    "has_claim",
    "has_level",
    "has_permission",
    "has_role",
    "has_scope",
    "requirement",
    "requires",
]
