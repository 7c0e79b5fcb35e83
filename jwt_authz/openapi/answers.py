"""The responses of a guarded operation that refuses a request, as OpenAPI components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PROBLEM = "AuthzProblem"
_CHALLENGE = {
    "description": "How to authenticate (RFC 6750 section 3).",
    "schema": {"type": "string"},
}
_RETRY = {"description": "Seconds to wait before a retry.", "schema": {"type": "integer"}}
_TEXT = {"type": "string"}
_URI = {"type": "string", "format": "uri-reference"}

_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": _URI,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": {**_URI, "description": "A reference that the log repeats."},
        "error": {**_TEXT, "description": "The error code of RFC 6750 section 3.1."},
        "required": {"type": "object", "description": "The tree of reasons, if it is included."},
    },
}
_ANSWERS = {
    "401": ("AuthzNotIdentified", "The token is missing or invalid.", "WWW-Authenticate"),
    "403": ("AuthzNotAllowed", "The caller is not allowed to do this.", "WWW-Authenticate"),
    "503": ("AuthzUnavailable", "Authorization is temporarily unavailable.", "Retry-After"),
}


def refer_to(statuses: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return references to the refusals, by status."""
    return {
        status: {"$ref": f"#/components/responses/{_ANSWERS[status][0]}"} for status in statuses
    }


def components_for(statuses: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the components that `refer_to` refers to, by kind and name."""
    responses = {}
    for status in statuses:
        name, description, header = _ANSWERS[status]
        content = {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}
        responses[name] = {
            "description": description,
            "headers": {header: dict(_RETRY if header == "Retry-After" else _CHALLENGE)},
            "content": {"application/problem+json": content},
        }
    return {"responses": responses, "schemas": {PROBLEM: _SCHEMA} if responses else {}}
