"""What the commands print for programs."""

import json

import pytest

from paas_runner import __version__
from paas_runner.status.report import to_data
from paas_runner.status.views import page
from tests.golden.programs import called, configuration, ran
from tests.golden.recording import held, held_text, normalised
from tests.golden.worlds import BOTH_EXECUTORS
from tests.support.sharing import holding, standby
from tests.support.watched_world import NAMES, glance


@pytest.mark.parametrize("answer", ["status up", "status down", "explain up", "explain down"])
def test_status_and_explain_of_recorded_jobs(recorded_store, answer):
    held(answer.replace(" ", "-"), recorded_store[answer])


def test_status_of_a_job_that_runs(one_job):
    held("status-running", one_job["status"])


@pytest.mark.parametrize(("role", "elsewhere"), [("holder", ()), ("standby", NAMES)])
def test_status_of_processes_that_share_a_store(role, elsewhere):
    sharing = {"holder": holding, "standby": standby}[role]()
    report = glance([], elsewhere=frozenset(elsewhere), sharing=sharing).status()
    held(f"status-{role}", normalised(to_data(report)))
    held_text(f"status-{role}.txt", page(report).replace(__version__, "A VERSION") + "\n")


@pytest.mark.parametrize("by", ["tenant", "runner", "flavor", "job", "day"])
def test_costs_as_json_and_as_csv(recorded_store, by):
    held(f"costs-{by}", json.loads(recorded_store[f"costs by {by} json"]))
    held_text(f"costs-{by}.csv", recorded_store[f"costs by {by} csv"])


def test_orphans_of_a_cloud_with_a_tracked_host_and_a_young_one(one_job):
    held("orphans", one_job["orphans"])


def test_check_of_a_configuration_in_use(one_job):
    clock = one_job["check"]["results"].pop()  # it names the services in the order of their answers
    assert set(clock) == {"runner", "subject", "grade", "text", "advice"}
    assert (clock["runner"], clock["subject"], clock["grade"]) == (None, "clock", "fine")
    held("check", one_job["check"])


def test_the_certificate_of_a_drain_that_left_a_host(one_job):
    held("drain", one_job["drain"])


def test_check_of_a_wrong_configuration(tmp_path):
    config = configuration(tmp_path, 'concurrent = "many"\n')
    code, answer, _ = ran("paas-runner", "check", config, "--json")
    assert code == 78
    held("check-wrong", normalised(json.loads(answer), (tmp_path, "FOLDER")))


def test_check_shows_the_configuration_that_is_in_effect(tmp_path):
    config = configuration(tmp_path, BOTH_EXECUTORS)
    code, answer, _ = ran("paas-runner", "check", config, "--show", "--json", "--offline")
    assert code == 0
    held("check-show", normalised(json.loads(answer), (tmp_path, "FOLDER")))


def test_list_tells_each_runner(tmp_path):
    code, answer, _ = called("paas-runner", "list", configuration(tmp_path, BOTH_EXECUTORS), "--json")
    assert code == 0
    held("list", json.loads(answer))


def test_the_demo_tells_its_jobs_and_its_verdict(demo):
    for job in demo["jobs"]:
        assert all(isinstance(seconds, int | float) for seconds in job["seconds"].values())
        job["seconds"] = sorted(job["seconds"].keys() & ALWAYS_SEEN)
        assert job.pop("log").startswith("Running with paas-runner-inner")
    assert all(isinstance(line, str) for line in demo.pop("course"))
    held("demo", demo)


ALWAYS_SEEN = {"acquired", "provisioning", "provisioned", "launching", "launched", "decommissioning"}
"""Phases in which even the quickest job is."""
