"""What is served over HTTP on `listen_address`: health, readiness, and what other rooms add to the site."""
