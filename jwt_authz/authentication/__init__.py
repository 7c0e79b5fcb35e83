"""Authentication: from a request to the verified token and the Identity of its caller."""
