"""One trace per job, through the whole service in virtual time, as a receiver of OpenTelemetry's gets it."""

import asyncio
import contextlib
import functools
import tomllib

import pytest
from structlog.testing import capture_logs

from paas_runner.job.tracked import Phase
from paas_runner.logs import Redactor
from paas_runner.sandbox.faults import Answer, DropAfter
from paas_runner.spans import parsed_traceparent
from paas_runner.tracing import export, job_spans, tracing
from tests.support.trace_receiver import TraceReceiver
from tests.support.virtual_world import VirtualWorld

RECEIVER = "http://receiver.test"
TRACES = f"""
[traces]
endpoint = "{RECEIVER}"
headers = "authorization=Bearer receiver-canary-secret"
"""
PHASES = ["acquired", "provisioning", "provisioned", "launching", "launched", "running", "decommissioning"]


class TracedWorld(VirtualWorld):
    def __init__(self, folder, **options):
        super().__init__(folder, **({"more": TRACES} | options))
        self.receiver = TraceReceiver()
        self._apps[RECEIVER] = self.receiver.app
        self.trees = []
        received = self.cloud.received_push

        def received_push(ref, commit, files, *, by):
            self.trees.append(files)
            return received(ref, commit, files, by=by)

        self.cloud.received_push = received_push

    @property
    def handed(self):
        """The section of the last host's runner.toml."""
        [section] = tomllib.loads(self.trees[-1]["runner.toml"].decode())["runners"]
        return section


@pytest.fixture
def trace(tmp_path):
    return functools.partial(TracedWorld.play, tmp_path)


def variable(section):
    [found] = section["environment"]
    return parsed_traceparent(found.removeprefix("TRACEPARENT="))


def test_a_job_is_one_trace_with_a_span_for_each_phase_and_each_call_in_its_phase(trace):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 100", name="build")
            await world.settled(job)
        receiver = world.receiver
        root = receiver.only("job")
        assert {span.trace_id for span in receiver.spans} == {root.trace_id}
        assert receiver.twice == []
        assert root.attributes["cicd.pipeline.task.name"] == "build"
        assert root.attributes["cicd.pipeline.task.run.id"] == str(job.job_id)
        assert root.attributes["cicd.worker.name"] == f"hpd-job-{world.key}-{job.job_id}"
        assert root.attributes["cicd.worker.id"].startswith("app_")
        assert root.error is None
        assert root.resource["service.name"] == "paas-runner"
        [(_, below)] = receiver.tree()
        assert [name for name, _ in below] == ["request a job", *(f"phase {phase}" for phase in PHASES)]
        calls = {name: [call for call, _ in each] for name, each in below}
        assert "create the application" in calls["phase provisioning"]
        assert "push the job" in calls["phase launching"]
        assert "look at the job's log" in calls["phase launched"]
        assert "job status" in calls["phase running"]
        assert any("delete" in call or "remove" in call for call in calls["phase decommissioning"])
        phases = [receiver.only(f"phase {phase}") for phase in PHASES]
        assert sum(phase.seconds for phase in phases) == pytest.approx(root.seconds)

    trace(story)


def test_the_host_gets_the_jobs_traceparent_and_nothing_of_the_exporters(trace):
    async def story(world):
        async with world.service():
            await world.settled(world.submit())
        root = world.receiver.only("job")
        handed = variable(world.handed)
        assert (handed.trace_id, handed.span_id, handed.sampled) == (root.trace_id, root.span_id, True)
        tree = b"".join(world.trees[-1].values())
        assert b"receiver" not in tree
        assert "paas_traces" not in world.handed
        assert {headers["authorization"] for headers in world.receiver.headers} == {
            "Bearer receiver-canary-secret"
        }

    trace(story)


def test_a_hosts_own_export_is_the_operators_decision(trace):
    more = TRACES + 'hosts_endpoint = "http://collector.example:4318"\nhosts_headers = "x-key=for hosts"\n'

    async def story(world):
        async with world.service():
            await world.settled(world.submit())
        assert world.handed["paas_traces"] == {
            "endpoint": "http://collector.example:4318",
            "headers": {"x-key": "for hosts"},
        }
        assert b"receiver-canary-secret" not in b"".join(world.trees[-1].values())

    trace(story, more=more)


def test_without_traces_the_tree_has_no_word_of_them(trace):
    async def story(world):
        async with world.service():
            await world.settled(world.submit())
        assert "environment" not in world.handed
        assert world.receiver.headers == []

    trace(story, more="")


@pytest.mark.parametrize("phase", [Phase.PROVISIONING, Phase.LAUNCHED, Phase.RUNNING, Phase.DECOMMISSIONING])
def test_a_service_that_was_killed_goes_on_in_the_same_trace(trace, phase):
    async def story(world):
        reached, save = asyncio.Event(), world.store.save

        async def saved(record):
            await save(record)
            if record.phase is phase:
                reached.set()

        world.store.save = saved
        serving, _ = world.start()
        job = world.submit("sleep 100")
        await reached.wait()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        async with world.service():
            await world.settled(job)
        root = world.receiver.only("job")
        assert {span.trace_id for span in world.receiver.spans} == {root.trace_id}
        assert variable(world.handed).trace_id == root.trace_id
        assert [name for name, _ in world.receiver.tree(root) if name.startswith("phase")] == [
            f"phase {phase}" for phase in PHASES
        ]
        assert set(world.launches.values()) == {1}

    trace(story)


def test_a_job_that_fails_says_so_in_its_trace_and_a_repeated_call_its_attempt(trace):
    async def story(world):
        world.cloud_faults.add(Answer(400), method="POST", path="/v2/organisations/*/applications")
        world.coordinator_faults.add(DropAfter(), method="PUT", path="/api/v4/jobs/*", times=1)
        async with world.service():
            await world.settled(world.submit())
        root = world.receiver.only("job")
        assert root.error.startswith("The host of this job could not be prepared.")
        assert root.attributes["cicd.pipeline.task.run.result"] == "error"
        assert root.attributes["error.type"] == "runner_system_failure"
        [refused] = world.receiver.named("create the application")
        assert refused.attributes["http.response.status_code"] == 400
        assert refused.attributes["error.type"] == "400"
        assert refused.attributes["server.address"] == "cloud.test"
        lost = next(s for s in world.receiver.spans if s.attributes.get("error.type") == "no_answer")
        assert "http.response.status_code" not in lost.attributes

    trace(story)


def test_of_all_jobs_only_a_share_is_traced_and_hosts_know_it(trace):
    async def story(world):
        async with world.service():
            await world.settled(*(world.submit(name=f"job {n}") for n in range(20)))
        traced = {span.trace_id for span in world.receiver.named("job")}
        assert 0 < len(traced) < 20
        for tree in world.trees:
            [section] = tomllib.loads(tree["runner.toml"].decode())["runners"]
            assert variable(section).sampled == (variable(section).trace_id in traced)

    trace(story, more=TRACES + "sample_ratio = 0.5\n", concurrent=20)


def test_an_outage_of_the_receiver_is_said_once_and_costs_no_job_and_few_spans(trace):
    async def story(world):
        world.receiver.answers = [503] * 5
        async with world.service():
            job = world.submit("sleep 600")
            await world.settled(job)
        assert job.status == "success"
        assert world.receiver.only("job")
        assert len(world.receiver.named("create the application")) == 1

    with capture_logs() as logs:
        trace(story)
    events = [line["event"] for line in logs if "traces" in line["event"] or "spans" in line["event"]]
    assert events == ["traces_not_taken", "traces_taken_again"]


def test_what_no_receiver_takes_is_dropped_counted_and_said_at_the_end(trace, monkeypatch):
    monkeypatch.setattr(export, "MOST_WAITING", 10)

    async def story(world):
        world.receiver.answers = [503] * 10_000
        async with world.service():
            job = world.submit("sleep 600")
            await world.settled(job)
            ended = world.seconds()
        assert world.seconds() - ended < export.FLUSH_SECONDS + 60
        assert job.status == "success"

    with capture_logs() as logs:
        trace(story)
    lines = [line for line in logs if "traces" in line["event"] or "spans" in line["event"]]
    assert [line["event"] for line in lines] == ["spans_dropped", "traces_not_taken", "spans_lost"]
    assert lines[-1]["spans"] > 10
    assert "receiver-canary-secret" not in str(logs)


def test_a_batch_that_is_refused_for_good_is_not_sent_again(trace):
    async def story(world):
        world.receiver.answers = [400]
        async with world.service():
            await world.settled(world.submit("sleep 600"))
        assert world.receiver.only("job")
        assert world.receiver.named("create the application") == []

    with capture_logs() as logs:
        trace(story)
    assert next(line["dropped"] for line in logs if line["event"] == "traces_taken_again") > 0


def test_a_job_of_many_calls_has_a_bounded_trace(trace, monkeypatch):
    monkeypatch.setattr(tracing, "MOST_CALLS", 20)

    async def story(world):
        async with world.service():
            await world.settled(world.submit("sleep 3000"))
        root = world.receiver.only("job")
        assert len(world.receiver.spans) == 20 + 1 + 1 + len(PHASES)
        assert root.attributes["paas_runner.calls_left_out"] > 20

    trace(story)


def test_what_an_author_writes_is_bounded_and_masked(trace):
    async def story(world):
        async with world.service():
            await world.settled(world.submit(name="x\n" * 500))
        name = world.receiver.only("job").attributes["cicd.pipeline.task.name"]
        assert len(name) == 200
        assert "\n" not in name

    trace(story)


def test_no_secret_is_in_any_span(trace, monkeypatch):
    monkeypatch.setattr(job_spans, "redactor", redactor := Redactor())

    async def story(world):
        redactor.add([world.runner.token])
        async with world.service():
            jobs = [world.submit("true", name=f"job {n} {world.runner.token.reveal()}") for n in range(2)]
            world.cloud_faults.add(
                Answer(400), method="POST", path="/v2/organisations/*/applications", times=1
            )
            await world.settled(*jobs)
        told = b"".join(world.receiver.bodies)
        assert b"request a job" in told
        secrets = [world.runner.token, *(job.token for job in jobs)]
        for secret in (*(each.reveal() for each in secrets), "cloud-token-canary", "receiver-canary-secret"):
            assert secret.encode() not in told

    trace(story)


def test_a_service_that_is_ended_at_once_does_not_wait_for_the_receiver(trace):
    async def story(world):
        serving, _ = world.start()
        world.submit("sleep 1000")
        await asyncio.sleep(100)
        world.receiver.answers = [503] * 100
        began = world.seconds()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        assert world.seconds() - began < 1

    trace(story)
