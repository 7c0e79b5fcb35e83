"""Measurements of speed and size; each module but the shared ones runs with `python -m`."""
