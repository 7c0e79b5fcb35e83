"""Argon2 at a price that tests can pay."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest
from argon2 import PasswordHasher

from jwt_authz.accounts import passwords
from jwt_authz.endpoints import login_attempt as login_gate

FULL_PRICE = {"_hasher": passwords._hasher, "_DUMMY": passwords._DUMMY}


def make_argon2_cheap(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Have passwords hashed at next to no cost, that of nobody too; gives what hashes them."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_DUMMY", hasher.hash(token_hex()))
    monkeypatch.setattr(passwords, "_former", passwords._Former())
    return hasher


def replace_slots(monkeypatch: pytest.MonkeyPatch, slots: Any) -> None:
    """Have passwords hashed in these slots."""
    monkeypatch.setattr(passwords, "HASHING", slots)
    monkeypatch.setattr(login_gate, "HASHING", slots)
