"""Flask-Auth 0.85 by its old names: write `jwt_authz.compat.flask_auth` for `flaskext.auth`.

Needs no Authz on the application, and the extra `accounts` for its password hashes.
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
