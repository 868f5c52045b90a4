"""A job's caches, on this host and in a bucket (spec gitlab-runner-api.md §6.3)."""

from paas_runner.inner.cache.job_cache import Cache, job_cache

__all__ = ["Cache", "job_cache"]
