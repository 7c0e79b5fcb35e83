"""Deadlines, circuit breakers, thread limits and forks."""
