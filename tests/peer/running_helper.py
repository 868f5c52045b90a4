"""A helper service of 1.1.1's protocol that really runs what it is given, one job at a time."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import attrs

from paas_runner.helper.protocol import JobStatus
from paas_runner.inner import InnerRunner
from tests.support.reference_helper import ReferenceHelper, served


@attrs.define(eq=False)
class RunningHelper(ReferenceHelper):
    running: list[asyncio.Task] = attrs.field(factory=list)

    def launch(self, request, instance):
        super().launch(request, instance)
        inner_runner = InnerRunner(clock=lambda: datetime.now(UTC))
        task = asyncio.ensure_future(inner_runner.run(request.config, request.specification))
        task.add_done_callback(lambda ended: self._end(request.job, ended))
        self.running.append(task)

    def _end(self, job, ended):
        if job in self.jobs and not ended.cancelled():
            self.jobs[job] = JobStatus(running=False, exit_code=ended.result())


@asynccontextmanager
async def helper_service(*, http1):
    """The helper and its place; over gRPC 1.1.1 shows no token."""
    helper = RunningHelper() if http1 else RunningHelper(token=None)
    try:
        async with served(helper, http1=http1) as url:
            yield helper, url.partition("://")[2]
    finally:
        for task in helper.running:
            task.cancel()
        await asyncio.gather(*helper.running, return_exceptions=True)
