"""One cluster: where it is, the few calls that are needed, and what it says of containers that end badly."""
