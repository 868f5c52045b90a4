"""Jobs that are the programs of their images, on a real engine."""

import json
from typing import Any

import pytest

from paas_runner.pipelines.spec import ImageSpec
from paas_runner.pipelines.states import JobState
from tests.inner.containers.conftest import text, until
from tests.support.hosts import hosts, script

PROGRAM = """\
#!/bin/bash
trap 'echo asked to end; exit 3' TERM
echo "for $WHO, $# arguments: $1; CI is '$CI'"
printf 'an error, ' >&2
printf 'KOG:{"token":"glpat-%s"' "$WHO"
echo 'and its end' >&2
echo '}'
[ -z "$SLEEP" ] || { sleep "$SLEEP" & wait $!; }
head -c "${MANY:-0}" /dev/zero | tr '\\0' x
exit "${CODE:-0}"
"""


@pytest.fixture(scope="module")
def image(engine) -> str:
    dockerfile = f'FROM {engine.base}\nCOPY program /program\nENTRYPOINT ["/program"]\nCMD ["given"]\n'
    return engine.build("paas-runner-test/program", dockerfile, program=PROGRAM)


def of(image: str, **environment: str) -> dict[str, Any]:
    def change(payload: dict[str, Any]) -> None:
        payload["program"] = {"environment": {"WHO": "you", **environment}}

    return {"image": ImageSpec(name=image), "change": change}


def said(job) -> list[str]:
    return [line for line in text(job).split("\n") if line.startswith(("stdout: ", "stderr: "))]


async def test_the_images_own_program_runs_with_what_it_is_given_and_nothing_else(docker, image) -> None:
    job = await docker.ran("echo never", **of(image))
    assert job.status is JobState.SUCCESS, text(job)
    lines = said(job)
    assert [line for line in lines if line.startswith("stdout")] == [
        "stdout: for you, 1 arguments: given; CI is ''",
        'stdout: KOG:{"token":"glpat-you"}',
    ]
    assert "stderr: an error, and its end" in lines
    assert "never" not in text(job)


async def test_its_exit_code_is_the_jobs_and_a_line_may_be_long(docker, image) -> None:
    job = await docker.ran("true", **of(image, CODE="7", MANY="1000000"))
    assert (job.failure_reason, job.exit_code) == ("script_failure", 7)
    assert said(job)[-1] == "stdout: " + "x" * 1_000_000


async def test_a_program_that_is_not_there_is_an_end(docker, engine) -> None:
    nothing = engine.build("paas-runner-test/nothing", f'FROM {engine.base}\nENTRYPOINT ["/nothing"]\n')
    job = await docker.ran("true", **of(nothing))
    assert (job.failure_reason, job.exit_code) == ("script_failure", 127)
    assert "it could not be started: " in text(job)


async def test_a_canceled_one_is_asked_to_end(docker, image) -> None:
    async with docker.running("true", **of(image, SLEEP="60")) as (job, _):
        await until(lambda: "KOG:" in text(job))
        docker.world.coordinator.cancel(job.job_id)
    assert job.status is JobState.CANCELED
    assert "stdout: asked to end" in said(job)


async def test_a_host_without_containers_refuses_it() -> None:
    world = hosts()
    job, job_json = world.handed_out(script("echo never"))
    payload = {**json.loads(job_json), "program": {"environment": {}}}
    toml = '[[runners]]\nname = "x"\nurl = "http://x.test"\ntoken = "abcdefghi"\nexecutor = "shell"\n'
    assert await world.inner().run(toml, json.dumps(payload)) == 1
    assert "programs of images, other than with `inner_executor` docker, are not supported" in text(job)
