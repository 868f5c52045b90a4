"""A whole world on loopback: a GitLab-style coordinator, a Clever Cloud, hosts that really run jobs."""
