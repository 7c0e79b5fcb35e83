"""The API of Flask-Auth 0.85: import `jwt_authz.compat.flask_auth` instead of `flaskext.auth`.

It works without an Authz, and needs the extra `accounts` for password hashes.
"""

from .auth import (
    Auth,
    AuthUser,
    encrypt,
    get_current_user,
    get_current_user_data,
    login,
    login_required,
    logout,
)
from .permissions import Permission, Role, has_permission, permission_required

__all__ = [
    "Auth",
    "AuthUser",
    "Permission",
    "Role",
    "encrypt",
    "get_current_user",
    "get_current_user_data",
    "has_permission",
    "login",
    "login_required",
    "logout",
    "permission_required",
]
