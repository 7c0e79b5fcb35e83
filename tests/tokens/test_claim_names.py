"""The names of claims: each its own, and none that has a meaning already."""

from typing import Any

import pytest

from jwt_authz.tokens.claim_names import RESERVED, ClaimNames, is_claim_name


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_name_that_means_something_else_is_refused(name: str) -> None:
    assert not is_claim_name(name)


@pytest.mark.parametrize("value", ["", None, 1, True, ["roles"], b"roles", {"roles": 1}], ids=repr)
def test_what_is_not_a_text_is_not_a_name(value: Any) -> None:
    assert not is_claim_name(value)


@pytest.mark.parametrize(
    "name", ["roles", "entitlements", "https://shop.example/roles", "cognito:groups", "a.b", "Sub"]
)
def test_any_other_text_can_be_a_name(name: str) -> None:
    assert is_claim_name(name)


def test_a_name_that_two_claims_have_is_found() -> None:
    assert ClaimNames().repeated() is None
    assert ClaimNames(roles="scope").repeated() == "scope"
    assert ClaimNames(tenant="x", permissions="x").repeated() == "x"
