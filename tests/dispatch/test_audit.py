"""One runner's looks at what its coordinator believes, while that and the records change."""

from datetime import timedelta

import attrs
import pytest
from structlog.testing import capture_logs

from paas_runner.dispatch.audit import MOST_AT_ONCE, Audit
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.tenure import Tenure
from paas_runner.errors import Rejected, Transient
from paas_runner.job.audit import APART, Believed, BelievedJob, owed_from_text
from paas_runner.job.decision import Policy
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.store import StaleLeaseError
from paas_runner.testing.memory_store import MemoryStore
from tests.support.outside_world import RHYTHM
from tests.support.records import NOW, job_in
from tests.support.records import job as new_job

KEY = "abc123xyz"


def refusal(status=403):
    return Rejected("no", service="coordinator", op="act", status=status)


class Coordinator:
    """Jobs with a status each; what fails is said by name of the verb."""

    def __init__(self):
        self.cancels = True
        self.jobs = {}
        self.logs = set()
        self.retried = {}
        self.called = []
        self.apart = True
        self.complete = True
        self.graceful = False
        self.forces = True
        self.failing = {}
        self.meanwhile = lambda: None

    def add(self, *numbers):
        self.jobs |= dict.fromkeys(numbers, "running")

    def _call(self, verb, number=0):
        self.called.append((verb, number))
        if error := self.failing.get(verb):
            raise error

    async def running(self):
        self._call("list")
        listed = [
            BelievedJob(job_id=n, project_id=7) for n, status in self.jobs.items() if status == "running"
        ]
        self.meanwhile()
        return Believed(jobs=listed, complete=self.complete)

    async def tells_machines_apart(self):
        return self.apart

    async def has_log(self, job):
        self._call("log", job.job_id)
        return job.job_id in self.logs

    async def cancel(self, job, *, force=False):
        if force and not self.forces:
            raise refusal()
        self._call("force" if force else "cancel", job.job_id)
        if self.jobs[job.job_id] in ("running", "canceling"):
            self.jobs[job.job_id] = "canceling" if self.graceful and not force else "canceled"
        return self.jobs[job.job_id]

    async def retry(self, job):
        self._call("retry", job.job_id)
        if job.job_id in self.retried:
            raise refusal()
        self.retried[job.job_id] = again = job.job_id + 1000
        self.jobs[again] = "pending"
        return again


class Held(Tenure):
    """Of a section that may be another's."""

    ours = True

    async def confirm(self, runner):
        if not self.ours:
            raise StaleLeaseError(f"{runner} is another's")


@attrs.define
class Scene:
    coordinator: Coordinator
    registry: Registry
    store: MemoryStore
    counters: Counters
    tenure: Held
    audit: Audit
    now: object

    def wait(self, span=APART):
        self.now[0] += span

    async def looks(self, count=2):
        for _ in range(count):
            await self.audit.look()
            self.wait()

    @property
    def acts(self):
        return [call for call in self.coordinator.called if call[0] in ("cancel", "force", "retry")]

    @property
    def found(self):
        return self.counters.numbers["jobs_lost"]

    async def owed(self):
        return owed_from_text(await self.store.owed(KEY))


@pytest.fixture
def scene():
    coordinator, counters, store, now = Coordinator(), Counters(), MemoryStore(), [NOW]
    registry, tenure = Registry(Limits(concurrent=99, provisioning=99)), Held()
    served = ActiveRunner(
        key=KEY,
        name="virtual",
        coordinator=None,
        executor=None,
        policy=Policy(),
        rhythm=RHYTHM,
        counters=counters,
    )
    audit = Audit(
        served,
        coordinator,
        registry=registry,
        store=store,
        clock=lambda: now[0],
        tenure=tenure,
    )
    return Scene(coordinator, registry, store, counters, tenure, audit, now)


async def test_a_lost_job_is_found_at_the_second_look_counted_once_canceled_and_retried(scene):
    scene.coordinator.add(1)
    await scene.looks(1)
    assert not scene.found
    assert not scene.acts
    await scene.looks(3)
    assert scene.found == 1
    assert scene.acts == [("cancel", 1), ("retry", 1)]
    assert not await scene.owed()


async def test_without_the_second_token_it_is_only_told(scene):
    scene.coordinator.cancels = False
    scene.coordinator.add(1)
    with capture_logs() as logs:
        await scene.looks(4)
    assert [(line["event"], line["job"]) for line in logs] == [("job_lost", 1)]
    assert not scene.acts


@pytest.mark.parametrize("phase", [Phase.ACQUIRED, Phase.RUNNING, Phase.DECOMMISSIONING])
async def test_a_job_with_a_record_is_never_lost(scene, phase):
    scene.coordinator.add(1)
    scene.registry.put(job_in(phase))
    assert scene.registry.jobs[0].key == JobKey(KEY, 1)
    await scene.looks(4)
    assert not scene.found


async def test_another_runners_record_of_that_number_makes_no_job_known(scene):
    scene.coordinator.add(1)
    other = new_job(1)
    scene.registry.put(attrs.evolve(other, key=JobKey("another", 1)))
    await scene.looks()
    assert scene.found == 1


async def test_a_job_that_is_over_or_recorded_by_another_process_is_known(scene):
    scene.coordinator.add(1, 2)
    await scene.store.forget(JobKey(KEY, 1), ended=True)
    await scene.store.save(new_job(2))
    await scene.looks(4)
    assert not scene.found


async def test_a_job_that_arrives_or_ends_while_the_list_is_made_is_known(scene):
    scene.coordinator.add(1, 2)
    running = job_in(Phase.RUNNING)
    arriving = new_job(2)
    scene.registry.put(running)

    def changes():
        scene.registry.put(arriving)
        scene.registry.remove(running.key)

    scene.coordinator.meanwhile = changes
    await scene.audit.look()
    await scene.store.forget(running.key, ended=True)
    scene.wait()
    scene.coordinator.meanwhile = lambda: None
    await scene.looks(3)
    assert not scene.found


async def test_a_job_into_whose_log_somebody_writes_is_never_touched(scene):
    scene.coordinator.add(1)
    scene.coordinator.logs.add(1)
    with capture_logs() as logs:
        await scene.looks(4)
    assert scene.found == 1
    assert not scene.acts
    assert [line["reason"] for line in logs if line["event"] == "lost_job_left"] == [
        "somebody has written its log"
    ]


async def test_where_machines_cannot_be_told_apart_nothing_is_canceled(scene):
    scene.coordinator.add(1)
    scene.coordinator.apart = False
    with capture_logs() as logs:
        await scene.looks(4)
    assert not scene.acts
    assert [line["event"] for line in logs] == ["job_lost", "audit_unsure"]


async def test_a_section_that_another_process_has_is_left_alone(scene):
    scene.coordinator.add(1)
    scene.tenure.ours = False
    await scene.looks(1)
    with pytest.raises(StaleLeaseError):
        await scene.looks(1)
    assert not scene.acts
    assert not await scene.owed()


async def test_a_job_of_a_runner_that_could_wind_it_down_is_ended_by_force(scene):
    scene.coordinator.add(1)
    scene.coordinator.graceful = True
    await scene.looks()
    assert scene.acts == [("cancel", 1), ("force", 1), ("retry", 1)]


async def test_without_the_right_to_force_it_is_retried_as_soon_as_that_is_allowed(scene):
    scene.coordinator.add(1)
    scene.coordinator.graceful, scene.coordinator.forces = True, False
    scene.coordinator.failing["retry"] = refusal()
    await scene.looks()
    assert [job.job_id for job in await scene.owed()] == [1]
    scene.coordinator.jobs[1] = "canceled"  # by the coordinator's own sweep
    scene.coordinator.failing.clear()
    await scene.looks()
    assert scene.coordinator.retried == {1: 1001}
    assert not await scene.owed()


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_what_a_kill_or_an_outage_cut_off_is_gone_on_with_once(scene, verb):
    scene.coordinator.add(1)
    scene.coordinator.failing[verb] = Transient("silence", service="coordinator", op="act")
    await scene.looks(1)
    with pytest.raises(Transient):
        await scene.looks(1)
    assert [job.job_id for job in await scene.owed()] == [1]
    scene.coordinator.failing.clear()
    scene.audit = Audit(
        scene.audit._runner,
        scene.coordinator,
        registry=scene.registry,
        store=scene.store,
        clock=lambda: scene.now[0],
    )
    await scene.looks(3)
    assert scene.coordinator.retried == {1: 1001}
    assert not await scene.owed()


async def test_a_job_that_ended_otherwise_meanwhile_is_not_retried(scene):
    scene.coordinator.add(1)
    scene.coordinator.meanwhile = lambda: scene.coordinator.jobs.update({1: "failed"})
    await scene.looks(1)
    scene.coordinator.add(1)
    await scene.looks(1)
    assert scene.acts == [("cancel", 1)]
    assert not await scene.owed()


async def test_a_refusal_to_cancel_leaves_the_job_and_others_have_their_turn(scene):
    scene.coordinator.add(1, 2)
    scene.coordinator.failing["cancel"] = refusal(404)
    with capture_logs() as logs:
        await scene.looks(4)
    assert set(scene.acts) == {("cancel", 1), ("cancel", 2)}
    assert [line["job"] for line in logs if line["event"] == "lost_job_left"] == [1, 2]
    assert not await scene.owed()
    scene.coordinator.failing.clear()
    await scene.looks(1)
    assert scene.coordinator.retried == {1: 1001, 2: 1002}


async def test_however_many_are_lost_few_are_put_right_at_once(scene):
    scene.coordinator.add(*range(1, 40))
    await scene.looks()
    assert scene.found == 39
    assert len(scene.coordinator.retried) == MOST_AT_ONCE
    await scene.looks(3)
    assert len(scene.coordinator.retried) == 39


async def test_a_list_that_was_not_read_to_its_end_is_said_once(scene):
    scene.coordinator.complete = False
    with capture_logs() as logs:
        await scene.looks(3)
    assert [line["event"] for line in logs] == ["audit_cut"]


def test_apart_is_longer_than_a_request_may_be_in_flight():
    from paas_runner.coordinator.gitlab import LONG_POLL_SECONDS

    assert timedelta(seconds=LONG_POLL_SECONDS + 15) < APART


async def test_a_cancelation_whose_answer_was_lost_and_that_is_refused_then_is_owed(scene):
    """Found by the simulation: the first try had its effect, and a conflict made us forget the job."""
    scene.coordinator.add(1)
    cancel = scene.coordinator.cancel

    async def unanswered(job, *, force=False):
        await cancel(job, force=force)
        raise Transient("silence", service="coordinator", op="act")

    scene.coordinator.cancel = unanswered
    await scene.looks(1)
    with pytest.raises(Transient):
        await scene.looks(1)
    scene.coordinator.cancel = cancel
    scene.coordinator.failing["cancel"] = refusal(409)
    await scene.looks(1)
    scene.coordinator.failing.clear()
    await scene.looks(1)
    assert scene.coordinator.retried == {1: 1001}


@pytest.mark.parametrize("status", [401, 409])
async def test_a_retry_that_is_refused_for_another_reason_is_owed(scene, status):
    scene.coordinator.add(1)
    scene.coordinator.failing["retry"] = refusal(status)
    await scene.looks()
    assert [job.job_id for job in await scene.owed()] == [1]
    scene.coordinator.failing.clear()
    await scene.looks(1)
    assert scene.coordinator.retried == {1: 1001}


async def test_those_that_cannot_be_put_right_keep_no_others_back(scene):
    scene.coordinator.add(*range(1, 2 * MOST_AT_ONCE + 1))
    scene.coordinator.logs |= set(range(1, MOST_AT_ONCE + 1))
    await scene.looks(3)
    assert set(scene.coordinator.retried) == set(range(MOST_AT_ONCE + 1, 2 * MOST_AT_ONCE + 1))
