"""The applications that the gunicorn benchmark serves, with the key from the environment.

gunicorn calls one of the functions in each worker: `gunicorn 'tests.benchmarks.apps:guarded()'`.
"""

import os

from flask import Flask

from . import contenders
from .common import Setup, TokenMaker

SECRET_VARIABLE = "BENCHMARK_SECRET"
ALGORITHM = "HS256"
TOKEN_BYTES = 700


def token_maker() -> TokenMaker:
    """The same catalog and key in the server and in the program that signs its tokens."""
    settings = {"JWT_ALGORITHM": ALGORITHM, "JWT_SECRET_KEY": os.environ[SECRET_VARIABLE]}
    return TokenMaker(ALGORITHM, TOKEN_BYTES, settings)


def _setup() -> Setup:
    return token_maker().setup


def bare() -> Flask:
    return contenders.bare(_setup())


def token_only() -> Flask:
    return contenders.token_only(_setup())


def guarded() -> Flask:
    return contenders.guarded(_setup())
