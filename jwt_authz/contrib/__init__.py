"""Integrations with other libraries: a module or folder for each, with the extra it needs."""
