"""The API of `flaskext.auth.models`, without the module for Google App Engine."""
