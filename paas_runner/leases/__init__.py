"""Several processes on one store: which of them has which sections, and how they change hands."""
