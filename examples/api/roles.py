"""Roles: what each of them may do.

Every permission is written out where one could have said `article:*`, so that `authz.check()`
finds a misspelled one in a view. Deleting articles and seeing the users ask for the role itself.
"""

from __future__ import annotations

from jwt_authz import Role, Roles

roles = Roles(
    Role("viewer", "article:read"),
    Role("editor", "article:create", "report:read", includes="viewer"),
    Role("admin", "article:edit_any", includes="editor"),
)
