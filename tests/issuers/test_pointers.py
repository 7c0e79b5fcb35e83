"""JSON Pointers into payloads: what they find, in which types, and which texts are invalid."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_authz.errors import ClaimInvalid, MisuseError
from jwt_authz.issuers import members_of, pointer
from jwt_authz.issuers.pointers import MISSING, Pointer, as_pointers

PAYLOAD: dict[str, Any] = {
    "sub": "ada",
    "realm_access": {"roles": ["clerk", "manager"]},
    "resource_access": {"my.client/two": {"roles": ["buyer"]}},
    "https://example.com/roles": ["auditor"],
    "cognito:groups": ["ops"],
    "a~b": "tilde",
    "~1": "looks escaped",
    "": "no name",
    "list": [{"name": "first"}, {"name": "second"}],
    "nothing": None,
    "number": 7,
    "projects": {"admin": {"4711": "example.com"}, "clerk": {}},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/sub", "ada"),
        ("/realm_access/roles", ["clerk", "manager"]),
        ("/resource_access/my.client~1two/roles", ["buyer"]),
        ("/https:~1~1example.com~1roles", ["auditor"]),
        ("/cognito:groups", ["ops"]),
        ("/a~0b", "tilde"),
        ("/~01", "looks escaped"),
        ("/list/1/name", "second"),
        ("/list/0", {"name": "first"}),
        ("/nothing", None),
    ],
)
def test_a_pointer_finds_what_stands_at_its_place(text: str, found: Any) -> None:
    assert Pointer(text).find(PAYLOAD) == found


@pytest.mark.parametrize(
    "text",
    [
        *("/nobody", "/realm_access/groups", "/Sub", "/sub ", "/realm_access.roles"),
        *("/list/2", "/list/-", "/list/01", "/list/+1", "/list/name", "/list/1000000000"),
    ],
)
def test_a_pointer_to_nothing_finds_nothing(text: str) -> None:
    assert Pointer(text).find(PAYLOAD) is MISSING


@pytest.mark.parametrize("text", ["/sub/roles", "/nothing/roles", "/number/0", "/list/0/name/x"])
def test_a_way_through_a_value_without_members_is_a_claim_of_the_wrong_type(text: str) -> None:
    with pytest.raises(ClaimInvalid, match="is not an object"):
        Pointer(text).find(PAYLOAD)


@pytest.mark.parametrize("names", [("https://example.com/roles",), ("a~b",), ("~1",)])
def test_pointer_escapes_names_so_that_they_are_found_again(names: tuple[str, ...]) -> None:
    assert Pointer(pointer(*names)).names == names
    assert Pointer(pointer(*names)).find(PAYLOAD) == PAYLOAD[names[0]]


def test_pointer_goes_through_the_names_it_is_given() -> None:
    assert pointer("resource_access", "my.client/two", "roles") == (
        "/resource_access/my.client~1two/roles"
    )


@pytest.mark.parametrize("text", ["", "/", "sub", "realm_access.roles", "#/sub", None, 7, ["/sub"]])
def test_what_is_not_a_pointer_is_a_misuse_that_says_what_to_write(text: Any) -> None:
    with pytest.raises(MisuseError, match=r"Invalid JSON Pointer .*: write '/realm_access/roles'"):
        Pointer(text)


@pytest.mark.parametrize("text", ["/a~b", "/a~2", "/a~"])
def test_a_tilde_that_escapes_nothing_is_a_misuse(text: str) -> None:
    with pytest.raises(MisuseError, match="write ~1 for a slash"):
        Pointer(text)


@pytest.mark.parametrize("names", [(), (7,), (None,)])
def test_pointer_needs_names(names: Any) -> None:
    with pytest.raises(MisuseError, match="takes the names of nested members"):
        pointer(*names)


def test_a_string_is_read_as_one() -> None:
    assert Pointer("/sub").string(PAYLOAD) == "ada"
    assert Pointer("/nobody").string(PAYLOAD) is None


@pytest.mark.parametrize("value", [None, 7, True, ["ada"], {"id": "ada"}, 1.5])
def test_another_type_where_a_string_is_wanted_is_refused(value: Any) -> None:
    with pytest.raises(ClaimInvalid, match="the value at /sub is not a string"):
        Pointer("/sub").string({"sub": value})


def test_names_are_a_list_or_one_name_alone() -> None:
    assert list(Pointer("/realm_access/roles").listed(PAYLOAD)) == ["clerk", "manager"]
    assert list(Pointer("/role").listed({"role": "store manager"})) == ["store manager"]
    assert list(Pointer("/nobody").listed(PAYLOAD)) == []


@pytest.mark.parametrize("value", [None, 7, True, ["clerk", 7], [None], {"clerk": 1}, [["clerk"]]])
def test_another_type_where_names_are_wanted_is_refused(value: Any) -> None:
    with pytest.raises(ClaimInvalid, match="the value at /roles is not a list of strings"):
        Pointer("/roles").listed({"roles": value})


def test_words_stand_in_a_string_with_blanks_between_or_in_a_list() -> None:
    assert list(Pointer("/scope").words({"scope": "orders  profile "})) == ["orders", "profile"]
    assert list(Pointer("/scp").words({"scp": ["orders", "profile"]})) == ["orders", "profile"]
    assert list(Pointer("/scope").words({})) == []


@pytest.mark.parametrize("value", [None, 7, {"orders": True}, [1]])
def test_another_type_where_words_are_wanted_is_refused(value: Any) -> None:
    with pytest.raises(ClaimInvalid):
        list(Pointer("/scope").words({"scope": value}))


def test_members_of_takes_the_names_of_an_objects_members() -> None:
    assert set(members_of("/projects").listed(PAYLOAD)) == {"admin", "clerk"}
    assert list(members_of("/nobody").listed(PAYLOAD)) == []


@pytest.mark.parametrize("value", [None, "admin", ["admin"], 7])
def test_members_of_refuses_what_is_not_an_object(value: Any) -> None:
    with pytest.raises(ClaimInvalid, match="is not an object"):
        members_of("/projects").listed({"projects": value})


def test_an_object_is_not_a_list_of_names_unless_members_are_asked_for() -> None:
    with pytest.raises(ClaimInvalid):
        Pointer("/projects").listed(PAYLOAD)


def test_one_place_or_several_are_places() -> None:
    assert as_pointers("/a") == (Pointer("/a"),)
    assert as_pointers(["/a", members_of("/b")]) == (Pointer("/a"), members_of("/b"))
    assert as_pointers(()) == ()


def test_no_message_of_a_refusal_holds_a_claims_value() -> None:
    for read in (Pointer("/a").string, Pointer("/a").listed, Pointer("/a/b").string):
        with pytest.raises(ClaimInvalid) as refused:
            read({"a": 4711})
        assert "4711" not in refused.value.detail
