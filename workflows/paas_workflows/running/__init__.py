"""An execution brought to its end, on a place that runs containers."""
