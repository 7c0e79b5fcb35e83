"""Accounts and roles in an SQL database, with SQLAlchemy."""

from .accounts import SQLAlchemyAccounts
from .role_tables import CatalogueRoleMixin, PermissionMixin
from .roles import SQLAlchemyRoles
from .tables import RoleMixin, UserMixin

__all__ = [
    "CatalogueRoleMixin",
    "PermissionMixin",
    "RoleMixin",
    "SQLAlchemyAccounts",
    "SQLAlchemyRoles",
    "UserMixin",
]
