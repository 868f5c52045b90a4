"""A module of somebody else's that breaks when it is imported."""

COMMAND = 1 / 0
