"""A small publishing API for two tenants: who may read and write what, decided by jwt_authz.

    python -m examples.api            # a database in a fresh folder, and curl lines to try
    gunicorn examples.api:app         # one worker; passwords are printed at the start
    flask --app examples.api authz check

The tenants are two publishing houses, `north` and `south`; nothing of one is shown to the other.
`viewer`, `editor` and `admin` are of north, `viewer.south`, `editor.south` and `admin.south` of
south. `operator` is of neither: an admin of all users, and of no articles.

The admin page is at `/admin/`, for users with the role `admin`.

Settings are the environment's `FLASK_*`, see `settings`. What is not set is generated at the start:
the key that signs tokens, the database, the passwords. For several workers, and to keep tokens
and articles over a restart, set the first two (for asymmetric keys `FLASK_JWT_PRIVATE_KEY` in
place of the secret). Without them several workers answer 500, and the log says why. Revocations
and refresh tokens are kept in the database too, or in Redis:

    export FLASK_JWT_SECRET_KEY=... FLASK_DATABASE_URL=postgresql://...
    export FLASK_AUTHZ_STORE_URL=redis://...
    gunicorn --workers 4 examples.api:app

A store that is set beside a database of an earlier start is new to it: say so once, by
`flask --app examples.api authz init`. A database from before there were tenants is of no use:
take a new one.

It needs the extras `accounts` and `sqlalchemy`, `redis` for Redis, `crypto` for asymmetric keys,
and a driver for PostgreSQL: `pip install 'jwt_authz[accounts,crypto,redis,sqlalchemy]'
'psycopg[binary]'`.
"""

from __future__ import annotations

from flask import Flask
from jwt.algorithms import requires_cryptography

from jwt_authz import Authz, has_role
from jwt_authz.admin import AdminAccounts, admin_page_blueprint
from jwt_authz.endpoints import (
    key_set_blueprint,
    password_blueprint,
    permissions_blueprint,
    refresh_blueprint,
    token_blueprint,
)

from .admin import admin
from .articles import articles
from .errors import answer_with_problems
from .me import me
from .models import Change, User, connect
from .reports import reports
from .roles import roles
from .rules import add_rules
from .seed import announce, seed
from .settings import read_settings
from .tenants import tenants


def create_app(new_passwords: bool = False) -> Flask:
    """The application, checked, its database seeded; `new_passwords` for users of an earlier start.

    Raises `MisuseError` for settings that cannot work.
    """
    app = Flask(__name__, static_folder=None)
    read_settings(app)
    accounts = AdminAccounts(connect(app), User, Change)
    authz = Authz(
        app,
        roles=roles,
        accounts=accounts,
        default="deny",  # a view of which nothing was said is refused
    )
    add_rules(authz)
    for page in (token_blueprint(), refresh_blueprint(), password_blueprint()):
        app.register_blueprint(page)
    for page in (permissions_blueprint(), me, articles, reports, tenants, admin):
        app.register_blueprint(page)
    app.register_blueprint(admin_page_blueprint(has_role("admin")))
    if app.config["JWT_ALGORITHM"] in requires_cryptography:
        app.register_blueprint(key_set_blueprint())
    answer_with_problems(app)
    with app.app_context():
        authz.check()
        seed(app, new_passwords)
    return app


def __getattr__(name: str) -> Flask:
    """`examples.api.app`: made when a server or the `flask` command asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = globals()["app"] = create_app()
    announce(app)
    return app
