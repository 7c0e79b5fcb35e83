"""The control room: one guard on the blueprint, for all that is in it."""

from flask import Blueprint, render_template

from jwt_authz import guard, has_level

from .people import accounts, passwords

blueprint = Blueprint("control", __name__, url_prefix="/control")
guard(blueprint, has_level("admin"))


@blueprint.get("/")
def overview() -> str:
    return render_template("control.html", users=[accounts.find(email) for email in passwords])
