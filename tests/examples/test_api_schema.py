"""The example under schemathesis: what it answers to generated calls is what its document says.

SECURITY 2.57: all its checks are on, that of ignored authentication included. Calls are signed in
as two roles, each with a token of its own, since some of them end tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "api.json").read_text())


METHODS = {"get", "put", "post", "patch", "delete"}
PHASES = [Phase.generate]
PLACES = [
    (path, method) for path, item in DOCUMENT["paths"].items() for method in METHODS & {*item}
]


def new_token(own_api: Any, role: str) -> str:
    with own_api.app.app_context():
        token: str = own_api.app.extensions["jwt_authz"].issue(role, roles=[role], tenant="north")
    return token


@pytest.fixture(scope="module")
def described(own_api: Any) -> Any:
    """The example, by its document."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = own_api.app
    return schema


ROLES = ("viewer", "admin")


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("path", "method"), sorted(PLACES))
def test_generated_calls_are_answered_as_the_document_says(
    own_api: Any, described: Any, path: str, method: str, role: str
) -> None:
    assert calls_answered(own_api, described[path][method], role, times=10) > 0


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("path", "method"), sorted(PLACES))
def test_many_generated_calls_are_answered_as_the_document_says(
    own_api: Any, described: Any, path: str, method: str, role: str
) -> None:
    assert calls_answered(own_api, described[path][method], role, times=200) > 0


def calls_answered(own_api: Any, operation: Any, role: str, times: int) -> int:
    """How many calls of an operation were answered rightly; raises what schemathesis finds."""
    answered = 0
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(max_examples=times, derandomize=True, deadline=None, database=None, phases=PHASES)
    @given(case=right | wrong)
    def call(case: Any) -> None:
        nonlocal answered
        case.call_and_validate(headers={"Authorization": f"Bearer {new_token(own_api, role)}"})
        answered += 1

    call()
    return answered


def test_all_the_checks_of_schemathesis_are_on() -> None:
    load_all_checks()
    assert {check.__name__ for check in CHECKS.get_all()} == {
        "allow_header_conformance",
        "content_type_conformance",
        "ensure_resource_availability",
        "ignored_auth",
        "missing_required_header",
        "negative_data_rejection",
        "not_a_server_error",
        "object_level_authorization",
        "positive_data_acceptance",
        "response_headers_conformance",
        "response_schema_conformance",
        "status_code_conformance",
        "unsupported_method",
        "use_after_free",
    }


def test_a_view_that_forgets_its_guard_is_found() -> None:
    app = Flask("open")
    app.get("/me")(lambda: {"subject": "ann", "roles": []})
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = app
    case = schema["/me"]["get"].Case()
    with pytest.raises(FailureGroup, match="accepts requests without authentication"):
        case.call_and_validate(headers={"Authorization": "Bearer x"})
