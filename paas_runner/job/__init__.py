"""The domain: what a job is and what is to be done about it. Pure: no I/O, no clock, no randomness."""
