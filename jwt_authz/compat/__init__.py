"""The old extensions' names over this library's parts: a module for each of the old packages."""
