"""jwt_authz: JWT-claims authorization for Flask REST APIs."""

from .conditions import attr
from .decision import Decision
from .errors import AuthzError, InvalidToken, MisuseError
from .extension import Authz
from .has import has_claim, has_level, has_role, has_scope
from .identity import Identity
from .permissions import Permission
from .places import exempt
from .problem import Problem
from .refusals import NotAllowed, NotIdentified
from .requirements import Requirement, has_permission, requirement
from .roles import Role, Roles
from .verbs import allowed, authorize, current_identity, guard, requires

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
