"""Conditions over values and patterns over texts: what a file may have computed, and no more."""
