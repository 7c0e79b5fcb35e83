"""Generated users and roles: an action is allowed exactly where a plain model allows it."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask

from jwt_authz.testing import authz_client

from .application import STORED, USERS, close, make_app

PERMISSIONS = ("users:manage", "a:x", "b:y", "c:z")
NAMES = ("r0", "r1", "r2", "r3", "r4", "r5", "r6")
STEPS = 60


class Granted(NamedTuple):
    """What a role of the model grants."""

    permissions: frozenset[str]
    level: int | None


def drawn(chance: random.Random) -> dict[str, Granted]:
    """A catalog without inclusion; r0 makes administrators, r6 grants nothing."""
    roles = {
        name: Granted(
            frozenset(one for one in PERMISSIONS if chance.random() < 0.35),
            chance.choice((None, None, 0, 1, 2)),
        )
        for name in NAMES
    }
    roles["r0"] = Granted(roles["r0"].permissions | {"users:manage"}, roles["r0"].level)
    roles["r6"] = Granted(frozenset(), None)
    return roles


class Model:
    """Who has what, in the words of the documentation."""

    def __init__(self, roles: dict[str, Granted], users: dict[str, set[str]]) -> None:
        self.roles, self.users = roles, users

    def permissions(self, names: set[str]) -> set[str]:
        return {one for name in names for one in self.roles[name].permissions}

    def levels(self, names: set[str]) -> set[int]:
        return {level for name in names if (level := self.roles[name].level) is not None}

    def is_admin(self, names: set[str]) -> bool:
        return "users:manage" in self.permissions(names)

    def holds_all_of(self, mine: set[str], theirs: set[str]) -> bool:
        own_level = max(self.levels(mine), default=0)
        bare = {name for name in theirs if self.roles[name] == (frozenset(), None)}
        return (
            self.permissions(theirs) <= self.permissions(mine)
            and all(level <= own_level for level in self.levels(theirs))
            and bare <= mine
        )

    def has_successor(self, who: str) -> bool:
        lost = self.users[who]
        return any(
            self.is_admin(names) and self.holds_all_of(names, lost)
            for other, names in self.users.items()
            if other != who
        )

    def may_disable(self, actor: str, who: str) -> bool:
        mine, theirs = self.users[actor], self.users[who]
        is_safe = not self.is_admin(theirs) or self.has_successor(who)
        return self.is_admin(mine) and self.holds_all_of(mine, theirs) and is_safe

    def may_give(self, actor: str, who: str, wanted: set[str]) -> bool:
        mine, theirs = self.users[actor], self.users[who]
        is_demotion = self.is_admin(theirs) and not self.is_admin(wanted)
        return (
            self.is_admin(mine)
            and not (actor == who and wanted - theirs)
            and wanted ^ theirs <= mine
            and self.holds_all_of(mine, theirs | wanted)
            and (not is_demotion or self.has_successor(who))
        )


def users_of(chance: random.Random) -> dict[str, set[str]]:
    return {who: set(chance.sample(NAMES, chance.randint(1, 4))) for who in ("ann", "bob", "cy")}


def prepared(url: str, roles: dict[str, Granted]) -> Flask:
    """An application with this catalog in its database, beside the roles of the other tests."""
    app = make_app(url, STORED, administrator="users:manage")
    with app.app_context():
        stored = app.extensions["jwt_authz"].roles_given
        for name, granted in roles.items():
            stored.add(name, *granted.permissions, level=granted.level)
        app.extensions["jwt_authz"].reload_roles()
    return app


def asked(app: Flask, names: set[str], actor: str, path: str, body: Any) -> bool:
    client = authz_client(app, roles=names, subject=actor, claims={"auth_time": time.time()})
    answer = client.put(f"{USERS}/{path}", json=body, headers={"If-Match": "*"})
    assert answer.status_code in (200, 403, 409), answer.text
    return answer.status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_what_is_allowed_is_what_the_model_allows(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    roles = drawn(chance)
    app = prepared(f"sqlite:///{tmp_path / 'model.sqlite'}", roles)
    accounts = app.extensions["jwt_authz"].accounts
    allowed = []
    for _ in range(STEPS):
        model = Model(roles, users_of(chance))
        for who, names in model.users.items():
            accounts.set_roles(who, names)
            accounts.enable(who)
        actor, who = chance.choice(sorted(model.users)), chance.choice(sorted(model.users))
        wanted = model.users[who] ^ set(chance.sample(NAMES, chance.randint(1, 2)))
        mine = model.users[actor]
        if chance.random() < 0.5:
            expected = model.may_disable(actor, who)
            given = asked(app, mine, actor, f"{who}/disabled", {"disabled": True})
        else:
            expected = model.may_give(actor, who, wanted)
            given = asked(app, mine, actor, f"{who}/roles", {"roles": sorted(wanted)})
        assert given == expected, (model.roles, model.users, actor, who, wanted)
        allowed.append(given)
    assert 3 <= sum(allowed) <= STEPS - 3
    close(app)
