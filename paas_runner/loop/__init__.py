"""What every loop of the service shares: a clock, sleeps, backoff, heartbeats."""
