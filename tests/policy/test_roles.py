"""Role and Roles: inclusion, levels, and the checks of a catalog."""

import os
import re
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest

from jwt_authz import Identity, MisuseError, Permission, Role, Roles
from jwt_authz.policy.permissions import PermissionSet
from tests.cases import Dice, library_roles
from tests.steps import steps_of

SHOP = Roles(
    Role("clerk", "orders:read"),
    Role("manager", "orders:*", includes="clerk", level=1),
    Role("owner", "*:*", includes=["manager", "auditor"], level=2),
    Role("auditor", "books:read"),
)


def test_a_catalog_agrees_with_the_reference_model() -> None:
    for seed in range(500):
        dice = Dice(seed)
        plain = dice.catalog()
        roles = library_roles(plain)
        names = dice.person().roles
        assert roles.with_included(names) == plain.held(names), plain
        assert set(roles.permissions_of(names)) == plain.granted(names), plain
        assert roles.level_of(names) == plain.level(names), plain
        assert set(roles.permissions) == plain.granted(plain.roles), plain


def test_a_role_has_the_permissions_of_its_included_roles() -> None:
    assert SHOP.with_included(["manager"]) == {"manager", "clerk"}
    assert SHOP.with_included(["owner"]) == {"owner", "manager", "clerk", "auditor"}
    assert SHOP.with_included(["clerk"]) == {"clerk"}
    assert set(SHOP.permissions_of(["manager"])) == {"orders:*", "orders:read"}
    assert "books:read" not in SHOP.permissions_of(["manager"])
    assert SHOP.with_included([]) == frozenset()


def test_an_unknown_name_grants_nothing_and_is_left_out() -> None:
    assert SHOP.with_included(["ghost", "clerk"]) == {"clerk"}
    assert SHOP.permissions_of(["ghost"]) == PermissionSet()
    assert SHOP.level_of(["ghost"]) == 0


def test_each_set_of_roles_has_its_own_answer() -> None:
    """SECURITY 1.21."""
    for _ in range(2):  # first computed, then cached
        for names, held in (
            (["clerk"], {"orders:read"}),
            (["auditor"], {"books:read"}),
            (["clerk", "auditor"], {"orders:read", "books:read"}),
            ([], set()),
        ):
            assert set(SHOP.permissions_of(names)) == held
            assert SHOP.with_included(names) == frozenset(names)


def test_more_combinations_than_the_cache_holds_are_correct_and_bounded_in_memory() -> None:
    roles = Roles(*(Role(f"r{n}", f"thing{n}:read") for n in range(3)))

    def ask(numbers: range) -> None:
        for number in numbers:
            names = [f"r{number % 3}", f"ghost{number}"]
            assert set(roles.permissions_of(names)) == {f"thing{number % 3}:read"}

    ask(range(10_000))
    tracemalloc.start()
    ask(range(10_000, 14_000))
    before = tracemalloc.get_traced_memory()[0]
    ask(range(14_000, 40_000))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4_000_000


# Cycles and unknown names


@pytest.mark.parametrize(
    "roles",
    [
        (Role("a", includes="a"),),
        (Role("a", includes="b"), Role("b", includes="a")),
        (Role("a", includes="b"), Role("b", includes="c"), Role("c", includes="a")),
        (Role("x"), Role("a", includes=["x", "b"]), Role("b", includes=["x", "a"])),
        (Role("top", includes="a"), Role("a", includes="b"), Role("b", includes="a")),
    ],
    ids=lambda roles: ", ".join(role.name for role in roles),
)
def test_roles_that_include_each_other_are_refused_and_the_cycle_is_reported(
    roles: tuple[Role, ...],
) -> None:
    with pytest.raises(
        MisuseError, match=r"Roles include each other: (\w+)( > \w+)* > \1\.$"
    ) as info:
        Roles(*roles)
    cycle = str(info.value).partition(": ")[2].rstrip(".").split(" > ")
    includes = {role.name: role.includes for role in roles}
    assert all(below in includes[above] for above, below in pairwise(cycle))


def test_a_role_reached_in_two_ways_is_not_a_cycle() -> None:
    roles = Roles(
        Role("top", includes=["left", "right"]),
        Role("left", includes="bottom"),
        Role("right", includes=["bottom", "left"]),
        Role("bottom", "a:b"),
    )
    assert roles.with_included(["top"]) == {"top", "left", "right", "bottom"}


def test_a_role_may_include_one_that_comes_later() -> None:
    roles = Roles(Role("manager", includes="clerk"), Role("clerk", "orders:read"))
    assert "orders:read" in roles.permissions_of(["manager"])


def test_including_an_unknown_role_raises_with_what_to_add() -> None:
    message = "Role 'manager' includes the unknown role 'clark': add Role('clark', ...)"
    with pytest.raises(MisuseError, match=re.escape(message)):
        Roles(Role("clerk"), Role("manager", includes=["clerk", "clark"]))


def test_two_roles_with_the_same_name_raise() -> None:
    with pytest.raises(MisuseError, match="Two roles have the name 'a'"):
        Roles(Role("a", "x:y"), Role("a", "x:y"))


def test_a_chain_ten_thousand_deep_is_built_and_followed_to_its_end() -> None:
    """SECURITY F12."""
    depth = 10_000
    chain = [Role("r0", "deep:read", level=3)]
    chain += [Role(f"r{n}", includes=f"r{n - 1}") for n in range(1, depth)]
    for order in (chain, chain[::-1]):
        roles = Roles(*order)
        top = [f"r{depth - 1}"]
        assert "deep:read" in roles.permissions_of(top)
        assert len(roles.with_included(top)) == depth
        assert roles.level_of(top) == 3
        identity = Identity("s", roles=top, catalogue=roles)  # type: ignore[arg-type]
        assert identity.has_role("r0")


def test_a_cycle_ten_thousand_long_is_refused() -> None:
    """SECURITY F12."""
    depth = 10_000
    with pytest.raises(MisuseError, match="include each other"):
        Roles(*(Role(f"r{n}", includes=f"r{(n + 1) % depth}") for n in range(depth)))


def diamonds(count: int) -> Roles:
    """Return roles in which each reaches the one two below in two ways: 2**count paths."""
    roles = [Role("0", "bottom:read")]
    for floor in range(1, count + 1):
        sides = [Role(f"{floor}{side}", includes=str(floor - 1)) for side in "ab"]
        roles += [*sides, Role(str(floor), includes=[side.name for side in sides])]
    return Roles(*roles)


def test_two_to_the_thirtieth_paths_through_the_inclusions_cost_no_more_than_the_roles() -> None:
    """SECURITY 2.53, F12."""
    assert steps_of(lambda: diamonds(30).with_included(["30"])) < 91 * 1_000
    roles = diamonds(30)
    assert "bottom:read" in roles.permissions_of(["30"])
    assert len(roles.with_included(["30"])) == 91


def test_building_takes_steps_and_memory_in_proportion_to_the_roles() -> None:
    def cost(floors: int) -> tuple[int, int]:
        steps = steps_of(lambda: diamonds(floors).permissions_of([str(floors)]))
        tracemalloc.start()
        kept = diamonds(floors)
        kept.permissions_of([str(floors)])
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return steps, size

    (small, small_size), (large, large_size) = cost(100), cost(800)
    assert large < 8 * 1.2 * small
    assert large_size < 8 * 1.5 * small_size


# Levels


def test_a_level_is_the_highest_of_the_roles_included_ones_counted_and_else_zero() -> None:
    roles = Roles(
        Role("guest", level=0),
        Role("user", level=1, includes="guest"),
        Role("admin", level=2),
        Role("deputy", includes="admin"),
        Role("visitor"),
    )
    for names, level in (
        ([], 0),
        (["guest"], 0),
        (["user"], 1),
        (["user", "admin", "guest"], 2),
        (["deputy"], 2),
        (["deputy", "user"], 2),
        (["visitor"], 0),
        (["ghost"], 0),
    ):
        assert roles.level_of(names) == level, names
        assert Identity("s", roles=names, catalogue=roles).level == level  # type: ignore[arg-type]


def test_a_named_level_is_that_of_a_role_with_a_level() -> None:
    assert SHOP.level_named("manager") == 1
    with pytest.raises(MisuseError, match="Unknown level 'ghost'"):
        SHOP.level_named("ghost")
    with pytest.raises(
        MisuseError, match=r"role 'clerk' has no level: write Role\('clerk', level="
    ):
        SHOP.level_named("clerk")


def test_a_role_with_a_low_level_that_includes_a_high_one_names_its_own_level() -> None:
    roles = Roles(Role("admin", level=5), Role("deputy", includes="admin", level=1))
    assert roles.level_named("deputy") == 1
    assert roles.level_of(["deputy"]) == 5


@pytest.mark.parametrize("level", ["1", 1.5, True, False, (1,)])
def test_a_level_that_is_not_an_integer_raises(level: Any) -> None:
    with pytest.raises(MisuseError, match="Role 'a': invalid level"):
        Role("a", level=level)


# What a catalog knows


def test_a_permission_is_known_if_a_role_grants_it_or_a_wildcard_covers_it() -> None:
    roles = Roles(Role("a", "article:read"), Role("b", "comment:*"))
    for known in ("article:read", "comment:write", "comment:*"):
        assert roles.knows(Permission.parse(known)), known
    for unknown in ("article:write", "articles:read", "user:read", "user:*"):
        assert not roles.knows(Permission.parse(unknown)), unknown
    assert not Roles().knows(Permission("article", "read"))
    assert Roles(Role("root", "*:*")).knows(Permission("any", "thing"))


# The values


def test_a_catalog_is_a_mapping_of_names_to_roles_and_cannot_be_changed() -> None:
    assert list(SHOP) == ["clerk", "manager", "owner", "auditor"]
    assert len(SHOP) == 4
    assert "clerk" in SHOP and "ghost" not in SHOP
    assert SHOP["manager"].level == 1
    with pytest.raises(TypeError):
        SHOP["clerk"] = Role("clerk", "*:*")  # type: ignore[index]
    with pytest.raises(TypeError):
        del SHOP["clerk"]  # type: ignore[attr-defined]


def test_a_role_cannot_be_changed_after_it_was_made() -> None:
    role = Role("clerk", "orders:read")
    for attribute, value in (
        ("permissions", (Permission("*", "*"),)),
        ("includes", ("owner",)),
        ("level", 9),
        ("name", "owner"),
    ):
        with pytest.raises(AttributeError):
            setattr(role, attribute, value)


def test_roles_are_equal_by_content() -> None:
    assert Role("a", "x:y", includes="b", level=1) == Role("a", "x:y", includes=["b"], level=1)
    assert Role("a", "x:y") != Role("a", "x:z")
    assert Role("a", level=1) != Role("a", level=2)


def test_changing_the_list_of_includes_does_not_change_the_role() -> None:
    includes = ["clerk"]
    role = Role("manager", includes=includes)
    includes.append("owner")
    assert role.includes == ("clerk",)


@pytest.mark.parametrize("name", ["", " ", "\t", None, 1, b"clerk"])
def test_a_role_needs_a_name(name: Any) -> None:
    with pytest.raises(MisuseError, match="Invalid role name"):
        Role(name)


@pytest.mark.parametrize("permission", ["orders", "orders:read:now", None, 1, ["orders:read"]])
def test_an_invalid_permission_of_a_role_raises(permission: Any) -> None:
    with pytest.raises(MisuseError, match="Invalid permission"):
        Role("clerk", "orders:read", permission)


@pytest.mark.parametrize(
    "includes", [Role("clerk"), 1, [Role("clerk")], [["clerk"]]], ids=["role", "1", "roles", "list"]
)
def test_includes_that_are_not_names_are_a_misuse(includes: Any) -> None:
    with pytest.raises(MisuseError):
        Roles(Role("clerk"), Role("manager", includes=includes))


@pytest.mark.parametrize("value", ["clerk", None, {"clerk": []}, Role])
def test_a_catalog_takes_only_roles(value: Any) -> None:
    with pytest.raises(MisuseError, match="takes Role objects"):
        Roles(value)


def test_the_reprs_of_roles_and_catalogs_read_like_their_source() -> None:
    role = Role("manager", "orders:*", Permission("a", "b"), includes="clerk", level=1)
    assert repr(role) == "Role('manager', 'orders:*', 'a:b', includes=['clerk'], level=1)"
    assert (
        repr(Roles(Role("clerk"), Role("a", level=0))) == "Roles(Role('clerk'), Role('a', level=0))"
    )


# The fingerprint


def test_permissions_are_sorted_and_unique() -> None:
    roles = Roles(Role("b", "z:a", "a:b"), Role("a", "a:b", "a:*", includes="b"), Role("c"))
    assert roles.ordered_permissions == ("a:*", "a:b", "z:a")
    assert Roles().ordered_permissions == ()


def test_a_fingerprint_does_not_depend_on_how_the_catalog_is_written() -> None:
    said = Roles(Role("a", "x:y", "p:q"), Role("b", "x:z", includes=["a", "c"]), Role("c"))
    for other in (
        Roles(Role("c"), Role("b", "x:z", includes=["c", "a"]), Role("a", "p:q", "x:y")),
        Roles(
            Role("a", "x:y", "p:q", "x:y"), Role("b", "x:z", includes=["a", "c", "a"]), Role("c")
        ),
        Roles(Role("a", "x:y", "p:q", level=3), Role("b", "x:z", includes=["a", "c"]), Role("c")),
    ):
        assert other.fingerprint == said.fingerprint
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", said.fingerprint)


def test_a_fingerprint_changes_with_roles_inclusions_and_permissions() -> None:
    catalogs = [
        Roles(),
        Roles(Role("a")),
        Roles(Role("b")),
        Roles(Role("a"), Role("b")),
        Roles(Role("a"), Role("b", includes="a")),
        Roles(Role("a", includes="b"), Role("b")),
        Roles(Role("a", "x:y"), Role("b")),
        Roles(Role("a"), Role("b", "x:y")),
        Roles(Role("a", "x:y"), Role("b", "x:y")),
        Roles(Role("a", "x:y"), Role("b", includes="a")),
        Roles(Role("a", "x:*"), Role("b", includes="a")),
        Roles(Role("a", "x:y", "x:z"), Role("b")),
        Roles(Role("a", "x:y"), Role("b", "x:z")),
        Roles(Role('a", [], [])'), Role("b")),
    ]
    found = [roles.fingerprint for roles in catalogs]
    assert len(set(found)) == len(found)


@pytest.mark.slow
def test_a_fingerprint_is_the_same_in_every_process() -> None:
    code = (
        "from jwt_authz import Role, Roles;"
        "print(Roles(Role('\\u00e4', 'a:b', 'c:d'), Role('b', includes='\\u00e4')).fingerprint)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    here = Roles(Role("\u00e4", "a:b", "c:d"), Role("b", includes="\u00e4")).fingerprint
    assert found == {here}
