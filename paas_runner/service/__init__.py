"""The running service: the process, what it is made of, and how it is operated."""
