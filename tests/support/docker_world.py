"""A sandbox's coordinator, the real service with local-docker, and a real engine."""

import asyncio
from contextlib import asynccontextmanager

import attrs

from paas_runner.job.known_runner import short_token
from paas_runner.job.tracked import host_name_prefix
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.server.waiting import settled
from tests.service.conftest import RealWorld

CONFIG = """
log_format = "json"
concurrent = {concurrent}
check_interval = 0.2
job_progress_poll_interval = 0.3
paas_max_concurrent_provisioning = {concurrent}

[[runners]]
  name = "real"
  url = "{url}"
  token = "{token}"
  executor = "local-docker"
  host = "{host}"
  docker_network = "host"
  heptapod_runner_main_image = "{image}"
  inner_executor = "{inner_executor}"

  [runners.docker]
    image = "{base}"
    pull_policy = "if-not-present"
    volumes = ["{runs}:/runs"]

  [runners.paas_job_trace_watch]
    poll_step = 0.2
    timeout_seconds = 60
"""


class DockerWorld(RealWorld):
    """Jobs, services that come and go, hosts on an engine."""

    saying_that_it_runs = "echo >> /runs/$CI_JOB_ID"
    """A command for a script that runs in a job's image; `runs` counts how often each job has run it."""

    def __init__(self, sandbox, folder, *, engine, image):
        super().__init__(sandbox, folder)
        self.engine = engine
        self._image = image
        self._runner = short_token(sandbox.runner_token.reveal())
        self._runs = folder / "runs"
        self._runs.mkdir()

    def configure(self, *, concurrent=6, inner_executor="docker", image=None):
        self.config.touch(mode=0o600)
        self.config.write_text(
            CONFIG.format(
                concurrent=concurrent,
                url=self.sandbox.coordinator_url,
                token=self.sandbox.runner_token.reveal(),
                host=self.engine.url,
                image=image or self._image,
                base=self.engine.base,
                inner_executor=inner_executor,
                runs=self._runs,
            )
        )

    @property
    def runs(self):
        return {int(path.name): path.read_text().count("\n") for path in self._runs.iterdir()}

    @property
    def alive(self):
        """Everything of this world's runner, by whichever program it was made: others use the engine, too."""
        return self.engine.everything(runner=self._runner)

    @property
    def running(self):
        """The containers that are hosts."""
        with self.engine.client() as client:
            return client.containers(filters={"name": f"^/{host_name_prefix(self._runner)}"})

    async def settled(self, jobs, seconds=180):
        """Every job has ended, nothing is left."""
        async with asyncio.timeout(seconds):
            await settled(self.sandbox.coordinator, [job.job_id for job in jobs])
            while self.alive:
                await asyncio.sleep(0.2)


@asynccontextmanager
async def docker_world(folder, *, engine, image):
    """Quick, and with two-phase acquisition: what a killed service had just got is handed out again."""
    options = SandboxOptions(
        coordinator=lambda options: attrs.evolve(
            options, long_poll_seconds=0.5, trace_interval_seconds=1, acknowledgement_seconds=3.0
        )
    )
    async with Sandbox(options) as sandbox:
        world = DockerWorld(sandbox, folder, engine=engine, image=image)
        world.configure()
        yield world
