"""Sessions: who is logged in, kept in Flask's session, with a fresh one for whoever comes next.

    log_in = SessionLogin(timeout=timedelta(hours=1))

`begin` puts somebody into the session once their password has been looked at, `current` gives
them back to an identity loader, `end` takes them out. The session is signed by the application's
secret key and, by default, kept by the browser, which can read it: no secret belongs into it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from flask import current_app, session

from .errors import MisuseError


@dataclass(frozen=True, slots=True)
class SessionLogin:
    """A log-in kept in Flask's session: `timeout` is how long one lasts, None for ever.

    `user_key` and `time_key` name its places in the session; `subject` names the member of what is
    kept that says who it is.
    """

    timeout: timedelta | None = timedelta(hours=1)
    user_key: str = "authz_user"
    time_key: str = "authz_log_in"
    subject: str = "subject"

    def begin(self, user: Mapping[str, Any]) -> None:
        """Log somebody in: what is given is kept until `end` or the timeout, and must be JSON.

        What else is in the session stays, unless somebody else was logged in: then it is cleared.
        A session that the server keeps gets a new id, where its interface has `regenerate`, so
        that one planted beforehand is worth nothing (OWASP ASVS 7.2.4).
        """
        if user.get(self.subject) is None:
            raise MisuseError(f"a session needs to know who it is: give {self.subject}=...")
        before = session.get(self.user_key)
        if before is not None and before.get(self.subject) != user[self.subject]:
            session.clear()
        session[self.user_key] = dict(user)
        session[self.time_key] = time.time()
        regenerate = getattr(current_app.session_interface, "regenerate", None)
        if regenerate is not None:
            regenerate(session._get_current_object())  # type: ignore[attr-defined]

    def current(self) -> Any:
        """What is kept of who is logged in; None where nobody is. Past the timeout it is ended."""
        user = self.kept()
        if user is not None and self.timeout is not None:
            age = _seconds_since(session.get(self.time_key))
            if age > self.timeout.total_seconds():
                self.end()
                return None
        return user

    def kept(self) -> Any:
        """What is kept, however old the log-in is; None where nobody is logged in."""
        return session.get(self.user_key)

    def end(self) -> Any:
        """Log out whoever is logged in; returns what was kept, None where nobody was."""
        session.pop(self.time_key, None)
        return session.pop(self.user_key, None)


def _seconds_since(log_in: Any) -> float:
    """The age of a log-in; infinite where the session does not say when it was."""
    if isinstance(log_in, datetime):
        aware = log_in if log_in.tzinfo else log_in.replace(tzinfo=UTC)
        log_in = aware.timestamp()
    return time.time() - log_in if isinstance(log_in, int | float) else inf
