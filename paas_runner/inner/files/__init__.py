"""Files of a job's folder: found by patterns, packed, unpacked; never one that lies elsewhere."""
