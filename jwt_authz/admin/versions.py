"""Versions for optimistic locking: the ETag of a user or role, and the refusal of stale changes.

How it works. A version is computed from what is shown and from the number of the last change in the
trail. With only what is shown, a request that is sent twice would be applied twice: the second time
it would restore what was taken away in between. With only the trail, a change made at the command
line would go unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from hashlib import sha256
from typing import NamedTuple

from flask import request

from ..accounts.sqlalchemy.trail import State
from ..refusals import ProblemAnswer


class Seen(NamedTuple):
    """The versions that a change may be based on; None for any. Some changes need one."""

    versions: Collection[str] | None = None
    is_needed: bool = False


ANY = Seen()


def if_match(is_needed: bool = False) -> Seen:
    """Return the versions in the request's If-Match; `*` is any version."""
    named = request.if_match
    if "If-Match" not in request.headers:
        return Seen(None, is_needed)
    return ANY if named.star_tag else Seen(named.as_set())


def version_of(shown: State, last_change: int | None) -> str:
    """Return a string that differs after each change; see above."""
    text = json.dumps([dict(shown), last_change], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:32]


def refuse_stale(version: str, seen: Seen) -> None:
    """Raise a `ProblemAnswer` (412) if the change is based on other versions."""
    if seen.versions is not None and version not in seen.versions:
        detail = "This was changed after you loaded it. Reload it, then make your change."
        raise ProblemAnswer(412, "changed-meanwhile", detail)


def refuse_missing(seen: Seen) -> None:
    """Raise a `ProblemAnswer` (428) if a version is needed and there is none."""
    if seen.versions is None and seen.is_needed:
        detail = (
            "Send If-Match with the ETag of a GET, so that you do not overwrite another change."
        )
        raise ProblemAnswer(428, "precondition-required", detail)
