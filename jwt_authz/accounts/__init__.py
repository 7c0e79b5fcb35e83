"""Who may log in: credentials in, a user and the names of their roles out."""

from .user import Accounts, ManagedAccounts, NamedAccounts, TenantAccounts, User

__all__ = ["Accounts", "ManagedAccounts", "NamedAccounts", "TenantAccounts", "User"]
