"""A few pages behind a session log-in: links that show and hide, and a server that refuses.

    python -m examples.pages          # prints the log-ins, and where to look
    flask --app examples.pages authz check

A browser that is not logged in is sent to the log-in page and back; one that may not do something
is sent home with a message. A client that asks for JSON gets a problem. It needs the extra
`accounts`. `FLASK_SECRET_KEY` signs the sessions; without it a key is generated at the start.
"""

from __future__ import annotations

from secrets import token_hex

from flask import Flask

from jwt_authz import Authz, has_level
from jwt_authz.contrib.browser import browser_pages

from . import articles, control, people
from .roles import roles


def create_app() -> Flask:
    """The application, checked."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = token_hex(32)
    # A form on another site does not act in the name of who is logged in here.
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config.from_prefixed_env()
    app.config["SECRET_KEY"] = str(app.config["SECRET_KEY"])  # digits alone come as a number
    authz = Authz(
        app,
        roles=roles,
        default="deny",
        abort=browser_pages(login="people.log_in", home="articles.home"),
    )
    authz.identity_loader(people.current_person)
    app.jinja_env.globals["has_level"] = has_level  # {% if allowed(has_level("admin")) %}
    for page in (people, articles, control):
        app.register_blueprint(page.blueprint)
    with app.app_context():
        authz.check()
    return app
