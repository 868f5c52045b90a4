"""Two command lines: prunner's own, and `paas-runner pipelines` for people."""
