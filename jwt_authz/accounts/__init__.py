"""Who may log in: credentials in, a user and the names of their roles out."""

from .user import Accounts, ManagedAccounts, TenantAccounts, User

__all__ = ["Accounts", "ManagedAccounts", "TenantAccounts", "User"]
