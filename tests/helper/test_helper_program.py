"""The helper service as a process: a real job, signals, a violent death, the end of its life (row H139)."""

import asyncio
import json
import signal
import subprocess
import sys
import time

import pytest

from paas_runner.inner.cli import main
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.states import JobState
from tests.support.helper_program import TOKEN, HelperMachine
from tests.support.hosts import GRACEFUL, script
from tests.support.inner_program import machine_in
from tests.support.live_records import submitted
from tests.support.processes import exists, until

pytestmark = pytest.mark.process
NO_PAIR = ("--tls-cert", "/dev/null", "--tls-key", "/dev/null")
LOADED = """
import json, sys, paas_runner.inner.cli
rooms = ("docker", "grpc", "paas_runner.helper")
print(json.dumps([name for name in sys.modules if name.startswith(rooms)]))
"""


class World:
    """A coordinator, and a machine with the helper service; jobs run on the machine itself."""

    def __init__(self, inner, folder):
        self._inner = inner
        self.folder = folder
        self.machine = HelperMachine(
            folder=folder, arguments=("--http1", "--without-engine", "--reuse-with-doubts")
        )
        self.config = f'[[runners]]\nurl = "{inner.url}"\ntoken = "abc"\nexecutor = "shell"\n'

    def acquired(self, *lines):
        """A job, and what the coordinator handed out."""
        coordinator = self._inner.world.coordinator
        job = submitted(coordinator, script(*lines))
        assert coordinator.acquire(self._inner.world.runner.runner_id, features=GRACEFUL) == job
        return job, job_payload(job, url=self._inner.url, options=coordinator.options)


@pytest.fixture
async def world(tmp_path):
    (tmp_path / "files").mkdir()
    async with machine_in(tmp_path / "files") as inner:
        yield World(inner, tmp_path / "state")


async def test_two_jobs_one_after_the_other_run_are_reported_and_leave_nothing(world):
    world.machine.environment = {"SECRET_OF_THE_HOST": "x"}
    async with world.machine.started() as helper:
        for line, code in (("env; stat -c %a $(dirname $TMPDIR)", 0), ("exit 3", 1)):
            job, payload = world.acquired(line)
            assert (await helper.launch(payload, world.config)).status_code == 201
            kept = {path.name: path.stat().st_mode & 0o777 for path in (world.folder / "job").iterdir()}
            assert kept == {"tmp": 0o700, "runner.toml": 0o600, "job.json": 0o600}
            assert await helper.ended(job.job_id) == code
            assert (await helper.forget(job.job_id)).json() == {"was_known": True}
            assert not (world.folder / "job").exists()
            assert job.status == (JobState.FAILED if code else JobState.SUCCESS)
            assert TOKEN.encode() not in job.trace
        assert await helper.can_take_job()
        helper.process.send_signal(signal.SIGTERM)
        assert await helper.process.wait() == 0
    assert TOKEN not in "".join(world.machine.told)


@pytest.mark.long
async def test_sigterm_ends_the_job_in_good_order(world):
    async with world.machine.started() as helper:
        job, payload = world.acquired("echo it runs; sleep 100")
        await helper.launch(payload, world.config)
        await until(lambda: b"it runs" in job.trace)
        helper.process.send_signal(signal.SIGTERM)
        assert await helper.process.wait() == 0
    assert (job.status, job.failure_reason) == (JobState.FAILED, "runner_system_failure")
    assert not (world.folder / "job").exists()


async def test_killed_it_takes_the_job_with_it_and_never_starts_it_again(world):
    async with world.machine.started() as helper:
        lines = (f"echo $$ > {world.folder}/pid", f"echo once >> {world.folder}/ran", "sleep 100")
        job, payload = world.acquired(*lines)
        await helper.launch(payload, world.config)
        await until((world.folder / "ran").exists)
        instance = (await helper.client.get("/can-take-job")).headers["PaaS-Runner-Instance"]
        helper.process.kill()
        await helper.process.wait()
    await until(lambda: not exists(int((world.folder / "pid").read_text())))
    async with world.machine.started() as helper:
        assert (await helper.launch(payload, world.config)).status_code == 201
        assert await helper.ended(job.job_id) == 137
        assert not await helper.can_take_job()
        answer = await helper.forget(job.job_id)
        assert answer.headers["PaaS-Runner-Instance"] == instance
        assert (await helper.launch(payload, world.config)).status_code == 409
        assert await helper.can_take_job()
    assert (world.folder / "ran").read_text() == "once\n"


@pytest.mark.long
async def test_what_a_job_leaves_running_is_ended_before_another_may_come(world):
    escaped = f"setsid sh -c 'echo $$ > {world.folder}/pid; exec sleep 100' >/dev/null 2>&1 &"
    async with world.machine.started() as helper:
        job, payload = world.acquired(escaped, "sleep 100")
        await helper.launch(payload, world.config)
        await until((world.folder / "pid").exists)
        await helper.forget(job.job_id)
        assert not exists(int((world.folder / "pid").read_text()))
        assert await helper.can_take_job()


@pytest.mark.long
async def test_without_requests_it_ends_after_its_lease(world):
    world.machine.environment = {"PAAS_RUNNER_LEASE_SECONDS": "0.2"}
    async with world.machine.started() as helper:
        async with asyncio.timeout(60):
            assert await helper.process.wait() == 0
    assert "ends: nobody has asked for anything" in world.machine.told[-1]


@pytest.mark.parametrize(
    "case",
    [
        ({"PAAS_RUNNER_START_UNTIL": str(int(time.time()) - 1)}, (), 75, "this host is wanted no more"),
        ({"HEPTAPOD_PAAS_RUNNER_TOKEN": ""}, (), 78, "HEPTAPOD_PAAS_RUNNER_TOKEN is not set"),
        ({"PAAS_RUNNER_LEASE_SECONDS": "soon"}, (), 78, "is `soon`, which is no number of seconds"),
        ({}, ("--tls-cert", "x"), 78, "go together"),
        ({}, ("--tls-cert", "x.pem", "--tls-key", "y.pem"), 78, "--tls-cert: x.pem is not there"),
        ({}, ("--http1", "--listen-address", "192.0.2.1:1"), 69, "nobody can listen on 192.0.2.1:1"),
        (
            {},
            ("--http1", "--tls-cert", "/dev/null", "--tls-key", "/dev/null"),
            78,
            "no pair that can be used",
        ),
        ({}, ("--state", "/dev/null/x"), 78, "--state names another"),
        ({}, ("--listen-address", "unix:/x"), 2, "host and port are expected"),
    ],
)
def test_what_it_cannot_begin_with_is_told(tmp_path, monkeypatch, capsys, case):
    environment, arguments, code, words = case
    for name, value in {"HEPTAPOD_PAAS_RUNNER_TOKEN": "t", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("paas_runner.helper.serving.adopt_orphans", lambda: None)
    try:
        found = main(["serve", "--without-engine", "--state", str(tmp_path), *arguments])
    except SystemExit as end:
        found = end.code
    assert found == code
    assert words in capsys.readouterr().err


def test_without_the_library_grpc_is_told_to_be_missing(tmp_path):
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from paas_runner.inner.cli import main\n"
        f"sys.exit(main(['serve', '--no-token', '--without-engine', '--state', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, check=False)
    assert (done.returncode, "--http1 needs none" in done.stderr) == (78, True), done.stderr


def test_for_one_job_nothing_of_the_service_is_loaded():
    done = subprocess.run([sys.executable, "-c", LOADED], text=True, capture_output=True, check=True)
    names = set(json.loads(done.stdout))
    assert names == {"paas_runner.helper", "paas_runner.helper.command", "paas_runner.helper.protocol"}
