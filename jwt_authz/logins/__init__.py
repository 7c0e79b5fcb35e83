"""Logins: logging in, refreshing and issuing tokens, and the changes that revoke them."""
