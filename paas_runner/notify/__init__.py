"""Notices: who is to be woken when something is wrong, and only then, is told, and told when it is over."""
