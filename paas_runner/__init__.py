"""PaaS Runner: CI jobs on hosts that exist only while a job needs them."""

__version__ = "0.1.0"
