"""A store whose disk is a dictionary: outlives the service that a test crashes, needs no thread."""

from collections.abc import Sequence

from paas_runner.job.tracked import JobKey, TrackedJob


class MemoryStore:
    """`paas_runner.store.Store`, kept honest by tests/store/test_store.py."""

    def __init__(self) -> None:
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._ended: set[JobKey] = set()
        self._source: str | None = None

    async def jobs(self) -> Sequence[TrackedJob]:
        return sorted(self._jobs.values(), key=lambda job: (job.acquired_at, job.key.job_id))

    async def save(self, job: TrackedJob) -> None:
        self._jobs[job.key] = job

    async def forget(self, key: JobKey, *, ended: bool) -> None:
        self._jobs.pop(key, None)
        if ended:
            self._ended.add(key)

    async def tenants(self, runner: str) -> frozenset[str]:
        return frozenset(job.tenant for job in self._jobs.values() if job.key.runner == runner)

    async def ended(self) -> frozenset[JobKey]:
        return frozenset(self._ended)

    async def replace(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        if source == self._source:
            return False
        self._jobs = {job.key: job for job in jobs}
        self._source = source
        return True

    async def installation(self) -> str:
        return "installation-in-memory"

    async def aclose(self) -> None:
        return None
