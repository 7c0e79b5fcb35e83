"""Flask-JWT-Extended: everything that reads its settings or calls what it does not document."""
