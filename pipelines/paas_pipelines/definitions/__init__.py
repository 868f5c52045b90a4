"""`pipelines.yml`: from files to frozen definitions, or every complaint with its place."""
