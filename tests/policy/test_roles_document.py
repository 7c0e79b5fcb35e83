"""Catalog files: their format, and errors that name the place."""

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
def test_a_file_gives_the_same_catalog_as_code(tmp_path: Path, name: str, text: str) -> None:
    path = written(tmp_path, name, text)
    for found in (RolesFile(path).load(), RolesFile(str(path)).load()):
        assert dict(found) == dict(WANTED)
        assert found.fingerprint == WANTED.fingerprint


def test_a_byte_order_mark_is_not_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, "roles.json", b"\xef\xbb\xbf" + JSON.encode())
    assert dict(RolesFile(path).load()) == dict(WANTED)


def test_an_empty_catalog_is_valid(tmp_path: Path) -> None:
    assert dict(RolesFile(written(tmp_path, "roles.toml", "[roles]")).load()) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("roles.yaml", "", r"roles\.yaml: .* ends in \.json or \.toml"),
        ("roles.toml", "[roles.clerk\n", r"roles\.toml: .*line 1"),
        ("roles.toml", "[roles.a]\nlevel = 1\nlevel = 2\n", r"roles\.toml: .*line 3"),
        ("roles.json", "{\n  'roles'", r"roles\.json: .*line 2 column 3"),
        ("roles.json", "[" * 100_000, r"roles\.json: the document is nested too deeply"),
        ("roles.json", b"\xff", r"roles\.json: .*position 0"),
        ("roles.json", '{"roles": {"a": {}, "a": {}}}', r"roles\.json: 'a' occurs twice"),
    ],
)
def test_an_unreadable_file_is_reported_with_its_place(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(MisuseError, match=message):
        RolesFile(written(tmp_path, name, text)).load()


def test_a_missing_file_is_a_misuse(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"Cannot read .*roles\.toml: No such file"):
        RolesFile(tmp_path / "roles.toml").load()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Expected one table, roles"),
        ({}, "Expected one table, roles"),
        ({"roles": {}, "users": {}}, "Expected one table, roles"),
        ({"roles": []}, r"as in \[roles\.clerk\]"),
        ({"roles": {"a": []}}, r"roles\.a: expected a table"),
        ({"roles": {"a": {"include": []}}}, r"roles\.a\.include: unknown name, expected one of"),
        (
            {"roles": {"a": {"permissions": 1}}},
            r"roles\.a\.permissions: expected a list of strings",
        ),
        (
            {"roles": {"a": {"permissions": ["x:y", 1]}}},
            r"roles\.a\.permissions\[1\]: expected a string",
        ),
        (
            {"roles": {"a": {"permissions": ["x:y", "x"]}}},
            r"roles\.a\.permissions\[1\]: Invalid permission",
        ),
        ({"roles": {"a": {"includes": {}}}}, r"roles\.a\.includes: expected a list of strings"),
        ({"roles": {"a": {"level": "1"}}}, r"roles\.a\.level: expected an integer"),
        ({"roles": {"a": {"level": True}}}, r"roles\.a\.level: expected an integer"),
        ({"roles": {"a": {"level": 1.5}}}, r"roles\.a\.level: expected an integer"),
        ({"roles": {" ": {}}}, "Invalid role name ' '"),
        ({"roles": {"a": {"includes": "b"}}}, "Role 'a' includes the unknown role 'b'"),
        ({"roles": {"a": {"includes": "a"}}}, "Roles include each other: a > a"),
    ],
)
def test_an_invalid_catalog_is_reported_with_its_place(document: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        Roles.from_document(document)
