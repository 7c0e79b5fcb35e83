"""Inspect an application: the check, the access matrix, its changes, and explanations."""
