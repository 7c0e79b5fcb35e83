"""`python -m examples.pages`: serve the pages, and print who can log in."""

from __future__ import annotations

import argparse

from werkzeug.serving import make_server

from . import create_app
from .people import passwords


def main() -> None:
    parser = argparse.ArgumentParser("python -m examples.pages", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001, help="0 takes one that is free")
    options = parser.parse_args()
    server = make_server(options.host, options.port, create_app(), threaded=True)
    print(f"Open http://{options.host}:{server.port}/ and log in as one of these:\n")
    for email, password in passwords.items():
        print(f"  {email}  {password}")
    print(flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
