"""Inspection: the check, the access matrix, explanations, and what a change of roles opens."""
