"""The image of the service on a real engine, as confined as its documents say."""

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.alone import alone
from tests.support.requirements import need
from tests.support.watched import watched

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(600)]

BUILD = Path(__file__).parents[2] / "packaging" / "container" / "build.py"
IMAGE = "paas-runner-test/service"
STATE = "/var/lib/paas-runner/paas-runner-state.json"
SECOND = 1_000_000_000
MOST_MEGABYTES = 45
"""What the image adds to a Debian with Python."""


@pytest.fixture(scope="session")
def image(engine, shared_folder):
    """On the shared engine, built as `make image` does, once for all processes."""
    need("docker")
    built = shared_folder / "service-image"
    with alone(built.with_suffix(".lock")):
        if not built.exists():
            done = subprocess.run(
                [sys.executable, BUILD, "--tag", IMAGE, "--base", engine.base],
                env=os.environ | {"DOCKER_HOST": engine.url},
                text=True,
                capture_output=True,
                check=False,
                timeout=400,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            built.touch()
    return IMAGE


class Container:
    """One of the image, and the volume of its records; it reaches the sandbox on this machine's loopback."""

    def __init__(self, client, image, world, site):
        self.site = site
        self._client = client
        self._image = image
        self._world = world
        self.volume = f"paas-runner-test-{uuid.uuid4().hex}"
        self.configuration = world.config.parent / "etc" / "config.toml"
        self._id = ""

    async def start(self):
        """As confined as an operator may have it; the health is asked for more often."""
        self._id = await self._do("create_container", self._image, **self._options())
        await self._do("start", self._id)

    def _options(self):
        confined = self._client.create_host_config(
            network_mode="host",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            binds=[f"{self.configuration.parent}:/etc/paas-runner:ro", f"{self.volume}:/var/lib/paas-runner"],
        )
        environment = {
            "RUNNER_TOKEN": self._world.sandbox.runner_token.reveal(),
            "CC_TOKEN": self._world.sandbox.cloud_token.reveal(),
        }
        every = {"interval": SECOND // 2, "timeout": 5 * SECOND, "retries": 2}  # the rest is the image's
        return {"host_config": confined, "environment": environment, "healthcheck": every}

    async def inspected(self):
        return await self._do("inspect_container", self._id)

    async def becomes(self, health):
        """Waits until the engine finds it so."""
        async with asyncio.timeout(120):
            while (state := (await self.inspected())["State"])["Health"]["Status"] != health:
                assert state["Running"], await self.log()
                await asyncio.sleep(0.2)

    async def signal(self, name):
        await self._do("kill", self._id, name)

    async def run(self, *command):
        """What a command in it prints; its exit code has to be 0."""
        created = await self._do("exec_create", self._id, list(command))
        printed = await self._do("exec_start", created)
        assert (await self._do("exec_inspect", created))["ExitCode"] == 0, printed
        return printed.decode()

    async def stop(self):
        """As `docker stop --time 60`; returns the exit code."""
        await self._do("stop", self._id, timeout=60)
        return (await self.inspected())["State"]["ExitCode"]

    async def file(self, path):
        """A file of a volume, stopped or not."""
        chunks, _ = await self._do("get_archive", self._id, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            [member] = archive.getmembers()
            return member, archive.extractfile(member).read()

    async def log(self):
        return (await self._do("logs", self._id)).decode()

    async def remove(self):
        if self._id:
            await self._do("remove_container", self._id, force=True)
            self._id = ""

    async def _do(self, name, *arguments, **options):
        found = await asyncio.to_thread(getattr(self._client, name), *arguments, **options)
        return found.get("Id", found) if name in ("create_container", "exec_create") else found


@pytest.fixture
async def container(engine, image, world):
    """Configured, not started."""
    site = watched()
    world.configure(more=site.configuration)
    text = world.config.read_text()
    for secret, name in {
        world.sandbox.runner_token: "RUNNER_TOKEN",
        world.sandbox.cloud_token: "CC_TOKEN",
    }.items():
        text = text.replace(secret.reveal(), f"env:{name}")
    with engine.client() as client:
        container = Container(client, image, world, site)
        container.configuration.parent.mkdir(mode=0o755)
        container.configuration.write_text(text)
        try:
            yield container
        finally:
            await container.remove()
            client.remove_volume(container.volume, force=True)


@asynccontextmanager
async def started(container):
    await container.start()
    try:
        yield
    finally:
        await container.remove()


async def test_it_runs_jobs_as_nobody_special_and_stops_in_an_orderly_way(container, world):
    async with started(container):
        await container.becomes("healthy")
        assert (await container.run("id", "-u")).strip() == "10001"
        jobs = world.submit(3)
        await world.settled(jobs)
        assert {job.status for job in jobs} == {"success"}
        for path in ("/health", "/ready", "/metrics", "/"):  # each package for that is there
            assert await container.site.page(path)

        hold = world.hold()
        [job] = world.submit(script=hold.script)
        await world.until(lambda: job.status == "running")
        assert await container.stop() == 0, await container.log()
        member, state = await container.file(STATE)
        assert (member.mode & 0o777, member.uid) == (0o600, 10001)
        assert tracked(state) == 1
    async with started(container):  # another container, the same volume
        await container.becomes("healthy")
        hold.release()
        await world.settled([job])
        assert job.status == "success"
        assert set(world.launches) == {1}
        assert await container.stop() == 0
        assert tracked((await container.file(STATE))[1]) == 0


def tracked(state):
    lists = json.loads(state)
    return len(lists["launched"]) + len(lists["pending"])


async def test_a_service_that_stands_still_is_unhealthy_until_it_goes_on(container):
    async with started(container):
        await container.becomes("healthy")
        await container.signal("SIGSTOP")
        await container.becomes("unhealthy")
        await container.signal("SIGCONT")
        await container.becomes("healthy")
        assert await container.stop() == 0


async def test_whoever_has_no_configuration_is_told_so(container):
    container.configuration.unlink()
    async with started(container):
        async with asyncio.timeout(60):
            while (state := (await container.inspected())["State"])["Running"]:
                await asyncio.sleep(0.2)
        assert state["ExitCode"] == 78
        assert "/etc/paas-runner/config.toml: cannot be read" in await container.log()


def test_it_says_how_it_is_stopped_asked_and_run_and_is_small(engine, image):
    with engine.client() as client:
        config = client.inspect_image(image)["Config"]
        added = sum(layer["Size"] for layer in client.history(image)) - sum(
            layer["Size"] for layer in client.history(engine.base)
        )
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "sh"]
    assert list(config["Volumes"]) == ["/var/lib/paas-runner"]
    assert (config["Entrypoint"], config["Cmd"][0]) == (["paas-runner"], "run")
    assert added < MOST_MEGABYTES * 1_000_000, added
