"""One trace per job, sent to a receiver of OpenTelemetry's by OTLP over HTTP: imported when it is on."""

from paas_runner.tracing.tracing import Tracing, span_export

__all__ = ["Tracing", "span_export"]
