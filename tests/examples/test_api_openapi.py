"""openapi/api.json and the routes of the example say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jwt_authz.inspection.matrix import Access, read_matrix

DOCUMENT = json.loads(
    (Path(__file__).resolve().parents[2] / "openapi" / "api.json").read_text(encoding="utf-8")
)
KEYS = ("GET", "/.well-known/jwks.json")
PAGE = "jwt_authz_admin_page."
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Each operation of the document, with the parameters of its path, by method and path."""
    return {
        (method.upper(), path): {**item[method], "parameters": parameters(item, item[method])}
        for path, item in DOCUMENT["paths"].items()
        for method in METHODS & set(item)
    }


def parameters(*holders: dict[str, Any]) -> list[dict[str, Any]]:
    return [resolved(one) for holder in holders for one in holder.get("parameters", [])]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a part of the document is or, where it is a reference, refers to."""
    if "$ref" not in part:
        return part
    found = DOCUMENT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def path_of(rule: str) -> str:
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule)


@pytest.fixture
def accesses(api: Any) -> dict[tuple[str, str], Access]:
    """Each route of the example's API, by method and path."""
    return by_place(api)


def by_place(api: Any) -> dict[tuple[str, str], Access]:
    """The routes without those of the admin page, which answers with HTML."""
    found = [one for one in read_matrix(api.app) if not one.endpoint.startswith(PAGE)]
    return {(one.method, path_of(one.rule)): one for one in found}


def test_every_route_is_documented_and_every_operation_is_a_route(
    accesses: dict[tuple[str, str], Access],
) -> None:
    assert set(operations()) - {KEYS} == set(accesses)


def test_the_key_set_is_a_route_where_the_algorithm_is_asymmetric(start: Any) -> None:
    api = start(JWT_ALGORITHM="ES256")
    assert set(by_place(api)) == set(operations())
    answer = api.ask("nobody", "GET", KEYS[1])
    reported = resolved(operations()[KEYS]["responses"]["200"])
    assert fits(answer.json, content(reported, "application/jwk-set+json"))
    assert len(answer.json["keys"]) == 1


def test_each_guarded_operation_wants_a_token_and_says_401_and_403(
    accesses: dict[tuple[str, str], Access],
) -> None:
    for place, operation in operations().items():
        if place == KEYS:
            continue
        if accesses[place].guards:
            (entry,) = operation["security"]
            assert set(entry) == {"bearerAuth"}, place
            for status in ("401", "403"):
                answer = resolved(operation["responses"][status])
                assert set(answer["content"]) == {"application/problem+json"}, place
                assert "WWW-Authenticate" in answer["headers"], place
        else:
            assert accesses[place].exempt, place
            assert operation["security"] == [], place


def test_each_path_parameter_is_documented_as_what_it_is(api: Any) -> None:
    rules = [one for one in api.app.url_map.iter_rules() if not one.endpoint.startswith(PAGE)]
    for rule in rules:
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            reported = operations()[method, path_of(rule.rule)]["parameters"]
            in_path = [one for one in reported if one["in"] == "path"]
            assert {one["name"] for one in in_path} == rule.arguments
            for one in in_path:
                assert one["required"] is True
                kind = "integer" if one["name"] == "id" else "string"
                assert one["schema"]["type"] == kind


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(references(DOCUMENT))
    for reference in used:
        assert resolved({"$ref": reference})
    defined = {
        f"#/components/{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    assert used == defined


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        part = list(part.values())
    for one in part if isinstance(part, list) else ():
        yield from references(one)


def test_each_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in operations().values()]
    assert len(set(names)) == len(names)


def example_of(api: Any, path: str) -> Any:
    """A body for the operation that has this path."""
    return {
        "/token": {"username": "viewer", "password": "correct horse"},
        "/me/password": {"old_password": "correct horse", "new_password": "correct horse"},
        "/token/refresh": {"refresh_token": api.log_in("viewer").json["refresh_token"]},
        "/token/revoke": {"token": api.log_in("viewer").json["refresh_token"]},
        "/admin/users/{username}/roles": ["viewer"],
        "/admin/revocations": {"subject": api.ask("viewer", "GET", "/me").json["subject"]},
    }.get(path, {"title": "As documented", "body": ""})


@pytest.mark.parametrize("place", sorted(set(operations()) - {KEYS}), ids=" ".join)
def test_each_operation_answers_what_the_document_says(api: Any, place: tuple[str, str]) -> None:
    method, path = place
    operation = operations()[place]
    sent = {}
    if "requestBody" in operation:
        sent["json"] = example_of(api, path)
        for kind in operation["requestBody"]["content"]:
            assert fits(sent["json"], operation["requestBody"]["content"][kind]["schema"])
    url = path.replace("{id}", str(api.write("admin"))).replace("{username}", "viewer")
    url = url.replace("{tenant}", "north")
    answer = api.ask("admin", method, url.replace("{family}", family_of(api)), **sent)
    api.tokens.clear()  # some operations end tokens
    reported = resolved(operation["responses"][str(answer.status_code)])
    if answer.status_code == 204 or not answer.data:
        assert "content" not in reported
    else:
        assert fits(answer.json, content(reported, "application/json"))
    assert set(reported.get("headers", {})) <= set(answer.headers.keys())


def family_of(api: Any) -> str:
    """A log-in of the admin's."""
    api.log_in("admin")
    family: str = api.ask("admin", "GET", "/token/families").json["families"][0]["id"]
    return family


def content(holder: dict[str, Any], kind: str) -> dict[str, Any]:
    assert set(holder["content"]) == {kind}
    schema: dict[str, Any] = holder["content"][kind]["schema"]
    return schema


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is what the document says, as far as types and members go."""
    schema = resolved(schema)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if type(value) not in [TYPES.get(kind, type(None)) for kind in kinds]:
        return False
    if isinstance(value, list):
        return all(fits(item, schema["items"]) for item in value)
    if not isinstance(value, dict):
        return True
    members = schema.get("properties", {})
    if not set(schema.get("required", ())) <= set(value):
        return False
    if schema.get("additionalProperties") is False and not set(value) <= set(members):
        return False
    return all(fits(item, members[name]) for name, item in value.items() if name in members)
