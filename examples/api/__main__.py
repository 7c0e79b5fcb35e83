"""`python -m examples.api`: serve the API, and print three requests to paste into a shell."""

from __future__ import annotations

import argparse
import json
import sys

from flask import Flask
from werkzeug.serving import make_server

from jwt_authz import MisuseError

from . import create_app
from .seed import announce


def main() -> None:
    parser = argparse.ArgumentParser("python -m examples.api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000, help="0 takes one that is free")
    options = parser.parse_args()
    try:
        app = create_app(new_passwords=True)
    except MisuseError as error:
        sys.exit(f"This cannot start: {error}")
    server = make_server(options.host, options.port, app, threaded=True)
    host = f"[{options.host}]" if ":" in options.host else options.host
    announce(app)
    print("\nTry these: no token, a token that does not allow it, one that does.\n")
    print(*curl_lines(app, f"http://{host}:{server.port}"), sep="\n", flush=True)
    server.serve_forever()


def curl_lines(app: Flask, url: str) -> tuple[str, str, str]:
    """Shell lines that are answered 401, 403 and 200; the latter two log in on their way."""
    passwords = app.extensions["demo_passwords"]

    def as_user(name: str) -> str:
        return f"""-H "Authorization: Bearer $({log_in(url, name, passwords[name])})\""""

    ask = f"curl -si '{url}/reports'"
    return ask, f"{ask} {as_user('viewer')}", f"{ask} {as_user('editor')}"


def log_in(url: str, username: str, password: str) -> str:
    """A shell command that prints an access token."""
    body = json.dumps({"username": username, "password": password})
    for special in "'!":  # the ends of a quoted text, and bash's history
        body = body.replace(special, f"\\u{ord(special):04x}")
    send = f"-H 'Content-Type: application/json' -d '{body}'"
    pick = r"""sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p'"""
    return f"curl -s '{url}/token' {send} | {pick}"


if __name__ == "__main__":
    main()
