"""Runs of pipelines, purely: records, what may happen to them, and what is to be done next."""
