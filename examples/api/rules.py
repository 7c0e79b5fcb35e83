"""Rules: what it takes to create, read and edit an article, for one and for a list of them."""

from __future__ import annotations

from jwt_authz import Authz, attr
from jwt_authz.conditions import subject, tenant

from .models import Article

# Not known of a caller without a tenant, who is refused so.
is_of_same_tenant = (attr("tenant") == tenant).saying("is of the same tenant")
author = (attr("author") == subject).saying("is the author of this article")
# A condition, not a bool: `not attr("draft")` and `is False` would not make one.
is_public = (attr("draft") == False).saying("reads an article that is not a draft")  # noqa: E712


def add_rules(authz: Authz) -> None:
    """Register the rules with the extension."""
    reader = "article:read" & is_public | author | "article:edit_any"
    authz.rule("article:create", Article, is_of_same_tenant & "article:create")
    authz.rule("article:read", Article, is_of_same_tenant & reader)
    authz.rule("article:edit", Article, is_of_same_tenant & (author | "article:edit_any"))
