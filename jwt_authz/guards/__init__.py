"""Guards: requirements attached to views, methods, blueprints, applications and blocks of code."""
