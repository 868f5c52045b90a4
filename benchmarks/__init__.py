"""Measurements beside another program; nothing here is a test."""
