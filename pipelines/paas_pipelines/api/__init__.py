"""The HTTP API of spec prunner-api.md §5 to §7, and what stands beside it."""
