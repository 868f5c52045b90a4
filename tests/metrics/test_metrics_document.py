"""docs/metrics.md lists each metric that the service exposes, with its type and labels, and no other."""

import re
from pathlib import Path

import attrs
import pytest

from paas_runner.job.capacity import Load
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from tests.metrics.test_cardinality import made, tell_everything, tracked

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `((?:gitlab_runner|paas_runner|process)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)


def exposed():
    """Every metric, with its type and the names of its labels; something of each has happened."""
    jobs = [tracked(number) for number in range(3)]
    metrics = made(jobs)
    quota = QuotaRule(reference_runner="runner000", reference_flavor="M", reference_jobs=5)
    limits = Limits(concurrent=10, provisioning=10, quota=quota)
    load = Load.of(jobs, limits, flavors={"runner000": Flavors(weights={"M": 1.0})})
    present = metrics._read()
    reached = {
        name: attrs.evolve(service, last_success=present.now) for name, service in present.reached.items()
    }
    present = attrs.evolve(present, view=attrs.evolve(present.view, load=load), reached=reached)
    metrics._read = lambda: present
    [collector] = [each for each in metrics._registry._collector_to_names if hasattr(each, "_read")]
    collector._read = lambda: present
    tell_everything(metrics, jobs)
    metrics._lag.observe(0)
    metrics.renewed(0.01, False)
    found = {}
    for family in metrics._registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
    return found


@pytest.fixture(scope="module")
def documented():
    rows = ROW.findall((ROOT / "docs/metrics.md").read_text())
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_each_metric_is_documented_with_its_type_and_labels(documented):
    assert documented == exposed()


def test_gitlab_runners_names_are_those_of_the_specification(documented):
    assert {name for name in documented if name.startswith("gitlab_runner_")} == {
        "gitlab_runner_api_request_statuses_total",
        "gitlab_runner_concurrent",
        "gitlab_runner_errors_total",
        "gitlab_runner_job_duration_seconds",
        "gitlab_runner_job_queue_duration_seconds",
        "gitlab_runner_jobs",
        "gitlab_runner_jobs_total",
        "gitlab_runner_limit",
        "gitlab_runner_request_concurrency",
        "gitlab_runner_request_concurrency_hard_limit",
        "gitlab_runner_version_info",
    }
