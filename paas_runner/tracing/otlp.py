"""Spans as the protobuf messages of OTLP 1: the stable encoding, which every receiver takes."""

from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from paas_runner import __version__
from paas_runner.spans import Attribute, Span, nanoseconds

CONTENT_TYPE = "application/x-protobuf"
_SAMPLED = 0x01


def encoded(spans: Iterable[Span], resource: Mapping[str, Attribute]) -> bytes:
    """The body of one export."""
    scope = trace_pb2.ScopeSpans(
        scope=InstrumentationScope(name="paas_runner", version=__version__),
        spans=[_span(span) for span in spans],
    )
    whole = trace_pb2.ResourceSpans(resource=Resource(attributes=_attributes(resource)), scope_spans=[scope])
    return ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()


def rejected(body: bytes) -> tuple[int, str]:
    """How many spans of an export the receiver did not want, and why; none where it does not say."""
    answer = ExportTraceServiceResponse()
    try:
        answer.ParseFromString(body)
    except Exception:  # noqa: BLE001 - whatever the library raises for what is no answer
        return 0, ""
    return answer.partial_success.rejected_spans, answer.partial_success.error_message


def _span(span: Span) -> trace_pb2.Span:
    status = trace_pb2.Status()
    if span.error is not None:
        status = trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR, message=span.error)
    return trace_pb2.Span(
        trace_id=bytes.fromhex(span.context.trace_id),
        span_id=bytes.fromhex(span.context.span_id),
        parent_span_id=bytes.fromhex(span.parent),
        flags=_SAMPLED,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.ValueType(span.kind),
        start_time_unix_nano=nanoseconds(span.start),
        end_time_unix_nano=nanoseconds(span.end),
        attributes=_attributes(span.attributes),
        status=status,
    )


def _attributes(attributes: Mapping[str, Attribute]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Attribute) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
