"""A receiver of traces: takes what OTLP over HTTP brings, and shows the spans as a test wants them."""

from collections import Counter
from contextlib import asynccontextmanager

import attrs
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paas_runner.server.listening import Listener


@attrs.frozen
class Received:
    """One span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    start: int
    end: int
    attributes: dict
    error: str | None
    resource: dict

    @property
    def seconds(self):
        return (self.end - self.start) / 1e9


class TraceReceiver:
    """An application; `answers` are statuses to give first, one an export."""

    def __init__(self):
        self.spans = []
        self.exports = []
        self.headers = []
        self.bodies = []
        self.answers = []
        self.app = Starlette(routes=[Route("/v1/traces", self._export, methods=["POST"])])

    async def _export(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.answers and (status := self.answers.pop(0)) != 200:
            return Response(status_code=status)
        message = ExportTraceServiceRequest()
        if request.headers["content-type"] == "application/json":
            Parse(_with_bytes(body), message)
        else:
            assert request.headers["content-type"] == "application/x-protobuf"
            message.ParseFromString(body)
        found = [
            _received(span, whole.resource)
            for whole in message.resource_spans
            for scope in whole.scope_spans
            for span in scope.spans
        ]
        self.exports.append(len(found))
        self.spans += found
        return Response(b"", media_type="application/x-protobuf")

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def only(self, name):
        [span] = self.named(name)
        return span

    @property
    def twice(self):
        """The ids that more than one span has."""
        counted = Counter((span.trace_id, span.span_id) for span in self.spans)
        return [key for key, count in counted.items() if count > 1]

    def tree(self, span=None):
        """The names below a span, each with those below it, by their beginning."""
        below = [each for each in self.spans if each.parent == (span.span_id if span else "")]
        return [(each.name, self.tree(each)) for each in sorted(below, key=lambda each: each.start)]


def _received(span, resource):
    return Received(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span),
        error=span.status.message if span.status.code == 2 else None,
        resource=_attributes(resource),
    )


def _attributes(holder):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}


def _with_bytes(body):
    """OTLP's JSON has ids in hexadecimal, where protobuf's own JSON has base64."""
    import base64
    import json

    def convert(value):
        if isinstance(value, list):
            return [convert(each) for each in value]
        if isinstance(value, dict):
            return {
                key: base64.b64encode(bytes.fromhex(each)).decode()
                if key in ("traceId", "spanId", "parentSpanId")
                else convert(each)
                for key, each in value.items()
            }
        return value

    return json.dumps(convert(json.loads(body)))


@asynccontextmanager
async def listening_receiver():
    """One on loopback, at `url`."""
    receiver = TraceReceiver()
    listener = Listener(receiver.app)
    await listener.start()
    receiver.url = listener.url
    try:
        yield receiver
    finally:
        await listener.stop()
