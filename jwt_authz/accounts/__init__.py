"""Who may log in: credentials in, a user and the names of their roles out."""

from jwt_authz.accounts.user import Accounts, User

__all__ = ["Accounts", "User"]
