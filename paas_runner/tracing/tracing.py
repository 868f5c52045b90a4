"""Traces as the service has them: it is told of jobs and calls, and says what a host gets of its job's trace.

All that is kept is where the tracked jobs are. A start takes that from the records, so that a service that
was killed goes on in the same traces.
"""

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

import attrs

from paas_runner import __version__
from paas_runner.config.telemetry import Traces, credentials_in, headers_in
from paas_runner.dispatch.view import Observer, served_job
from paas_runner.executor.contract import HostTrace
from paas_runner.http import Connect, Exchange, Tls, receiver_of
from paas_runner.job.events import Event
from paas_runner.job.tracked import JobKey, Phase, TrackedJob
from paas_runner.logs import redactor
from paas_runner.loop.timing import Clock
from paas_runner.spans import SpanContext
from paas_runner.tracing import job_spans
from paas_runner.tracing.export import FLUSH_SECONDS, SpanExport

SERVICE = receiver_of("traces")
MOST_CALLS = 500
"""Spans of calls for one job: one that runs for days is asked about thousands of times."""

_PATH = "/v1/traces"


def span_export(traces: Traces, connect: Connect, *, mark: str = "") -> SpanExport:
    """The way to the receiver; `mark` is the installation's. Raises OSError, and `ProxyError`."""
    headers = headers_in(traces.headers) or {}
    redactor.add(credentials_in(headers.values()))
    address = traces.endpoint.removesuffix(_PATH)
    return SpanExport(
        connect(address, service=SERVICE, at_once=1, tls=Tls(ca_file=traces.tls_ca_file)),
        path=_PATH,
        headers=headers,
        resource={
            "service.name": traces.service_name,
            "service.version": __version__,
            "service.instance.id": mark,
            "host.name": platform.node(),
        },
    )


@attrs.define
class _Traced:
    root: SpanContext
    phase: Phase
    calls: int = 0


class Tracing(Observer):
    """The traces of all jobs of one service."""

    def __init__(
        self,
        traces: Traces,
        *,
        mark: str,
        connect: Connect,
        clock: Clock,
        jobs: Iterable[TrackedJob],
    ) -> None:
        """`mark` is the installation's, `jobs` are those that a start found.

        Raises OSError for certificates that cannot be read, and `ProxyError`.
        """
        self._traces = traces
        self._mark = mark
        self._clock = clock
        self._traced: dict[JobKey, _Traced] = {}
        self._hosts_headers = headers_in(traces.hosts_headers) or {}
        redactor.add(credentials_in(self._hosts_headers.values()))
        self._export = span_export(traces, connect, mark=mark)
        for job in jobs:
            if Phase.STANDBY not in job.entered:
                self._follow(job)

    def host_trace(self, job: TrackedJob) -> HostTrace:
        """What goes to the job's host: nothing secret unless the operator has said so."""
        root = self._root(job)
        if not (self._traces.hosts_endpoint and root.sampled):
            return HostTrace(traceparent=root.traceparent)
        return HostTrace(
            traceparent=root.traceparent,
            endpoint=self._traces.hosts_endpoint,
            headers=self._hosts_headers,
        )

    # --- what happens --------------------------------------------------------------------------------------

    def job_granted(self, job: TrackedJob, asked_at: datetime, url: str) -> None:
        if (traced := self._follow(job)).root.sampled:
            self._export.add(job_spans.asked(job, traced.root, asked_at, url))

    def job_changed(self, job: TrackedJob, event: Event | None, before: TrackedJob | None) -> None:  # noqa: ARG002
        if before and Phase.STANDBY in before.entered:
            return  # its span has ended; what becomes of its host is no part of it
        traced = self._traced.get(job.key) or self._follow(job)
        traced.phase = job.phase
        if job.phase in (Phase.STANDBY, Phase.GONE):
            del self._traced[job.key]
            if traced.root.sampled:
                left_out = max(0, traced.calls - MOST_CALLS)
                for span in job_spans.ended(job, traced.root, calls_left_out=left_out):
                    self._export.add(span)

    def left(self, runner: str, jobs: Sequence[TrackedJob]) -> None:  # noqa: ARG002
        """Whoever has them now goes on in the same traces."""
        for job in jobs:
            self._traced.pop(job.key, None)

    def call_ended(self, exchange: Exchange) -> None:
        """As a listener of `Exchanges`: one attempt of a call, in the context of its job."""
        key = served_job.get()
        traced = self._traced.get(key) if key else None
        if traced is None or not traced.root.sampled:
            return
        traced.calls += 1
        if traced.calls <= MOST_CALLS:
            above = job_spans.phase_of(traced.root, traced.phase)
            self._export.add(job_spans.call(exchange, above, self._clock(), traced.calls))

    def _follow(self, job: TrackedJob) -> _Traced:
        traced = self._traced[job.key] = _Traced(self._root(job), job.phase)
        return traced

    def _root(self, job: TrackedJob) -> SpanContext:
        return job_spans.root_of(job, mark=self._mark, ratio=self._traces.sample_ratio)

    # --- the way out ---------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def exporting(self) -> AsyncIterator[None]:
        """Inside, spans are sent; at an orderly end what is left still goes, if it goes quickly."""
        sending = asyncio.create_task(self._export.run(), name="traces")
        within = FLUSH_SECONDS
        try:
            yield
        except asyncio.CancelledError:
            within = 0.0
            raise
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            await self._export.aclose(within)
