"""From heptapod-paas-runner to this service, and back: what is written otherwise, what becomes of jobs."""
