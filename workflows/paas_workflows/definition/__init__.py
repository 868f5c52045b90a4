"""Workflow files: read, decoded and checked before anything starts."""
