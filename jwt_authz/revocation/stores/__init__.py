"""Stores of revocations and token families: in memory, in Redis and in an SQL database."""
