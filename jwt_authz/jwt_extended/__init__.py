"""Flask-JWT-Extended: everything that reads its settings or uses what is private to it."""
