"""The password endpoint: `PUT /me/password` changes the caller's password, given the old one.

This ends all their log-ins and tokens (OWASP ASVS 7.4.3); the response has new ones for the caller.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from marshmallow import RAISE, Schema, fields, validate

from .._context import get_app
from ..accounts import ManagedAccounts, User
from ..application import current_state
from ..errors import MisuseError, PasswordRefused, SubjectUnknown
from ..findings import Found, add_check, misuse_of
from ..guards.verbs import current_identity, requires
from ..logins.changes import Users
from ..policy.problem import token_invalid, too_many_attempts
from ..refusals import ProblemAnswer, unstored
from .bodies import JSON, UnsupportedType, load, read_members
from .common import (
    client_of_request,
    current_logins,
    has_refresh,
    missing_accounts,
    missing_store,
    refuse,
)
from .families import caller
from .login_attempt import Attempt, add_rate_checks

_WANTED = "Send JSON with old_password and new_password."
_BY = "themselves"


class PasswordChange(Schema):
    """The body: `old_password` and `new_password`, both strings."""

    class Meta:
        unknown = RAISE

    old_password = fields.String(required=True, validate=validate.Length(1))
    new_password = fields.String(required=True)


def password_blueprint(url: str = "/me/password") -> Blueprint:
    """Return a blueprint with which logged-in users change their password, with `PUT` at `url`.

    It takes JSON with `old_password` and `new_password`, returns new tokens like a log-in, and ends
    all tokens issued before. A wrong old password gets a 403 and counts as a failed log-in; too
    many get a 429. A new password that cannot be set gets a 422. Needs `AUTHZ_STORE_URL`, and
    accounts that are `ManagedAccounts`.
    """
    blueprint = Blueprint("jwt_authz_password", __name__)
    blueprint.record(_register)
    blueprint.put(url)(requires()(change_password))
    return blueprint


def _register(state: BlueprintSetupState) -> None:
    add_rate_checks(state.app)
    add_check(state.app, "AZ501", missing_accounts)
    add_check(state.app, "AZ502", missing_store)
    add_check(state.app, "AZ504", fixed_passwords)


def fixed_passwords() -> Iterator[Found]:
    """Yield a finding if the accounts of the current application do not support a new password."""
    if current_state().accounts is not None:
        yield from misuse_of(_accounts)


def change_password() -> Response:
    """Change the caller's password, and return new tokens."""
    if request.mimetype != JSON:
        raise UnsupportedType(_WANTED)
    body = load(PasswordChange(), read_members(_WANTED))
    accounts, user = _accounts(), _user()
    tenant = getattr(current_identity, "tenant", None)  # before the change ends the token
    try:
        accounts.check_new_password(body["new_password"])
        _prove(user, body["old_password"])
        Users(current_state(), accounts, _BY).set_password(user, body["new_password"])
    except PasswordRefused as error:
        text = str(error)
        raise ProblemAnswer(422, "password-refused", f"{text[0].upper()}{text[1:]}.") from None
    logins = current_logins()
    here = user if tenant is None else logins.in_tenant(user, tenant) or user
    tokens = logins.start(here, has_refresh=has_refresh(), client=client_of_request())
    if tokens is None:  # disabled or removed meanwhile
        refuse(token_invalid(SubjectUnknown()), 0, "password")
    return unstored(tokens.as_dict())


def _user() -> User:
    """Return the caller's account; raise `ProblemAnswer` if they have none."""
    subject, issuer, _ = caller()
    user = _accounts().find(subject) if issuer is None else None
    if user is None:
        raise ProblemAnswer(403, "no-password", "This application does not store your password.")
    return user


def _prove(user: User, password: str) -> None:
    """Check the old password, since the caller may only have stolen the token."""
    attempt = Attempt(_accounts(), user.username)
    if attempt.must_wait:
        refuse(too_many_attempts(), attempt.wait, "password")
    found = attempt.authenticate(password)
    if found is not None and found.subject == user.subject:
        attempt.succeeded(found)
        return
    attempt.failed()
    if attempt.wait:
        refuse(too_many_attempts(), attempt.wait, "password")
    wrong = ProblemAnswer(403, "wrong-password", "The old password is wrong.")
    current_state().audit.refused(get_app(), None, None, wrong.problem, "password")
    raise wrong


def _accounts() -> ManagedAccounts:
    accounts = current_state().accounts
    if not isinstance(accounts, ManagedAccounts):
        raise MisuseError(
            "password_blueprint changes passwords, which these accounts do not support: "
            f"{type(accounts).__name__} is not a jwt_authz.accounts.ManagedAccounts"
        )
    return current_state().deadline.bound(accounts)
