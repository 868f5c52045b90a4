"""Two-phase acquisition (spec gitlab-runner-api.md §2.8): reserved, acknowledged, or handed out again."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.reports import StateReport
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret
from tests.support.live_records import added, submitted

FEATURES = frozenset({"two_phase_job_commit"})


class World:
    def __init__(self, seconds=120.0):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        options = CoordinatorOptions(
            registration_token=Secret("r"), admin_token=Secret("a"), acknowledgement_seconds=seconds
        )
        self.coordinator = Coordinator(clock=lambda: self.now, options=options, rng=random.Random(1))
        self.runner = added(self.coordinator, description="x")
        self.job = submitted(self.coordinator, JobSpec(name="x"))

    def acquire(self, features=FEATURES):
        return self.coordinator.acquire(self.runner.runner_id, features=features)

    def put(self, state):
        return self.coordinator.update(self.job.job_id, StateReport(state=state)).status

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def world():
    return World()


async def test_a_reserved_job_is_pending_and_no_one_elses(world):
    assert world.acquire() == world.job
    assert world.job.status == "pending"
    assert world.acquire() is None
    assert world.coordinator.running_job(world.job.token.reveal()) == world.job


async def test_an_acknowledged_job_runs(world):
    world.acquire()
    assert world.put("running") == 200
    assert (world.job.status, world.job.count(LedgerKind.ACQUIRED)) == ("running", 1)


async def test_no_final_word_is_taken_before_the_acknowledgement(world):
    world.acquire()
    assert [world.put(state) for state in ("failed", "success")] == [400, 400]
    assert world.coordinator.append_trace(world.job.job_id, 0, b"x").status == 403


async def test_a_reservation_that_is_kept_alive_lasts(world):
    world.acquire()
    for _ in range(5):
        world.wait(100)
        assert world.put("pending") == 200
    assert world.put("running") == 200


async def test_a_reservation_that_is_forgotten_brings_the_job_again_as_a_new_one(world):
    world.acquire()
    world.wait(121)
    assert world.put("running") == 403
    again = world.acquire()
    assert (world.job.status, world.job.failure_reason) == ("failed", "runner_provisioning_timeout")
    assert again.retry_of == world.job.job_id


@pytest.mark.parametrize(("seconds", "features"), [(0.0, FEATURES), (120.0, frozenset())])
async def test_without_the_servers_switch_or_the_runners_feature_a_job_runs_at_once(seconds, features):
    world = World(seconds)
    world.acquire(features)
    assert world.job.status == "running"
    assert world.put("pending") == 400
