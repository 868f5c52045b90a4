"""The trace of a job goes on here: a span for the run on this host, and one for each of its stages.

`[runners.paas_traces]` of `runner.toml` says where they are sent, `TRACEPARENT` of its `environment` below
which span; without both there are none. They go as JSON, which OTLP allows beside protobuf and which needs no
package here, beside the report of the result: nothing waits for them for longer than a few seconds.
"""

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs
import httpx
import structlog

from paas_runner import __version__
from paas_runner.errors import RunnerError
from paas_runner.inner.settings import RunnerSection
from paas_runner.job.payload import Payload
from paas_runner.spans import Attribute, Span, SpanContext, bounded, nanoseconds, parsed_traceparent

log = structlog.stdlib.get_logger(__name__)

TABLE = "paas_traces"
SEND_SECONDS = 3.0
MOST_STAGES = 200
_PATH = "/v1/traces"
_PREFIX = "TRACEPARENT="
_SAMPLED, _ERROR = 0x01, 2
_RESULTS = {"success": "success", "failed": "failure"}


@attrs.frozen(kw_only=True)
class Receiver:
    """Where spans are sent."""

    endpoint: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    above: SpanContext
    """The span of the service below which ours are."""

    @property
    def run(self) -> SpanContext:
        """The span of the run on this host."""
        return self.above.child("run")


def receiver_in(section: RunnerSection) -> Receiver | None:
    """Where the section wants spans sent; None where it wants none, or what it says makes no sense."""
    table = section.tables.get(TABLE, {})
    given = [entry.removeprefix(_PREFIX) for entry in section.environment if entry.startswith(_PREFIX)]
    above = parsed_traceparent(given[-1]) if given else None
    endpoint, headers = table.get("endpoint"), table.get("headers", {})
    if not (above and above.sampled and isinstance(endpoint, str) and isinstance(headers, Mapping)):
        return None
    texts = {str(name): str(value) for name, value in headers.items()}
    return Receiver(endpoint=endpoint.rstrip("/").removesuffix(_PATH), headers=texts, above=above)


def below_the_run(section: RunnerSection) -> RunnerSection:
    """The section by which programs of the job continue the trace below the run on this host."""
    receiver = receiver_in(section)
    if receiver is None:
        return section
    others = (entry for entry in section.environment if not entry.startswith(_PREFIX))
    return attrs.evolve(section, environment=(*others, f"{_PREFIX}{receiver.run.traceparent}"))


class StageSpans:
    """The spans of one job; none without a receiver."""

    def __init__(
        self,
        receiver: Receiver | None,
        client: Callable[[str], httpx.AsyncClient],
        *,
        payload: Payload,
        clock: Callable[[], datetime],
    ) -> None:
        self._receiver = receiver
        self._client = client
        self._payload = payload
        self._clock = clock
        self._begun = clock()
        self._spans: list[Span] = []
        self._sending: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Inside, a stage of the job goes on."""
        start = self._clock()
        try:
            yield
        except Exception as error:
            self._note(name, start, type(error).__name__)
            raise
        self._note(name, start, None)

    def _note(self, name: str, start: datetime, error: str | None) -> None:
        if self._receiver and len(self._spans) < MOST_STAGES:
            run, number = self._receiver.run, str(len(self._spans))
            context = run.child(name, number)
            self._spans.append(
                Span(
                    name=f"stage {bounded(name)}",
                    context=context,
                    parent=run.span_id,
                    start=start,
                    end=self._clock(),
                    error=error,
                )
            )

    # --- the way out -----------------------------------------------------------------------------------

    def ended(self, state: str) -> None:
        """The job has ended so: all is sent, while its report is."""
        if self._receiver and not self._sending:
            attributes: dict[str, Attribute] = {
                "cicd.pipeline.task.name": bounded(self._payload.job_name),
                "cicd.pipeline.task.run.id": str(self._payload.job_id),
                "cicd.pipeline.task.run.result": _RESULTS.get(state, state),
            }
            run = Span(
                name="run on the host",
                context=self._receiver.run,
                parent=self._receiver.above.span_id,
                start=self._begun,
                end=self._clock(),
                attributes=attributes,
                error=None if state == "success" else state,
            )
            body = document([run, *self._spans])
            self._sending = asyncio.create_task(self._send(self._receiver, body))

    @contextlib.asynccontextmanager
    async def sent(self) -> AsyncIterator[None]:
        """At the end, wait for a moment until what there is has been sent, however the job ended."""
        try:
            yield
        finally:
            self.ended("cancellation")
            if self._sending:
                await asyncio.wait([self._sending], timeout=SEND_SECONDS)
                self._sending.cancel()

    async def _send(self, receiver: Receiver, body: Mapping[str, Any]) -> None:
        """Whatever goes wrong is only logged: no job is about it."""
        try:
            async with self._client(receiver.endpoint) as client:
                answer = await client.post(_PATH, json=body, headers=receiver.headers)
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RunnerError) as error:
            log.warning("spans_not_sent", reason=type(error).__name__)


def document(spans: list[Span]) -> Mapping[str, Any]:
    """One export in OTLP's JSON: names in camelCase, ids in hexadecimal, 64-bit numbers as texts."""
    resource = {
        "service.name": "paas-runner-inner",
        "service.version": __version__,
        "host.name": platform.node(),
    }
    scope = {"name": "paas_runner.inner", "version": __version__}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": [_span(span) for span in spans]}],
            }
        ]
    }


def _span(span: Span) -> Mapping[str, Any]:
    return {
        "traceId": span.context.trace_id,
        "spanId": span.context.span_id,
        "parentSpanId": span.parent,
        "flags": _SAMPLED,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(nanoseconds(span.start)),
        "endTimeUnixNano": str(nanoseconds(span.end)),
        "attributes": _attributes(span.attributes),
        "status": {} if span.error is None else {"code": _ERROR, "message": span.error},
    }


def _attributes(attributes: Mapping[str, Attribute]) -> list[Mapping[str, Any]]:
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in attributes.items()]
