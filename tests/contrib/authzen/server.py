"""A policy server that speaks AuthZEN 1.0 with a policy of its own, and that can misbehave."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.foreign import WebServer, send


def policy(asked: dict[str, Any]) -> dict[str, Any]:
    """Editors edit everything but article 13; everybody reads their own."""
    subject, resource = asked["subject"], asked["resource"]
    roles = subject.get("properties", {}).get("roles", [])
    if asked["action"]["name"] == "edit":
        allowed = "editor" in roles and resource["id"] != "13"
    else:
        allowed = resource.get("properties", {}).get("owner") == subject["id"]
    if allowed:
        return {"decision": True}
    return {"decision": False, "context": {"reason_admin": {"en": "not by\r\nthis policy" * 50}}}


class PolicyServer(WebServer):
    """Answers on a port of this machine inside a `with` block; `asked` are the bodies it got."""

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(certificate)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def paths(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.asked]

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.asked.append((handler.path, body))
        self.headers.append(dict(handler.headers))
        if self.answer is not None:
            self.answer(handler)
        elif handler.path == "/access/v1/evaluation":
            send(handler, json.dumps(policy(body)))
        else:
            found = [policy({**body, **one}) for one in body["evaluations"]]
            send(handler, json.dumps({"evaluations": found}))
