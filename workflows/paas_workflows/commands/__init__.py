"""`paas-runner workflow …`, and `kog` with the command line that it has elsewhere."""
