"""A catalogue in a file: what it may hold, and that each error names the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jwt_authz import MisuseError, Role, Roles
from jwt_authz.policy.role_sources import RolesFile

TOML = """
[roles.clerk]
permissions = ["orders:read", "orders:list"]
level = 1

[roles.manager]
permissions = "orders:*"
includes = ["clerk"]

[roles.guest]
"""
JSON = """
{"roles": {
    "clerk": {"permissions": ["orders:read", "orders:list"], "level": 1},
    "manager": {"permissions": "orders:*", "includes": ["clerk"]},
    "guest": {}
}}
"""
WANTED = Roles(
    Role("clerk", "orders:read", "orders:list", level=1),
    Role("manager", "orders:*", includes="clerk"),
    Role("guest"),
)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("name", "text"), [("roles.toml", TOML), ("ROLES.JSON", JSON)])
def test_a_file_holds_the_same_catalogue_as_code(tmp_path: Path, name: str, text: str) -> None:
    path = written(tmp_path, name, text)
    for found in (RolesFile(path).load(), RolesFile(str(path)).load()):
        assert dict(found) == dict(WANTED)
        assert found.fingerprint == WANTED.fingerprint


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = written(tmp_path, "roles.json", b"\xef\xbb\xbf" + JSON.encode())
    assert dict(RolesFile(path).load()) == dict(WANTED)


def test_a_catalogue_without_roles_is_one(tmp_path: Path) -> None:
    assert dict(RolesFile(written(tmp_path, "roles.toml", "[roles]")).load()) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("roles.yaml", "", r"roles\.yaml: .* ends in \.json or \.toml"),
        ("roles.toml", "[roles.clerk\n", r"roles\.toml: .*line 1"),
        ("roles.toml", "[roles.a]\nlevel = 1\nlevel = 2\n", r"roles\.toml: .*line 3"),
        ("roles.json", "{\n  'roles'", r"roles\.json: .*line 2 column 3"),
        ("roles.json", "[" * 100_000, r"roles\.json: it is nested too deeply"),
        ("roles.json", b"\xff", r"roles\.json: .*position 0"),
        ("roles.json", '{"roles": {"a": {}, "a": {}}}', r"roles\.json: 'a' stands twice"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_file_and_place(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(MisuseError, match=message):
        RolesFile(written(tmp_path, name, text)).load()


def test_a_file_that_is_not_there_is_a_misuse(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"roles\.toml cannot be read: No such file"):
        RolesFile(tmp_path / "roles.toml").load()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a catalogue is one table, roles"),
        ({}, "a catalogue is one table, roles"),
        ({"roles": {}, "users": {}}, "a catalogue is one table, roles"),
        ({"roles": []}, r"write \[roles\.clerk\]"),
        ({"roles": {"a": []}}, r"roles\.a is a table"),
        ({"roles": {"a": {"include": []}}}, r"roles\.a\.include: write one of permissions, inc"),
        ({"roles": {"a": {"permissions": 1}}}, r"roles\.a\.permissions is a list of texts"),
        ({"roles": {"a": {"permissions": ["x:y", 1]}}}, r"roles\.a\.permissions\[1\] is no text"),
        ({"roles": {"a": {"permissions": ["x:y", "x"]}}}, r"roles\.a\.permissions\[1\]: 'x' is no"),
        ({"roles": {"a": {"includes": {}}}}, r"roles\.a\.includes is a list of texts"),
        ({"roles": {"a": {"level": "1"}}}, r"roles\.a\.level is a whole number"),
        ({"roles": {"a": {"level": True}}}, r"roles\.a\.level is a whole number"),
        ({"roles": {"a": {"level": 1.5}}}, r"roles\.a\.level is a whole number"),
        ({"roles": {" ": {}}}, "a role needs a name"),
        ({"roles": {"a": {"includes": "b"}}}, "role 'a' includes 'b', which the catalogue lacks"),
        ({"roles": {"a": {"includes": "a"}}}, "roles include each other: a > a"),
    ],
)
def test_what_is_no_catalogue_is_told_with_its_place(document: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        Roles.from_document(document)
