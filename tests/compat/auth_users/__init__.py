"""Where Flask-Auth's users may be kept: in memory, in a file, in SQLAlchemy, in another ORM."""
