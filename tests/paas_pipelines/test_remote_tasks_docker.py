"""Tasks in images of their own, on hosts of a real engine."""

import asyncio

import pytest
from paas_pipelines.definitions.definition import TaskDefinition

from paas_runner.job.known_runner import short_token
from tests.support.local_runners import TOKEN, local_world

pytestmark = [pytest.mark.long, pytest.mark.process]

CONFIG = """
check_interval = 0.2
job_progress_poll_interval = 0.3

[[runners]]
  name = "engine"
  url = "local:"
  token = "{token}"
  executor = "local-docker"
  host = "{host}"
  docker_network = "host"
  heptapod_runner_main_image = "{image}"

  [runners.docker]
    image = "{base}"
    pull_policy = "if-not-present"

  [runners.paas_job_trace_watch]
    poll_step = 0.2
"""


async def test_a_task_runs_in_its_image_on_an_engine_and_nothing_is_left_there(tmp_path, engine, host_image):
    """`image: …` alone finds the runner that takes any task."""
    config = CONFIG.format(token=TOKEN, host=engine.url, image=host_image, base=engine.base)
    async with local_world(tmp_path, config=config) as world:
        async with world.runners.serving(), world.working():
            script = (
                "release=$(cat /etc/debian_version)",
                'echo "hello from $release"',
                "exit 6",
                "echo last",
            )
            run = await world.ended(
                world.schedule(build=TaskDefinition(script=script, image=engine.base, allow_failure=True)),
                seconds=180,
            )
        trace = world.jobs.coordinator.trace(1)
        assert (run.task("build").status, run.task("build").exit_code) == ("done", 6), trace
        assert b"\nhello from 1" in trace
        assert b"\nlast" in trace
    assert not await asyncio.to_thread(engine.everything, runner=short_token(TOKEN))
