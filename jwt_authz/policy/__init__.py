"""Policy: permissions, roles, identities and requirements; imports the standard library only."""
