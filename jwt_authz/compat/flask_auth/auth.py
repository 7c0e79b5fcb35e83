"""The API of `flaskext.auth.auth`: log-in with Flask's session, the settings and the base user.

How a log-in works. `AuthUser.authenticate` verifies the password, replaces an old hash, and calls
`login`, which stores the user's state and the time in the session. A user with such a session is
logged in until `logout` or the timeout. The session is signed with the application's secret key
and by default stored in the browser, so it never contains a hash.
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

    `login_url_name` is the endpoint to which users who are not logged in are redirected; without
    it they get a 401. `not_logged_in_callback` and `not_permitted_callback` are called with the
    view's arguments and respond instead of the view; the default for the latter is a 401.
    `user_timeout` is the lifetime of a log-in in seconds, 0 for no limit. `load_role` returns the
    `Role` with a name. `hash_algorithm` is the hashlib function of old hashes; new hashes are
    Argon2id.
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
        """Store these settings as `app.auth`."""
        app.auth = self  # type: ignore[attr-defined]

    def _to_login(self, *arguments: Any, **keywords: Any) -> Any:
        # The target is an endpoint of the application without `next`: not an open redirect.
        return redirect(url_for(self.login_url_name)) if self.login_url_name else abort(401)


class AuthUser:
    """A base class, or a mixin for an ORM model, for users who log in with a password.

    `password` is stored unchanged until `set_and_encrypt_password` sets a hash; `salt` is the salt
    of an old hash; `role` is the name of a role or a list of names.
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
        """Store an Argon2id hash of the password, which includes its own salt.

        Raise `MisuseError` if the password is empty or cannot be hashed.
        """
        self.salt = salt
        # Short passwords are accepted, as in Flask-Auth; `hash_password` reports other errors.
        short_too = upgraded_hash("", password) if password else None
        self.password = short_too or hash_password(password)

    def authenticate(self, password: str) -> bool:
        """Log the user in if the password is correct; return whether it is.

        A hash with an old algorithm or outdated parameters is replaced at this log-in.
        """
        if not self._has_password(password):
            return False
        new = upgraded_hash(self.password, password)
        if new is not None:
            self.replace_password(self.password, new)
        login(self)
        return True

    def replace_password(self, old: str, new: str) -> None:
        """Replace an old hash that was just verified; override this method to store the new one."""
        self.password = new

    def is_logged_in(self) -> bool:
        """Return whether this user is logged in in the current session."""
        data = get_current_user_data()
        return data is not None and data.get("username") == self.username

    @classmethod
    def load_current_user(cls, apply_timeout: bool = True) -> Self | None:
        """Return a user made from `get_current_user_data`, without the password, or None."""
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
            kept = None  # so that a failure takes equally long for both kinds of hash
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
    """Return an old hash: the hex digest of password and salt, with `Auth.hash_algorithm`.

    Use it only to compare with stored hashes; set new passwords with `set_and_encrypt_password`.
    """
    algorithm = hash_algorithm or current_auth().hash_algorithm
    return str(algorithm(f"{password}{salt or ''}".encode("utf-8", "surrogatepass")).hexdigest())


def login(user: Any) -> None:
    """Log the user in without checking a password; store `user.__getstate__()` in the session.

    The `password` and `salt` of the state are never stored. Other data in the session is kept,
    unless another user was logged in: then the session is cleared. A server-side session gets a
    new id if its interface has `regenerate` (as Flask-Session's has), to prevent session fixation.
    """
    state = {name: kept for name, kept in user.__getstate__().items() if name not in _SECRETS}
    _session_login(0).begin(state)


def logout() -> Any:
    """Log the current user out; return their data, or None if no user was logged in."""
    return _session_login(0).end()


def get_current_user_data(apply_timeout: bool = True) -> Any:
    """Return the state of the user who is logged in, a dict, or None.

    End a log-in older than `Auth.user_timeout`, unless `apply_timeout` is false, and one that was
    revoked, if the application's `Authz` has a store: the subject of a revocation is the username.
    """
    return _session_login(current_auth().user_timeout if apply_timeout else 0).current()


def _session_login(timeout: float) -> SessionLogin:
    """Return the native session log-in with the old keys; a timeout of 0 means no limit."""
    lasts = timedelta(seconds=timeout) if timeout > 0 else None
    return SessionLogin(lasts, SESSION_USER_KEY, SESSION_LOGIN_KEY, "username", asks_accounts=False)


def get_current_user(apply_timeout: bool = True) -> AuthUser | None:
    """Return the current user as an `AuthUser`; with your own class, use `load_current_user`."""
    return AuthUser.load_current_user(apply_timeout)


def login_required(callback: Callable[..., Any] | None = None) -> Callable[[View], View]:
    """Return a decorator that restricts a view to users who are logged in; keep the parentheses.

    Others get the response of `callback`, by default the application's `not_logged_in_callback`;
    both are called with the view's arguments.
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
    """Return the response for a user who is not logged in, from the callback or the application."""
    answer = current_auth().not_logged_in_callback if callback is None else callback
    return current_app.ensure_sync(answer)(*arguments, **keywords)


def current_auth() -> Auth:
    """Return the current application's settings; raise `MisuseError` if it has none."""
    auth: Auth | None = getattr(current_app, "auth", None)
    if auth is None:
        raise MisuseError(f"the application {current_app.name!r} has no Auth: write Auth(app)")
    return auth


def _unauthorized(*arguments: Any, **keywords: Any) -> Any:
    return abort(401)


def _no_role(name: Any) -> None:
    return None
