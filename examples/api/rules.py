"""Rules: what it takes to read and to edit an article, for one article and for a list of them."""

from __future__ import annotations

from jwt_authz import Authz, attr
from jwt_authz.conditions import subject

from .models import Article

author = (attr("author") == subject).saying("is the author of this article")
# A condition, and no answer: `not attr("draft")` or `is False` could make none.
is_public = (attr("draft") == False).saying("reads an article that is no draft")  # noqa: E712


def add_rules(authz: Authz) -> None:
    """Register the rules with the extension."""
    authz.rule("article:read", Article, "article:read" & is_public | author | "article:edit_any")
    authz.rule("article:edit", Article, author | "article:edit_any")
