"""What a trace is made of, before anybody sends it: ids that can be worked out again, and spans. Pure.

Ids are not drawn but derived: who knows a job knows its trace, so that a service that was killed goes on in
the same one. What is written into a span is bounded, since authors and other systems have their say in it.
The header `traceparent`, by which another program continues a trace, is W3C's Trace Context, version 00.
"""

import enum
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime

import attrs

from paas_runner.plain_text import short_line

MOST_CHARACTERS = 200
"""Of a text in a span."""

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NOTHING = re.compile(r"0*")
_SAMPLED = 0x01

Attribute = str | int | bool


class SpanKind(enum.IntEnum):
    """Numbers of OTLP (opentelemetry/proto/trace/v1/trace.proto)."""

    INTERNAL = 1
    CLIENT = 3


@attrs.frozen(kw_only=True)
class SpanContext:
    """A place in a trace: hexadecimal ids, as the header has them, and whether anybody keeps it."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """By which another program goes on below this span."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self, *names: str) -> "SpanContext":
        """The span of these names below this one: the same names, the same id."""
        return attrs.evolve(self, span_id=_digest(self.trace_id, self.span_id, *names)[:16])


def derived(*names: str, ratio: float) -> SpanContext:
    """The root of the trace that belongs to these names; about so many of all traces are sampled.

    Which ones hangs on the id alone, so that every program that works on a trace decides alike.
    """
    trace_id = _digest(*names)[:32]
    sampled = int(trace_id[16:], 16) < ratio * 2**64
    return SpanContext(trace_id=trace_id, span_id=_digest(trace_id)[:16], sampled=sampled)


def parsed_traceparent(text: str) -> SpanContext | None:
    """What a header says; None for what is none."""
    found = _TRACEPARENT.fullmatch(text)
    if not found or _NOTHING.fullmatch(found[1]) or _NOTHING.fullmatch(found[2]):
        return None
    return SpanContext(trace_id=found[1], span_id=found[2], sampled=bool(int(found[3], 16) & _SAMPLED))


@attrs.frozen(kw_only=True)
class Span:
    """One that has ended."""

    name: str
    context: SpanContext
    parent: str = ""
    """The span id of the one above; empty for a root."""

    kind: SpanKind = SpanKind.INTERNAL
    start: datetime
    end: datetime
    attributes: Mapping[str, Attribute] = attrs.field(factory=dict)
    error: str | None = None
    """What went wrong, in a line; None when nothing did."""


def bounded(text: str) -> str:
    """One line of at most so many characters."""
    return short_line(text[: 4 * MOST_CHARACTERS], MOST_CHARACTERS)


def nanoseconds(at: datetime) -> int:
    """Since 1970, exactly."""
    return int(at.timestamp()) * 10**9 + at.microsecond * 1000


def _digest(*names: str) -> str:
    """No other names have the same: each is counted by its length."""
    text = "".join(f"{len(name)}:{name}" for name in names)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
