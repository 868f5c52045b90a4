"""A host on standby is a host, and no job any more (H140): what a scrape says of it."""

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.capacity import Load
from paas_runner.job.lifecycle import apply
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from paas_runner.job.standing import PARTINGS, Parting
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.metrics import Metrics
from tests.metrics.test_cardinality import made
from tests.support.records import NOW, job, job_in
from tests.support.views import dispatch_view

RUNNER = "abc123xyz"
RULE = QuotaRule(reference_runner=RUNNER, reference_flavor="M", reference_jobs=5)


@pytest.fixture
def jobs():
    standing = job_in(Phase.STANDBY)
    heavy = attrs.evolve(standing.host, weight=1.5, price=2.0, ref="app_2")
    return [attrs.evolve(standing, key=JobKey(RUNNER, 2), host=heavy), job_in(Phase.RUNNING)]


def metrics_of(jobs):
    present = made([])._read()
    limits = Limits(concurrent=10, provisioning=10, quota=RULE)
    load = Load.of(jobs, limits, flavors={RUNNER: Flavors(weights={"M": 1.0})})
    view = dispatch_view(load=load, jobs=jobs, runners={RUNNER: "small"})
    present = attrs.evolve(present, view=view, sharing=None, costs={}, concurrent=10)
    return Metrics(lambda: present, system_id="s_1", name_of=str, exemplars=lambda: False)


def value(metrics, name, **labels):
    samples = [each for family in metrics._registry.collect() for each in family.samples]
    found = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
    return sum(found) if found else None


def test_it_is_among_the_hosts_and_not_among_the_jobs(jobs):
    metrics = metrics_of(jobs)
    assert value(metrics, "gitlab_runner_jobs") == 1
    assert value(metrics, "paas_runner_jobs") == 1
    assert value(metrics, "paas_runner_jobs", phase="standby") is None
    assert value(metrics, "paas_runner_headroom_jobs") == 9
    assert value(metrics, "paas_runner_hosts") == 2
    assert value(metrics, "paas_runner_host_states") == 2
    assert value(metrics, "paas_runner_host_states", state="standby") == 1
    assert value(metrics, "paas_runner_host_states", state="busy") == 1
    assert value(metrics, "paas_runner_cost_per_hour") == 2


def test_its_weight_is_told_beside_that_of_jobs(jobs):
    metrics = metrics_of(jobs)
    assert value(metrics, "paas_runner_standby_weight") == 1.5
    assert value(metrics, "paas_runner_weight") == 1.0
    assert value(metrics, "paas_runner_weight_headroom") == 4.0


def test_it_is_no_old_job(jobs):
    assert value(metrics_of(jobs[:1]), "paas_runner_oldest_job_seconds") == 0
    assert value(metrics_of(jobs[:1]), "paas_runner_jobs_over_timeout") == 0


def test_what_becomes_of_hosts_that_wait_is_counted(jobs):
    metrics = metrics_of(jobs)
    waits, host = apply(job(3), ev.Checked(), NOW), jobs[0].host
    reused = ev.HostReused(host=host, doubtful=False)
    metrics.happenings.job_changed(apply(waits, reused, NOW), reused, waits)
    for why in (Parting.TIME, Parting.ROOM, "the host app_2 refused: 502"):
        over = ev.StandbyOver(why=why)
        metrics.happenings.job_changed(apply(jobs[0], over, NOW), over, jobs[0])
    assert value(metrics, "paas_runner_hosts_reused_total", runner=RUNNER) == 1
    counts = {why: value(metrics, "paas_runner_hosts_let_go_total", reason=why) for why in PARTINGS}
    assert counts == dict.fromkeys(PARTINGS, 0) | {"time": 1, "room": 1, "unreachable": 1}
