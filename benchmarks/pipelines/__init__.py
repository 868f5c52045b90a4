"""What the pipelines server takes for a request, with every run on the disk before it is answered."""
