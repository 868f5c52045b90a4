"""What the operator can see of the service."""
