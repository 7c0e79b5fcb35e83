"""What `flaskext.auth.auth` held: log-in on Flask's session, the settings, and the base user.

How a log-in works. `AuthUser.authenticate` looks at the password, replaces an old hash, and calls
`login`, which puts the user's state and the time into the session. Whoever has such a state in
their session is logged in until `logout` or the timeout. The session is signed by the
application's secret key; by default it is kept by the browser, so no hash is ever put into it.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self, TypeVar, cast

from flask import Flask, abort, current_app, redirect, url_for

from ...accounts.passwords import hash_password, upgraded_hash, verify_password
from ...contrib.sessions import SessionLogin
from ...errors import MisuseError

__all__ = [
    "DEFAULT_HASH_ALGORITHM",
    "DEFAULT_USER_TIMEOUT",
    "SESSION_LOGIN_KEY",
    "SESSION_USER_KEY",
    "Auth",
    "AuthUser",
    "encrypt",
    "get_current_user",
    "get_current_user_data",
    "login",
    "login_required",
    "logout",
    "not_logged_in",
]

View = TypeVar("View", bound=Callable[..., Any])

DEFAULT_HASH_ALGORITHM = hashlib.sha1
DEFAULT_USER_TIMEOUT = 3600
SESSION_USER_KEY = "auth_user"
SESSION_LOGIN_KEY = "auth_login"

_SECRETS = frozenset({"password", "salt"})


class Auth:
    """The settings of an application's session log-in: `Auth(app)`, then set the attributes.

    `login_url_name` is the endpoint to which whoever is not logged in is redirected; without one
    they get a 401. `not_logged_in_callback` and `not_permitted_callback` are functions of the
    view's arguments that answer in its place; not permitted is a 401 by default. `user_timeout`
    is how many seconds a log-in lasts, 0 for ever. `load_role` makes a `Role` of a role's name.
    `hash_algorithm` is the one of hashlib that made the old hashes; new ones are Argon2id.
    """

    def __init__(self, app: Flask | None = None, login_url_name: str | None = None) -> None:
        self.login_url_name = login_url_name
        self.not_logged_in_callback: Callable[..., Any] = self._to_login
        self.not_permitted_callback: Callable[..., Any] = _unauthorized
        self.hash_algorithm: Callable[[bytes], Any] = DEFAULT_HASH_ALGORITHM
        self.user_timeout: float = DEFAULT_USER_TIMEOUT
        self.load_role: Callable[[Any], Any] = _no_role
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make these the application's settings, as `app.auth`."""
        app.auth = self  # type: ignore[attr-defined]

    def _to_login(self, *arguments: Any, **keywords: Any) -> Any:
        # To an endpoint of the application's own and with no `next`: there is no open redirect.
        return redirect(url_for(self.login_url_name)) if self.login_url_name else abort(401)


class AuthUser:
    """A base class, or a mixin on an ORM's model, for users who log in by a password.

    `password` is the hash, kept as it is given until `set_and_encrypt_password` makes one;
    `salt` that of an old hash; `role` a role's name, or a list of several.
    """

    role = cast(Any, None)

    def __init__(
        self, username: Any = None, password: Any = None, salt: Any = None, role: Any = None
    ) -> None:
        self.username = username
        self.password = password
        self.salt = salt
        self.role = role

    def set_and_encrypt_password(self, password: str, salt: str | None = None) -> None:
        """Keep an Argon2id hash of the password, which has a salt of its own.

        Raises `MisuseError` for a password that is empty or cannot be hashed.
        """
        self.salt = salt
        # Short ones are taken, as they were; `hash_password` says what is wrong with the others.
        short_too = upgraded_hash("", password) if password else None
        self.password = short_too or hash_password(password)

    def authenticate(self, password: str) -> bool:
        """Log the user in if this is their password, and say whether it was.

        A hash by the old algorithm, or with yesterday's parameters, is replaced at this log-in.
        """
        if not self._has_password(password):
            return False
        new = upgraded_hash(self.password, password)
        if new is not None:
            self.replace_password(self.password, new)
        login(self)
        return True

    def replace_password(self, old: str, new: str) -> None:
        """Put a new hash in the place of an old one, just verified; override it to store it."""
        self.password = new

    def is_logged_in(self) -> bool:
        """Whether this user is the one of the current session."""
        data = get_current_user_data()
        return data is not None and data.get("username") == self.username

    @classmethod
    def load_current_user(cls, apply_timeout: bool = True) -> Self | None:
        """A user made of what `get_current_user_data` has, or None; without their password."""
        data = get_current_user_data(apply_timeout)
        if not data:
            return None
        user = cls()
        vars(user).update(data)
        return user

    def _has_password(self, password: str) -> bool:
        kept = self.password
        if kept and not kept.startswith("$argon2"):
            old = encrypt(password, self.salt)
            if hmac.compare_digest(old.encode(), kept.encode("utf-8", "replace")):
                return True
            kept = None  # the work of a failure is the same, whatever the hash is
        return verify_password(kept, password)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)

    def __eq__(self, other: object) -> bool:
        if not hasattr(other, "username"):
            return NotImplemented
        return bool(self.username == other.username)

    def __hash__(self) -> int:
        return hash(self.username)


def encrypt(
    password: str, salt: str | None = None, hash_algorithm: Callable[[bytes], Any] | None = None
) -> str:
    """An old hash: the hex digest of password and salt, by `Auth.hash_algorithm` unless given.

    For comparing with what is stored already: new passwords go to `set_and_encrypt_password`.
    """
    algorithm = hash_algorithm or current_auth().hash_algorithm
    return str(algorithm(f"{password}{salt or ''}".encode("utf-8", "surrogatepass")).hexdigest())


def login(user: Any) -> None:
    """Log the user in, without a look at any password; `user.__getstate__()` goes to the session.

    Never the state's `password` and `salt`. What else is in the session stays, unless somebody
    else was logged in: then it is cleared. A session kept by the server gets a new id, where its
    interface has `regenerate` (as Flask-Session's has), so one planted beforehand is worth nothing.
    """
    state = {name: kept for name, kept in user.__getstate__().items() if name not in _SECRETS}
    _session_login(0).begin(state)


def logout() -> Any:
    """Log the current user out; returns their data, or None where nobody was logged in."""
    return _session_login(0).end()


def get_current_user_data(apply_timeout: bool = True) -> Any:
    """The state of the user who is logged in, a dict; None where there is nobody.

    A log-in older than `Auth.user_timeout` is ended by this call, unless `apply_timeout` is false.
    So is one that was revoked, where an `Authz` of the application has a store: the subject of a
    revocation is the username.
    """
    return _session_login(current_auth().user_timeout if apply_timeout else 0).current()


def _session_login(timeout: float) -> SessionLogin:
    """The native log-in on the old names; a timeout of 0 lasts for ever."""
    lasts = timedelta(seconds=timeout) if timeout > 0 else None
    return SessionLogin(lasts, SESSION_USER_KEY, SESSION_LOGIN_KEY, "username", asks_accounts=False)


def get_current_user(apply_timeout: bool = True) -> AuthUser | None:
    """The user who is logged in, as an `AuthUser`; a class of your own has `load_current_user`."""
    return AuthUser.load_current_user(apply_timeout)


def login_required(callback: Callable[..., Any] | None = None) -> Callable[[View], View]:
    """A decorator, with its brackets: the view is for whoever is logged in.

    Others get what `callback` answers, or else the application's `not_logged_in_callback`; both
    are called with the view's arguments.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            if get_current_user_data() is None:
                return not_logged_in(callback, *arguments, **keywords)
            return current_app.ensure_sync(view)(*arguments, **keywords)

        return guarded  # type: ignore[return-value]

    return decorate


def not_logged_in(callback: Callable[..., Any] | None, *arguments: Any, **keywords: Any) -> Any:
    """What whoever is not logged in gets: the callback's answer, or else the application's."""
    answer = current_auth().not_logged_in_callback if callback is None else callback
    return current_app.ensure_sync(answer)(*arguments, **keywords)


def current_auth() -> Auth:
    """The current application's settings; raises `MisuseError` where it has none."""
    auth: Auth | None = getattr(current_app, "auth", None)
    if auth is None:
        raise MisuseError(f"the application {current_app.name!r} has no Auth: write Auth(app)")
    return auth


def _unauthorized(*arguments: Any, **keywords: Any) -> Any:
    return abort(401)


def _no_role(name: Any) -> None:
    return None
