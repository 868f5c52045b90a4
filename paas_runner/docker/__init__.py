"""A Docker engine, for all of our programs: calls, errors, labels, containers, registries.

The SDK is imported here alone, and its exceptions end here. The room takes plain values and knows nothing of
the service, since it goes into the image of a host with the inner runner.
"""
