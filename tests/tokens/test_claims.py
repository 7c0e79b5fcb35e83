"""PayloadSchema: the JSON types of the claims that become an identity."""

from typing import Any

import pytest

from jwt_authz import InvalidToken
from jwt_authz.errors import ClaimInvalid
from jwt_authz.tokens.claims import check_payload
from jwt_authz.tokens.payload_schema import PayloadSchema

SECRET = "alice@example.org"
LISTS = ("roles", "permissions")
TEXTS = ("scope", "tenant", "catalogue")
NO_LISTS = [None, True, False, 0, 1, 1.5, "admin", "", {}, {"admin": True}, [1], ["a", None]]
NO_LISTS += [["a", ["b"]], [True], [{"a": 1}], [[]], [1.5]]
NO_TEXTS = [None, True, False, 0, 1, 1.5, {}, {"a": 1}, [], ["a"], [["a"]]]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", NO_LISTS, ids=repr)
def test_a_list_of_names_is_a_list_of_strings_and_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(ClaimInvalid, match=f"^wrong JSON type: {name}$"):
        check_payload({"sub": "u1", name: value})


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", NO_TEXTS, ids=repr)
def test_a_text_is_a_string_and_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(ClaimInvalid, match=f"^wrong JSON type: {name}$"):
        check_payload({"sub": "u1", name: value})


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"roles": [], "permissions": [], "scope": "", "tenant": "", "catalogue": ""},
        {"roles": ["a", "a"], "permissions": ["a:b", "junk", ""], "scope": "a b", "tenant": "t"},
        {"roles": ["\u00e4", "a b", "\n"]},
    ],
    ids=repr,
)
def test_each_claim_may_be_missing_or_empty(payload: dict[str, Any]) -> None:
    check_payload(payload)  # it raises ClaimInvalid for others
    assert PayloadSchema().load(payload) == payload


def test_other_claims_pass_whatever_they_are() -> None:
    odd = {"role": 1, "Roles": 1, "ROLES": None, "roles ": {}, "": [], "x.y": 1, "unknown": [None]}
    odd |= {"_schema": "x", "data": {}, "many": True, "\u017fcope": 1}
    check_payload(odd)
    loaded = PayloadSchema().load({**odd, "roles": ["a"]})
    assert loaded == {**odd, "roles": ["a"]}


def test_all_wrong_claims_are_named_and_no_value_is() -> None:
    with pytest.raises(InvalidToken) as info:
        check_payload({"roles": SECRET, "permissions": [1, SECRET], "tenant": [SECRET]})
    assert info.value.detail == "wrong JSON type: permissions, roles, tenant"
    assert SECRET not in str(info.value)
    assert info.value.__cause__ is None
    assert info.value.__context__ is None


def test_a_payload_is_not_changed_by_being_checked() -> None:
    payload = {"roles": ["a"], "scope": "a b", "other": {"x": [1]}}
    check_payload(payload)
    assert payload == {"roles": ["a"], "scope": "a b", "other": {"x": [1]}}
