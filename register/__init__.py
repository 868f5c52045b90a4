"""The interactive registration of a runner; to come."""
