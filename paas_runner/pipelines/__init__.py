"""The pure coordinator: pipelines, their jobs, and who may run them."""
