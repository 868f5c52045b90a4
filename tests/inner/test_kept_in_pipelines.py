"""Whole pipelines: files go from stage to stage and from run to run, through the coordinator and the host."""

from pathlib import Path

import attrs
import httpx
import pytest

from paas_runner.pipelines.jobs import Project
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.server.listening import Listener
from tests.support.hosts import RUNNER_TOML, URL, Hosts, hosts
from tests.support.kept_files import log_of, ran

TWO_STAGES = """
build:
  stage: build
  script:
    - mkdir -p out/deep && printf hello > out/deep/file && printf '#!/bin/sh\\necho runs' > out/tool
    - chmod 755 out/tool && ln -s deep/file out/link && echo junk > out/junk.o
  artifacts: {paths: [out/], exclude: ['**/*.o'], name: "$CI_JOB_NAME-$CI_PIPELINE_ID"}
test:
  script:
    - test "$(cat out/link)" = hello && test -L out/link && test "$(out/tool)" = runs
    - test ! -e out/junk.o
"""
CACHED = """
j:
  cache: {key: $CI_COMMIT_REF_SLUG, paths: [vendor/], fallback_keys: [other]}
  script:
    - if test -e vendor/lib; then echo "cache hit"; else mkdir vendor && echo made > vendor/lib; fi
"""


@attrs.frozen
class Vanished(httpx.AsyncBaseTransport):
    """All artifacts are removed right before one is asked for."""

    world: Hosts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.world.coordinator.archive_of = lambda _job_id: None
        return await self.world.wire.handle_async_request(request)


def with_cache(folder: Path) -> str:
    return RUNNER_TOML + f'cache_dir = "{folder}"\n'


def in_order(text: str, *words: str) -> bool:
    places = [text.find(word) for word in words]
    return -1 not in places and places == sorted(places)


async def test_artifacts_of_one_stage_are_there_in_the_next() -> None:
    jobs = await ran(hosts(), TWO_STAGES)
    assert [job.status for job in jobs.values()] == ["success", "success"], log_of(jobs["test"])
    build, test = log_of(jobs["build"]), log_of(jobs["test"])
    assert jobs["build"].artifacts["archive"].filename == "build-1.zip"
    assert in_order(
        build,
        "Uploading artifacts for successful job",
        "Uploading artifacts...",
        "out/: found 5 matching artifact files and directories",
        "**/*.o: excluded 1 files",
        'Uploading artifacts as "archive" to coordinator... 201 Created  id=1',
        "Job succeeded",
    )
    assert in_order(
        test,
        "Getting source from Git repository",
        "Downloading artifacts",
        "Downloading artifacts for build (1)...",
        "Downloading artifacts from coordinator... ok  host=gitlab.test id=1 responseStatus=200 OK",
        'Executing "step_script" stage of the job script',
        "Job succeeded",
    )
    assert "section_start:" in jobs["test"].trace.decode()
    assert ":download_artifacts\r" in jobs["test"].trace.decode()


async def test_stages_without_anything_to_keep_leave_nothing_in_the_log() -> None:
    jobs = await ran(hosts(), "j: {script: 'true'}")
    assert "artifacts" not in log_of(jobs["j"])
    assert "cache" not in log_of(jobs["j"])


async def test_only_the_wanted_artifacts_come() -> None:
    text = """
a: {stage: build, script: echo a > a, artifacts: {paths: [a]}}
b: {stage: build, script: echo b > b, artifacts: {paths: [b]}}
depends: {script: test -e a && test ! -e b, dependencies: [a]}
needs: {script: test ! -e a && test -e b, needs: [{job: a, artifacts: false}, b]}
none: {script: test ! -e a && test ! -e b, dependencies: []}
"""
    jobs = await ran(hosts(), text)
    assert {job.status for job in jobs.values()} == {"success"}


async def test_the_result_decides_what_is_uploaded() -> None:
    text = """
bad:
  stage: build
  script: [echo log > log, echo '<r/>' > r.xml, exit 3]
  allow_failure: true
  artifacts: {paths: [log], when: on_failure, reports: {junit: r.xml}}
good: {stage: build, script: echo log > log, artifacts: {paths: [log], when: on_failure}}
reader: {script: test -e log, needs: [bad]}
"""
    jobs = await ran(hosts(), text)
    assert (jobs["bad"].status, jobs["bad"].exit_code) == ("failed", 3)
    assert sorted(jobs["bad"].artifacts) == ["archive", "junit"]
    assert "Uploading artifacts for failed job" in log_of(jobs["bad"])
    assert jobs["good"].artifacts == {}
    assert "Uploading artifacts" not in log_of(jobs["good"])


async def test_an_upload_that_is_refused_fails_a_job_whose_script_was_good() -> None:
    text = """
j:
  script: [head -c 9000 /dev/urandom > big, touch small]
  after_script: [echo after]
  artifacts: {paths: [big], reports: {junit: small}}
"""
    jobs = await ran(hosts(most_artifact_bytes=5000), text)
    job = jobs["j"]
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "script_failure", 1)
    assert in_order(
        log_of(job),
        "$ echo after",
        'ERROR: Uploading artifacts as "archive" to coordinator... 413',
        'Uploading artifacts as "junit" to coordinator... 201 Created',
        "ERROR: Job failed: exit code 1",
    )
    assert list(job.artifacts) == ["junit"]


@pytest.mark.parametrize(("limit", "status"), [(1000, "failed"), (100 * 1024 * 1024, "success")])
async def test_a_large_upload_over_a_real_connection_is_taken_or_refused_with_its_reason(
    limit: int, status: str
) -> None:
    """A refusal comes while most of the upload is still on its way."""
    world = hosts(most_artifact_bytes=limit)
    listener = Listener(create_coordinator_app(world.coordinator))
    await listener.start()
    try:
        text = "j: {script: head -c 20000000 /dev/urandom > big, artifacts: {paths: [big]}}"
        toml = RUNNER_TOML.replace(URL, listener.url)
        job = (await ran(world, text, toml, transport=None))["j"]
    finally:
        await listener.stop()
    assert job.status == status, log_of(job)
    assert ("413 Request Entity Too Large" in log_of(job)) == (status == "failed")


async def test_artifacts_that_cannot_be_fetched_fail_a_job_before_its_script() -> None:
    world = hosts()
    text = """
a: {stage: build, script: echo a > a, artifacts: {paths: [a]}}
b: {script: echo never, after_script: [echo never], artifacts: {paths: [x], when: on_failure}}
"""
    jobs = await ran(world, text, transport=lambda url: Vanished(world))
    assert (jobs["b"].status, jobs["b"].failure_reason, jobs["b"].exit_code) == (
        "failed",
        "script_failure",
        1,
    )
    assert "not found" in log_of(jobs["b"])
    assert "they have expired" in log_of(jobs["b"])
    assert "$ echo never" not in log_of(jobs["b"])
    assert "Uploading artifacts for failed job" in log_of(jobs["b"])


async def test_a_cache_is_hit_by_the_second_run(tmp_path: Path) -> None:
    world, toml = hosts(), with_cache(tmp_path)
    first = (await ran(world, CACHED, toml))["j"]
    second = (await ran(world, CACHED, toml))["j"]
    assert (first.status, second.status) == ("success", "success")
    assert in_order(
        log_of(first),
        "Restoring cache",
        "Checking cache for main-protected...",
        "WARNING: Failed to extract cache",
        "Checking cache for other-protected...",
        "Saving cache for successful job",
        "Creating cache main-protected...",
        "Created cache",
    )
    assert "\ncache hit" not in log_of(first)
    assert in_order(log_of(second), "Successfully extracted cache", "\ncache hit", "Archive is up to date!")


async def test_another_project_does_not_see_the_cache(tmp_path: Path) -> None:
    world, toml = hosts(), with_cache(tmp_path)
    await ran(world, CACHED, toml)
    other = Project(project_id=2, full_path="sandbox/other")
    assert "\ncache hit" not in log_of((await ran(world, CACHED, toml, other))["j"])


async def test_a_failed_job_saves_only_the_caches_that_want_it(tmp_path: Path) -> None:
    text = """
j:
  cache: [{key: good, paths: [a]}, {key: bad, paths: [a], when: on_failure}]
  script: [touch a, "false"]
"""
    job = (await ran(hosts(), text, with_cache(tmp_path)))["j"]
    assert in_order(log_of(job), "Saving cache for failed job", "Creating cache bad-protected...")
    assert "Creating cache good" not in log_of(job)


async def test_a_cache_that_cannot_be_kept_fails_no_job(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    job = (await ran(hosts(), CACHED, with_cache(tmp_path / "file/below")))["j"]
    assert job.status == "success"
    assert "WARNING: Failed to create cache" in log_of(job)


@pytest.mark.parametrize("name", ["RESTORE_CACHE_ATTEMPTS", "ARTIFACT_DOWNLOAD_ATTEMPTS"])
async def test_a_missing_cache_is_no_reason_to_try_again(tmp_path: Path, name: str) -> None:
    job = (await ran(hosts(), f"variables: {{{name}: '3'}}\n{CACHED}", with_cache(tmp_path)))["j"]
    assert log_of(job).count("Restoring cache") == 1
