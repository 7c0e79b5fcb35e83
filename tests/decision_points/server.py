"""A policy server that speaks AuthZEN 1.0 with a policy of its own, and that can misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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


class PolicyServer:
    """Answers on a port of this machine inside a `with` block; `asked` are the bodies it got."""

    def __init__(self) -> None:
        outer = self
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.ends = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body))
                outer.headers.append(dict(self.headers))
                if outer.answer is not None:
                    outer.answer(self)
                elif self.path == "/access/v1/evaluation":
                    send(self, json.dumps(policy(body)))
                else:
                    found = [policy({**body, **one}) for one in body["evaluations"]]
                    send(self, json.dumps({"evaluations": found}))

            do_GET = do_POST

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that went away, as it is meant to

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> PolicyServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ends.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.asked]

    def sends(self, body: str, status: int = 200, **headers: str) -> None:
        """Answer every question with this."""
        self.answer = lambda handler: send(handler, body, status, **headers)

    def is_silent(self, handler: BaseHTTPRequestHandler) -> None:
        self.ends.wait(30)

    def drips(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte of the body now and then, for as long as the server lives."""
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not self.ends.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    def hangs_up(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.close()


def send(handler: BaseHTTPRequestHandler, body: str, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body.encode())))
    handler.end_headers()
    handler.wfile.write(body.encode())
