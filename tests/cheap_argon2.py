"""Argon2 at a price that tests can pay."""

from __future__ import annotations

from secrets import token_hex

import pytest
from argon2 import PasswordHasher

from jwt_authz.accounts import passwords

FULL_PRICE = {"_hasher": passwords._hasher, "_DUMMY": passwords._DUMMY}


def make_argon2_cheap(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Have passwords hashed at next to no cost, that of nobody too; gives what hashes them."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_DUMMY", hasher.hash(token_hex()))
    return hasher
