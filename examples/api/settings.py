"""Settings: the environment's `FLASK_*`, and what is generated where they are not set.

| variable | meaning | where it is not set |
| --- | --- | --- |
| `FLASK_JWT_ALGORITHM` | how tokens are signed | HS256 |
| `FLASK_JWT_SECRET_KEY` | the secret of HS256, HS384, HS512 | a random one |
| `FLASK_JWT_PRIVATE_KEY` | the PEM text of the key of RS*, PS*, ES* and EdDSA | a random one |
| `FLASK_JWT_PUBLIC_KEY` | its public half | taken from it |
| `FLASK_DATABASE_URL` | an SQLAlchemy URL | SQLite in a fresh folder, gone at the end |
| `FLASK_AUTHZ_STORE_URL` | where revocations and refresh tokens are kept | in the database |
| `FLASK_AUTHZ_TOKEN_PROFILE` | which access tokens are accepted | at+jwt: those of RFC 9068 |
| `FLASK_DEMO_PASSWORD` | all users' password: 8 characters, not common | random ones |

Every other setting of Flask, Flask-JWT-Extended (`FLASK_JWT_...`) and jwt_authz
(`FLASK_AUTHZ_...`) is taken in the same way.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading

from flask import Config, Flask, abort, current_app, request
from jwt.algorithms import requires_cryptography

from jwt_authz import MisuseError

from .keys import new_private_key, public_key_of

TEXTS = (
    "SECRET_KEY",
    "JWT_ALGORITHM",
    "JWT_SECRET_KEY",
    "JWT_PRIVATE_KEY",
    "JWT_PUBLIC_KEY",
    "JWT_ENCODE_ISSUER",
    "JWT_DECODE_ISSUER",
    "AUTHZ_REALM",
    "AUTHZ_ISSUER",
    "AUTHZ_AUDIENCE",
    "AUTHZ_CLIENT_ID",
    "AUTHZ_STORE_URL",
    "DATABASE_URL",
    "DEMO_PASSWORD",
)


def read_settings(app: Flask) -> None:
    """Read the environment into the application's config, and complete it."""
    config = app.config
    config["MAX_CONTENT_LENGTH"] = 65_536
    config.from_prefixed_env()
    keep_texts(config)
    config.setdefault("AUTHZ_TOKEN_PROFILE", "at+jwt")
    made_up = [*complete_key(config), *complete_database(config)]
    if made_up:
        app.before_request(lambda: refuse_several_workers(made_up))


def keep_texts(config: Config) -> None:
    """Take back what `from_prefixed_env` read as JSON: the password 12345678 is not a number."""
    for name in TEXTS:
        text = os.environ.get(f"FLASK_{name}")
        if text is not None and not isinstance(config[name], str):
            config[name] = text


def complete_key(config: Config) -> list[str]:
    """Generate the key that signs tokens if none is set; return the names of what was generated."""
    algorithm = config["JWT_ALGORITHM"] = config.get("JWT_ALGORITHM") or "HS256"
    made_up = []
    if algorithm in requires_cryptography:
        if not config.get("JWT_PRIVATE_KEY"):
            if config.get("JWT_PUBLIC_KEY"):
                raise MisuseError(
                    "FLASK_JWT_PUBLIC_KEY needs its private half: set "
                    "FLASK_JWT_PRIVATE_KEY, or neither"
                )
            config["JWT_PRIVATE_KEY"] = new_private_key(algorithm)
            made_up = ["FLASK_JWT_PRIVATE_KEY"]
        if not config.get("JWT_PUBLIC_KEY"):
            config["JWT_PUBLIC_KEY"] = public_key_of(config["JWT_PRIVATE_KEY"])
    elif not (config.get("JWT_SECRET_KEY") or config["SECRET_KEY"]):
        config["JWT_SECRET_KEY"] = secrets.token_hex(64)
        made_up = ["FLASK_JWT_SECRET_KEY"]
    return made_up


def complete_database(config: Config) -> list[str]:
    """Choose a database and a store if none is set; return the names of what was generated."""
    made_up = []
    if not config.get("DATABASE_URL"):
        folder = tempfile.mkdtemp(prefix="jwt_authz-example-")
        remove_at_exit(folder)
        config["DATABASE_URL"] = f"sqlite:///{folder}/api.db"
        made_up = ["FLASK_DATABASE_URL"]
    config["DATABASE_URL"] = with_driver(config["DATABASE_URL"])
    config["AUTHZ_STORE_URL"] = config.get("AUTHZ_STORE_URL") or config["DATABASE_URL"]
    return made_up


def remove_at_exit(folder: str) -> None:
    """Remove a folder at the end of this process, also when a signal ends it."""
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # and not at the end of a worker that was forked from it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, lambda number, _: sys.exit(128 + number))


def with_driver(url: str) -> str:
    """A database's URL, with the driver that the example uses for PostgreSQL."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


def refuse_several_workers(made_up: list[str]) -> None:
    """Refuse requests if each worker has generated its own key or database."""
    if request.environ.get("wsgi.multiprocess"):
        current_app.logger.error("several workers need %s to be set", " and ".join(made_up))
        abort(500)
