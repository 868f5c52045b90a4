"""What outlives the process: records in a database, logs as files."""
