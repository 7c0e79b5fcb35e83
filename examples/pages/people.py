"""Logging in and out: the session holds an e-mail address, and all else is looked up."""

from __future__ import annotations

import os
from secrets import token_urlsafe

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from jwt_authz import Identity, exempt
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.contrib.browser import next_url

from .roles import roles

blueprint = Blueprint("people", __name__)
accounts = MemoryAccounts()
passwords: dict[str, str] = {}

for _role in roles:
    _email = f"{_role}@example.org"
    passwords[_email] = os.environ.get("FLASK_DEMO_PASSWORD") or token_urlsafe(9)
    accounts.add(_email, passwords[_email], roles=[_role], subject=_email)


def current_person() -> Identity | None:
    """Whose session it is: the identity loader. Roles are those of now, not of the log-in."""
    user = accounts.find(session.get("email", ""))
    if user is None or user.disabled:
        return None
    return Identity(user.subject, roles=user.roles, catalogue=roles)


@blueprint.route("/log-in", methods=["GET", "POST"])
@exempt
def log_in() -> ResponseReturnValue:
    """The form, and what it sends."""
    home = url_for("articles.home")
    if request.method == "GET":
        return render_template("log_in.html", next=next_url(home))
    user = accounts.authenticate(request.form.get("email", ""), request.form.get("password", ""))
    if user is None:
        flash("The e-mail address or the password is wrong.")
        return render_template("log_in.html", next=next_url(home)), 403
    session.clear()
    session["email"] = user.username
    return redirect(next_url(home))


@blueprint.post("/log-out")
@exempt
def log_out() -> ResponseReturnValue:
    """The end of a session."""
    session.clear()
    return redirect(url_for("articles.home"))
