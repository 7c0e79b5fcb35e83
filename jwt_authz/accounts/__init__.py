"""Accounts: check credentials, and look up users and the names of their roles."""

from .user import Accounts, ManagedAccounts, NamedAccounts, TenantAccounts, User

__all__ = ["Accounts", "ManagedAccounts", "NamedAccounts", "TenantAccounts", "User"]
