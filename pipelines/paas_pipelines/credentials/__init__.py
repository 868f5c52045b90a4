"""Secrets with names: what they are made of, where they are kept, who is given them (§8)."""
