"""Compact permissions: one spelling for each set, and nothing else is read."""

import itertools
import string
from random import Random

import pytest

from jwt_authz import Role, Roles
from jwt_authz.errors import ClaimInvalid
from jwt_authz.tokens.compact import Packed, has_compact_form, pack
from jwt_authz.tokens.encodings import IdentityReader, write_claims
from tests.steps import steps_of

BASE64URL = string.ascii_letters + string.digits + "-_"


def catalog(size: int) -> Roles:
    """A role that grants so many permissions, whose positions are their numbers."""
    return Roles(Role("all", *(f"thing-{number:05}:use" for number in range(size))))


def unpacked(text: str, roles: Roles) -> set[str]:
    return set(Packed.read(text).permissions(roles))


def test_the_claim_is_mark_fingerprint_and_bits_from_the_highest_of_the_first_byte() -> None:
    ten = catalog(10)
    first_and_last = {"thing-00000:use", "thing-00009:use"}
    assert pack(ten, first_and_last, of_roles=False) == f"o.{ten.fingerprint}.gEA"
    assert pack(ten, set(), of_roles=False) == f"o.{ten.fingerprint}.AAA"
    assert pack(ten, ten.permissions, of_roles=True) == f"r.{ten.fingerprint}._8A"


def test_every_set_comes_back_whatever_the_size_of_the_catalog() -> None:
    random = Random(7)
    for size in (*range(40), 63, 64, 65, 2_000):
        roles = catalog(size)
        for _ in range(10):
            held = set(random.sample(roles.ordered_permissions, random.randint(0, size)))
            packed = pack(roles, held, of_roles=bool(size % 2))
            assert unpacked(packed, roles) == held
            assert Packed.read(packed).of_roles is bool(size % 2)


@pytest.mark.parametrize("size", [1, 6, 7, 8, 9, 12])
def test_each_set_has_exactly_one_spelling(size: int) -> None:
    roles = catalog(size)
    length = len(pack(roles, (), of_roles=False).split(".")[2])
    found = set()
    for characters in itertools.product(BASE64URL, repeat=length) if length < 3 else _some(length):
        bits = "".join(characters)
        try:
            held = unpacked(f"o.{roles.fingerprint}.{bits}", roles)
        except ClaimInvalid:
            continue
        assert pack(roles, held, of_roles=False).endswith(f".{bits}")
        found.add(frozenset(held))
    assert length > 2 or len(found) == 2**size


def _some(length: int) -> list[str]:
    random = Random(11)
    return ["".join(random.choices("AgQwEIMUY_8-4", k=length)) for _ in range(2_000)]


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        ("", "length"),
        ("gE", "length"),
        ("gEAA", "length"),
        ("gEA" + 8_000 * "A", "length"),
        ("g", "length"),
        ("gEB", "canonical"),  # a bit in what does not fill a byte
        ("gGA", "beyond"),  # position 10
        ("AAB", "canonical"),
        ("AAE", "beyond"),  # position 15
        ("__8", "beyond"),
    ],
)
def test_bits_that_are_not_set_of_the_catalog_are_refused(bits: str, reason: str) -> None:
    ten = catalog(10)
    for mark in "ro":
        with pytest.raises(ClaimInvalid, match=reason):
            unpacked(f"{mark}.{ten.fingerprint}.{bits}", ten)


MALFORMED = [
    "",
    "r",
    "r.",
    "..",
    "r..",
    "a:b",
    "r.{0}",
    "r.{0}.gEA.",
    "r.{0}.gEA.x",
    "x.{0}.gEA",
    "R.{0}.gEA",
    "ro.{0}.gEA",
    ".{0}.gEA",
    "{0}.gEA",
    "r.{0}x.gEA",
    "r. {0}.gEA",
    " r.{0}.gEA",
    "r.{0}.gEA ",
    "r.{0}.gEA\n",
    "r.{0}.gEA=",
    "r.{0}.g+A",
    "r.{0}.g/A",
    "r.{0}.g\u00c5A",
    "r.{0}.\uff47EA",
    "r.{0}.gE\0",
]


@pytest.mark.parametrize("text", MALFORMED, ids=ascii)
def test_a_text_of_another_form_is_refused_by_every_reader(text: str) -> None:
    ten = catalog(10)
    claim = text.format(ten.fingerprint)
    assert not has_compact_form(claim)
    with pytest.raises(ClaimInvalid):
        Packed.read(claim)
    for encoding in ("full", "roles", "compact"):
        reader = IdentityReader(encoding, ten)  # type: ignore[arg-type]
        with pytest.raises(ClaimInvalid, match="wrong JSON type: permissions"):
            reader.read("u1", {"roles": ["all"], "permissions": claim})


def test_a_refusal_tells_nothing_of_the_claim() -> None:
    ten = catalog(10)
    secret = "c2VjcmV0LXNlY3JldC1z"
    for claim in (f"o.{ten.fingerprint}.{secret}", f"o.{secret[:16]}.gEA", f"x.{secret}"):
        with pytest.raises(ClaimInvalid) as refused:
            IdentityReader("compact", ten).read("u1", {"permissions": claim})
        assert secret[:16] not in str(refused.value)


def test_wildcards_are_positions_like_any_other_permission() -> None:
    roles = Roles(Role("owner", "orders:*"), Role("root", "*:*"), Role("clerk", "orders:read"))
    identity = IdentityReader("compact", roles).read(
        "u1", write_claims("compact", roles, ["owner"])
    )
    assert identity.has_permission("orders:delete")
    assert not identity.has_permission("books:read")


def test_reading_takes_steps_in_proportion_to_the_catalog() -> None:
    def steps(size: int) -> int:
        roles = catalog(size)
        claim = pack(roles, roles.permissions, of_roles=True)
        assert len(unpacked(claim, roles)) == size
        return steps_of(lambda: unpacked(claim, roles))

    assert steps(4_000) < 4 * 1.2 * steps(1_000)
