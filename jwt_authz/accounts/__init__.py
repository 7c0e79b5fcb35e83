"""Who may log in: credentials in, a user and the names of their roles out."""

from .user import Accounts, ManagedAccounts, User

__all__ = ["Accounts", "ManagedAccounts", "User"]
