"""Connexion: the Flask application inside a Connexion one, for commands and tests.

Connexion adds its routes when the first request arrives, and a view only runs below its middleware.
So `flask authz check` would see no routes, and Flask's test client could not call them.
"""

from __future__ import annotations

from typing import Any

from a2wsgi import ASGIMiddleware
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import run_wsgi_app


def flask_app(connexion_app: Any) -> Flask:
    """Return the Flask application of a `connexion.FlaskApp`, with the routes of all its APIs.

    Call it after the last `add_api`. Use what it returns for `flask --app`, `access_cases` and
    `authz_client`: the requests of its test client go through Connexion.
    """
    app: Flask = connexion_app.app
    middleware = connexion_app.middleware
    if middleware.middleware_stack is None:
        middleware.app, middleware.middleware_stack = middleware._build_middleware_stack()
    through_connexion: Any = ASGIMiddleware(connexion_app)

    class Client(FlaskClient):
        def run_wsgi_app(self, environ: Any, buffered: bool = False) -> Any:
            return run_wsgi_app(through_connexion, environ, buffered)

    app.test_client_class = Client
    return app
