"""Executions on the disk."""
