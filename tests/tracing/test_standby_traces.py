"""The span of a job ends with the job, not with a host that stays, and is used again (H140)."""

from datetime import timedelta

import attrs
import pytest

from paas_runner.config.telemetry import Traces
from paas_runner.job import events as ev
from paas_runner.job.lifecycle import apply
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.tracing.tracing import Tracing
from tests.support.records import NOW, job, job_in

MINUTE = timedelta(minutes=1)
KEPT = ev.HostReleased(until=NOW + 9 * MINUTE, lease=10 * MINUTE)


def traced(jobs=()):
    tracing = Tracing(
        Traces(endpoint="http://127.0.0.1:4318"),
        mark="mark-1",
        connect=lambda *_, **__: None,
        clock=lambda: NOW,
        jobs=jobs,
    )
    return tracing, tracing._export._waiting


def told(tracing, record, *events):
    """What happens to the job, a minute between one and the next."""
    for number, event in enumerate(events, 1):
        before, record = record, apply(record, event, NOW + number * MINUTE)
        tracing.job_changed(record, event, before)
    return record


def test_the_span_of_a_job_ends_when_its_host_begins_to_wait():
    tracing, spans = traced()
    told(tracing, job_in(Phase.RUNNING), ev.Ended(), KEPT, ev.StandbyOver(why="drained"), ev.Decommissioned())
    [root] = [span for span in spans if span.name == "job"]
    assert root.end == NOW + 2 * MINUTE
    phases = {span.name: (span.start, span.end) for span in spans if span is not root}
    assert phases["phase running"] == (NOW, NOW + MINUTE)
    assert phases["phase decommissioning"] == (NOW + MINUTE, NOW + 2 * MINUTE)
    assert "phase standby" not in phases


@pytest.mark.parametrize(
    "last", [[ev.HostTaken(by=JobKey("a", 2))], [ev.StandbyOver(why="drained"), ev.Decommissioned()]]
)
def test_a_host_that_a_start_finds_on_standby_has_no_span(last):
    tracing, spans = traced([job_in(Phase.STANDBY)])
    told(tracing, job_in(Phase.STANDBY), *last)
    assert not spans


def test_a_job_with_a_host_of_another_names_that_host():
    tracing, spans = traced()
    host = attrs.evolve(job_in(Phase.RUNNING).host, name="hpd-job-abc123xyz-77")
    record = told(tracing, apply(job(3), ev.Checked(), NOW), ev.HostReused(host=host, doubtful=False))
    told(tracing, record, ev.Ended(), ev.Decommissioned())
    [root] = [span for span in spans if span.name == "job"]
    assert root.attributes["cicd.worker.name"] == "hpd-job-abc123xyz-77"
