"""The executors that come with PaaS Runner, and what they share; found through entry points only."""
