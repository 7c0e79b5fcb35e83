"""Policy: permissions, roles, identities and requirements, on the standard library alone."""
