"""Concurrency: deadlines, breakers, bounded work and forks."""
