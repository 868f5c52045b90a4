"""What `paas-runner check` looks at."""
