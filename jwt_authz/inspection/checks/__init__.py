"""The checks, by theme: each a small function that yields what it finds."""
