"""Clients of the helper service, a program on a host that takes one job at a time."""
