"""From a job's record and its calls to spans. Pure.

The names of attributes are those of OpenTelemetry's semantic conventions for CI/CD and for HTTP clients;
what they have no name for is `paas_runner.…`. Span names are few: a job's name, its author's word, is an
attribute, since receivers make labels of span names.
"""

import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from paas_runner.http import Exchange
from paas_runner.job.failure import FailureReason
from paas_runner.job.tracked import Entry, Phase, TrackedJob
from paas_runner.logs import redactor
from paas_runner.spans import Attribute, Span, SpanContext, SpanKind, bounded, derived

_RESULTS: Mapping[FailureReason, str] = {
    FailureReason.SCRIPT: "failure",
    FailureReason.SYSTEM: "error",
    FailureReason.TIMEOUT: "timeout",
    FailureReason.CANCELED: "cancellation",
}
"""As `cicd.pipeline.task.run.result` has them; a job that ended otherwise has told its coordinator alone."""


def root_of(job: TrackedJob, *, mark: str, ratio: float) -> SpanContext:
    """The span of the whole job: the same in every life of the service, `mark` being the installation's.

    When it was acquired is taken from its history, which a clock that goes back does not change.
    """
    acquired_at = job.history[0].at if job.history else job.acquired_at
    return derived("job", mark, str(job.key), acquired_at.isoformat(), ratio=ratio)


def phase_of(root: SpanContext, phase: Phase) -> SpanContext:
    """The span of one phase of the job."""
    return root.child("phase", phase)


def ended(job: TrackedJob, root: SpanContext, *, calls_left_out: int) -> Iterator[Span]:
    """All but the calls, of a job that is gone, or of which only a host on standby is left.

    They are made from the record at the end, all together: so none is missing, or there twice, whatever
    became of the service meanwhile.
    """
    yield Span(
        name="job",
        context=root,
        start=job.acquired_at,
        end=job.since,
        attributes={**_facts(job), **_left_out(calls_left_out)},
        error=_shown(job.failure.text) if job.failure else None,
    )
    entered = [(at, phase) for phase, at in job.entered.items()]
    for (start, phase), (end, _) in itertools.pairwise(entered):
        context = phase_of(root, phase)
        yield Span(
            name=f"phase {phase}", context=context, parent=root.span_id, start=start, end=max(start, end)
        )


def asked(job: TrackedJob, root: SpanContext, asked_at: datetime, url: str) -> Span:
    """The request that brought the job: it began before the job's own span does."""
    return Span(
        name="request a job",
        context=root.child("request"),
        parent=root.span_id,
        kind=SpanKind.CLIENT,
        start=asked_at,
        end=job.acquired_at,
        attributes={
            "http.request.method": "POST",
            "http.response.status_code": 201,
            "server.address": urlsplit(url).hostname or "",
        },
    )


def call(exchange: Exchange, above: SpanContext, now: datetime, number: int) -> Span:
    """One attempt of a call, which has just ended; `number` tells it from others of its job."""
    name = exchange.op.partition(" (")[0]
    start = now - timedelta(seconds=exchange.seconds)
    status = exchange.answer.status if exchange.answer else None
    attributes: dict[str, Attribute] = {
        "http.request.method": exchange.method,
        "server.address": exchange.server,
    }
    if status is not None:
        attributes["http.response.status_code"] = status
    if exchange.attempt > 1:
        attributes["http.request.resend_count"] = exchange.attempt - 1
    error = "no answer" if status is None else f"status {status}" if status >= 400 else None
    if error:
        attributes["error.type"] = "no_answer" if status is None else str(status)
    return Span(
        name=_shown(name),
        context=above.child("call", name, start.isoformat(), str(number)),
        parent=above.span_id,
        kind=SpanKind.CLIENT,
        start=start,
        end=now,
        attributes=attributes,
        error=error,
    )


def _facts(job: TrackedJob) -> Mapping[str, Attribute]:
    facts: dict[str, Attribute] = {
        "cicd.pipeline.task.run.id": str(job.key.job_id),
        "paas_runner.runner": job.key.runner,
    }
    if name := _fact(job.history, "job_name"):
        facts["cicd.pipeline.task.name"] = _shown(name)
    if host := _fact(job.history, "host"):
        facts["cicd.worker.id"] = _shown(host)
        facts["cicd.worker.name"] = _shown(_fact(job.history, "host_name") or job.host_name)
        facts["paas_runner.flavor"] = _shown(_fact(job.history, "flavor"))
    if job.tenant:
        facts["paas_runner.tenant"] = _shown(job.tenant)
    if job.failure:
        facts["cicd.pipeline.task.run.result"] = _RESULTS[job.failure.reason]
        facts["error.type"] = str(job.failure.reason)
    return facts


def _fact(history: tuple[Entry, ...], key: str) -> str:
    return next((str(entry.facts[key]) for entry in history if key in entry.facts), "")


def _left_out(calls: int) -> Mapping[str, Attribute]:
    return {"paas_runner.calls_left_out": calls} if calls else {}


def _shown(text: str) -> str:
    """A text of others: secrets are taken out before anything is cut."""
    return bounded(redactor.text(text))
