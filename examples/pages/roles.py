"""Who may do what: three levels, as many an article on Flask has them."""

from jwt_authz import Role, Roles

roles = Roles(
    Role("guest", "article:read", level=0),
    Role("user", "article:write", includes="guest", level=1),
    Role("admin", "article:edit_any", includes="user", level=2),
)
