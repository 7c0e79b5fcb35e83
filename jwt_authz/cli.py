"""The commands `flask authz ...`."""

from __future__ import annotations

import sys

import click
from flask import current_app
from flask.cli import AppGroup

from .extension import Authz, bare
from .matrix import read_matrix
from .parts import current_parts

authz = AppGroup("authz", help="Look after who may do what.")


@authz.command("check")
def check() -> None:
    """Exit 1 for misuse and for views of which nothing was said; say what to write."""
    current_parts()  # no Authz: say so
    extension: Authz = current_app.extensions["jwt_authz"]
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    errors, warnings = extension.findings()
    errors += [bare(access) for access in read_matrix(app) if access.is_bare]
    for text in warnings:
        click.echo(f"warning: {text}")
    for text in dict.fromkeys(errors):
        click.echo(f"error: {text}", err=True)
    if errors:
        sys.exit(1)
    click.echo("every view has a guard, or is exempt")
