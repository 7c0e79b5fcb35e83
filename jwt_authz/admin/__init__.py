"""Administration: change who has which role with an API or on a page, with a trail of changes."""

from ..accounts.sqlalchemy.trail import ChangeMixin
from .accounts import AdminAccounts
from .api import admin_api_blueprint
from .page import admin_page_blueprint
from .role_changes import RoleAdministration
from .user_changes import Administration
from .versions import if_match

__all__ = [
    "AdminAccounts",
    "Administration",
    "ChangeMixin",
    "RoleAdministration",
    "admin_api_blueprint",
    "admin_page_blueprint",
    "if_match",
]
