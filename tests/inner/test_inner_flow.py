"""The order of a job's stages and what may end them early, in virtual time."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.inner import Stops, UnreportedError
from paas_runner.inner.ending import Reason, StageError, broken, exited
from paas_runner.inner.helper import Stage
from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.scripted import ScriptedInnerRunner
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.hosts import RUNNER_TOML, Hosts, hosts, script
from tests.support.live_records import LiveJob

ALL = tuple(stage for stage in Stage if stage is not Stage.CLEAR_WORKTREE)


@attrs.define
class Recorder:
    """A helper that has something to do at some stages, takes its time, and fails where it is reported to."""

    stages: tuple[Stage, ...] = ALL
    failures: dict[Stage, list[Exception]] = attrs.field(factory=dict)
    seconds: dict[Stage, float] = attrs.field(factory=dict)
    begun: list[Stage] = attrs.field(factory=list)
    broken_off: list[Stage] = attrs.field(factory=list)

    def has(self, stage: Stage) -> bool:
        return stage in self.stages

    async def run(self, stage: Stage) -> None:
        self.begun.append(stage)
        try:
            await asyncio.sleep(self.seconds.get(stage, 0))
        except asyncio.CancelledError:
            self.broken_off.append(stage)
            raise
        if self.failures.get(stage):
            raise self.failures[stage].pop(0)


@attrs.frozen
class Played:
    job: LiveJob
    helper: Recorder
    world: Hosts
    seconds: float

    @property
    def text(self) -> str:
        return self.job.trace.decode()

    def written(self, *words: str) -> bool:
        """Whether the words stand in the trace in this order."""
        places = [self.text.find(word) for word in words]
        return -1 not in places and places == sorted(places)


def played(
    spec: JobSpec,
    helper: Recorder | None = None,
    *,
    meanwhile: tuple[float, Callable[[Hosts, LiveJob, Stops], object]] | None = None,
    change: dict[str, Any] | None = None,
) -> Played:
    """A job in virtual time; `meanwhile` is done so many seconds after its begin."""
    recorder = helper or Recorder()

    async def main() -> Played:
        world = hosts(clock=virtual_now)
        job, job_json = world.handed_out(spec)
        payload = json.loads(job_json) | (change or {})
        stops = Stops()
        runner = ScriptedInnerRunner(
            clock=virtual_now, transport=lambda url: world.wire, helper=lambda *_: recorder
        )
        if meanwhile:
            asyncio.get_running_loop().call_later(meanwhile[0], meanwhile[1], world, job, stops)
        await runner.run(RUNNER_TOML, json.dumps(payload), stops)
        return Played(job, recorder, world, asyncio.get_running_loop().time())

    return run_virtual(main())


def cancel(world: Hosts, job: LiveJob, stops: Stops) -> None:
    world.coordinator.cancel(job.job_id)


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value) for key, value in values.items())


BEFORE = [Stage.GET_SOURCES, Stage.RESTORE_CACHE, Stage.DOWNLOAD_ARTIFACTS]
GOOD = [Stage.ARCHIVE_CACHE, Stage.UPLOAD_ARTIFACTS]
BAD = [Stage.ARCHIVE_CACHE_ON_FAILURE, Stage.UPLOAD_ARTIFACTS_ON_FAILURE]


def test_a_good_job_goes_through_all_stages_in_order() -> None:
    found = played(script("echo one", after_script=("echo two",)))
    assert found.helper.begun == BEFORE + GOOD
    assert found.written(
        "Running with paas-runner-inner",
        'Preparing the "scripted" executor',
        "Preparing environment",
        "Getting source from Git repository",
        "Restoring cache",
        "Downloading artifacts",
        'Executing "step_script" stage of the job script',
        "$ echo one",
        "Running after_script",
        "Running after script...",
        "$ echo two",
        "Saving cache for successful job",
        "Uploading artifacts for successful job",
        "Cleaning up project directory and file based variables",
        "Job succeeded",
    )


def test_a_stage_with_nothing_to_do_leaves_nothing_in_the_trace() -> None:
    found = played(script("true"), Recorder(stages=(Stage.GET_SOURCES,)))
    assert found.helper.begun == [Stage.GET_SOURCES]
    assert "Restoring cache" not in found.text


def test_a_failed_script_is_followed_by_the_stages_for_failed_jobs() -> None:
    found = played(script("exit 3", after_script=("echo $CI_JOB_STATUS",)))
    assert found.helper.begun == BEFORE + BAD
    assert found.written("\nfailed\n", "Saving cache for failed job", "Job failed: exit code 3")
    assert found.job.exit_code == 3


@pytest.mark.parametrize("stage", BEFORE)
def test_a_failure_before_the_scripts_skips_them_all(stage: Stage) -> None:
    helper = Recorder(failures={stage: [StageError(exited(1))]})
    found = played(script("echo never", after_script=("echo neither",)), helper)
    assert "never" not in found.text
    assert "neither" not in found.text
    assert found.helper.begun[-2:] == BAD
    assert (found.job.failure_reason, found.job.exit_code) == ("script_failure", 1)


def test_a_failed_upload_fails_a_good_job() -> None:
    helper = Recorder(failures={Stage.UPLOAD_ARTIFACTS: [StageError(exited(1))]})
    found = played(script("true"), helper)
    assert (found.job.status, found.job.exit_code) == ("failed", 1)
    assert "Job succeeded" not in found.text


def test_a_failed_upload_does_not_hide_why_the_script_failed() -> None:
    helper = Recorder(failures={Stage.UPLOAD_ARTIFACTS_ON_FAILURE: [StageError(exited(1))]})
    assert played(script("exit 9"), helper).job.exit_code == 9


def test_stages_are_tried_again_with_growing_pauses() -> None:
    failures = {stage: [StageError(exited(1)), StageError(exited(1))] for stage in BEFORE}
    chosen = variables(GET_SOURCES_ATTEMPTS="3", RESTORE_CACHE_ATTEMPTS="3", ARTIFACT_DOWNLOAD_ATTEMPTS="3")
    helper = Recorder(stages=tuple(Stage), failures=failures)
    found = played(script("true", variables=chosen), helper)
    assert found.job.status == "success"
    sources = [Stage.GET_SOURCES, Stage.CLEAR_WORKTREE, Stage.GET_SOURCES, Stage.GET_SOURCES]
    assert found.helper.begun[:4] == sources
    assert found.written("Retrying in 5s", "Retrying in 7.5s")
    assert found.seconds == pytest.approx(3 * 12.5, abs=4)


def test_steps_run_in_order_and_the_first_failure_ends_them() -> None:
    def step(name: str, *lines: str) -> dict[str, Any]:
        return {"name": name, "script": list(lines)}

    steps = [
        step("script", "echo a"),
        step("release", "echo $CI_JOB_STATUS", "exit 4"),
        step("later", "echo c"),
    ]
    found = played(script("true"), change={"steps": steps})
    assert found.written("step_script", "\na\n", "step_release", "\nrunning\n", "exit code 4")
    assert "step_later" not in found.text


def test_the_runners_scripts_stand_around_each_step_but_not_after_script() -> None:
    async def main() -> str:
        world = hosts(clock=virtual_now)
        job, job_json = world.handed_out(script("echo job", after_script=("echo after",)))
        toml = RUNNER_TOML + 'pre_build_script = "echo pre"\npost_build_script = "echo post"\n'
        await ScriptedInnerRunner(clock=virtual_now, transport=lambda url: world.wire).run(toml, job_json)
        return job.trace.decode()

    text = run_virtual(main())
    places = [text.index(f"\n{word}\n") for word in ("pre", "job", "post", "after")]
    assert places == sorted(places)
    assert text.count("\npre\n") == 1


def test_a_canceled_script_is_followed_by_after_script_cache_and_artifacts() -> None:
    spec = script("sleep 3000", after_script=("echo was $CI_JOB_STATUS",))
    found = played(spec, meanwhile=(100, cancel))
    assert found.written(
        "WARNING: script canceled externally (UI, API)", "\nwas canceled\n", "Saving cache for failed"
    )
    assert found.text.rstrip().endswith("ERROR: Job failed: canceled\x1b[0;m")
    assert found.helper.begun == BEFORE + BAD
    assert found.job.status == "canceled"
    (last,) = found.world.wire.final_puts()
    assert (last["state"], last["failure_reason"]) == ("failed", "unknown_failure")


def test_a_job_that_is_canceled_before_its_script_ends_at_once() -> None:
    helper = Recorder(seconds={Stage.GET_SOURCES: 1000})
    found = played(script("echo never", after_script=("echo neither",)), helper, meanwhile=(100, cancel))
    assert found.helper.broken_off == [Stage.GET_SOURCES]
    assert found.helper.begun == [Stage.GET_SOURCES]
    assert "never" not in found.text
    assert "neither" not in found.text
    assert found.seconds < 140
    assert found.job.status == "canceled"


def test_to_cancel_after_the_script_is_too_late() -> None:
    """The server makes `canceled` of our `success` (spec gitlab-runner-api.md §3.4)."""
    helper = Recorder(seconds={Stage.UPLOAD_ARTIFACTS: 1000})
    found = played(script("true"), helper, meanwhile=(100, cancel))
    assert found.helper.broken_off == []
    assert "Job succeeded" in found.text
    assert found.job.status == "canceled"


def test_a_forced_cancel_breaks_everything_off() -> None:
    helper = Recorder(seconds={Stage.UPLOAD_ARTIFACTS: 1000})
    found = played(
        script("true"),
        helper,
        meanwhile=(100, lambda world, job, _: world.coordinator.cancel(job.job_id, force=True)),
    )
    assert found.helper.broken_off == [Stage.UPLOAD_ARTIFACTS]
    assert found.seconds < 140


def test_the_jobs_time_is_for_all_stages_together() -> None:
    helper = Recorder(seconds={Stage.GET_SOURCES: 10_000})
    found = played(script("true"), helper)
    assert found.helper.begun == [Stage.GET_SOURCES]
    assert found.job.failure_reason == "job_execution_timeout"
    assert found.seconds == pytest.approx(3600, abs=5)


def test_a_script_with_its_own_limit_leaves_time_for_after_script() -> None:
    spec = script(
        "sleep 3000",
        after_script=("echo was $CI_JOB_STATUS",),
        variables=variables(RUNNER_SCRIPT_TIMEOUT="10m"),
    )
    found = played(spec)
    assert "\nwas timedout\n" in found.text
    assert found.helper.begun == BEFORE + BAD
    assert found.job.failure_reason == "job_execution_timeout"
    assert found.seconds == pytest.approx(600, abs=5)


def test_after_script_can_be_given_another_limit() -> None:
    spec = script("true", after_script=("sleep 3000",), variables=variables(RUNNER_AFTER_SCRIPT_TIMEOUT="1m"))
    found = played(spec)
    assert found.seconds == pytest.approx(60, abs=5)
    assert "WARNING: after_script failed, but job will continue unaffected: timedout" in found.text
    assert found.job.status == "success"


def test_a_failed_after_script_counts_when_the_author_wants_it() -> None:
    chosen = variables(AFTER_SCRIPT_IGNORE_ERRORS="false")
    assert played(script("true", after_script=("exit 7",), variables=chosen)).job.exit_code == 7
    assert played(script("exit 2", after_script=("exit 7",), variables=chosen)).job.exit_code == 2


def test_an_abort_ends_the_script_without_after_script() -> None:
    found = played(
        script("sleep 3000", after_script=("echo neither",)),
        meanwhile=(100, lambda *found: found[2].abort("terminated")),
    )
    assert found.text.rstrip().endswith("ERROR: Job failed (system failure): aborted: terminated\x1b[0;m")
    assert "neither" not in found.text
    assert found.job.failure_reason == "runner_system_failure"
    assert found.seconds < 110


def test_an_unexpected_error_is_reported_to_the_coordinator() -> None:
    helper = Recorder(failures={Stage.RESTORE_CACHE: [KeyError("with details")]})
    found = played(script("true"), helper)
    assert found.job.failure_reason == "runner_system_failure"
    assert "unexpected error in the runner: KeyError" in found.text
    assert "with details" not in found.text


@pytest.mark.parametrize(
    ("known", "reported"),
    [
        (["image_pull_failure"], "image_pull_failure"),
        ([], "runner_system_failure"),
        (None, "runner_system_failure"),
    ],
)
def test_a_failure_reason_is_one_that_the_coordinator_knows(known: list[str] | None, reported: str) -> None:
    failure = StageError(broken("pull access denied", Reason.IMAGE_PULL))
    helper = Recorder(failures={Stage.GET_SOURCES: [failure]})
    found = played(script("true"), helper, change={"features": {"failure_reasons": known}})
    (last,) = found.world.wire.final_puts()
    assert last["failure_reason"] == reported


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run": "[{}]", "steps": []}, "`run` steps are not supported"),
        ({"secrets": {"PW": {"vault": {}}}}, "`secrets` from a vault are not supported"),
    ],
)
def test_a_job_that_needs_what_is_not_done_here_fails_with_words(change: dict[str, Any], words: str) -> None:
    found = played(script("echo never"), change=change)
    assert found.job.failure_reason == "runner_configuration_error"
    assert words in found.text
    assert "never" not in found.text


def test_a_host_that_ends_does_not_wait_long_for_the_coordinator() -> None:
    async def main() -> float:
        world = hosts(clock=virtual_now)
        _, job_json = world.handed_out(script("sleep 60"))
        world.wire.answers = [httpx.ConnectError("away")] * 5000
        stops = Stops()
        asyncio.get_running_loop().call_later(1000, stops.abort, "terminated")
        runner = ScriptedInnerRunner(clock=virtual_now, transport=lambda url: world.wire)
        with pytest.raises(UnreportedError, match="did not take the result"):
            await runner.run(RUNNER_TOML, job_json, stops)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(1020)


def test_settings_without_sense_are_warned_of() -> None:
    found = played(script("true", variables=variables(GIT_STRATEGY="beam")))
    assert "WARNING: GIT_STRATEGY is ignored: `beam` is not understood; fetch is used instead" in found.text
