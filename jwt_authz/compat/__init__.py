"""Replacements for Flask-Allows, Flask-Access and Flask-Auth with the same names."""
