"""The server is killed while tasks are elsewhere: their jobs go on, and are found again."""

import asyncio
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from paas_pipelines.tasks.job_server import registration_token

from paas_runner.sandbox.server import Sandbox
from paas_runner.secret import Secret
from tests.support.local_runners import write_config
from tests.support.pipelines_server import PipelinesServer, start_server, until
from tests.support.remote_runner import FEATURES, asked, jobs, registered, started

pytestmark = pytest.mark.long

DEFINITIONS = """
pipelines:
  far:
    tasks:
      first:
        runner: far
        script:
          - echo begun
          - until [ -e {go} ]; do sleep 0.1; done
          - echo >> {runs}
          - echo over
      second:
        depends_on: [first]
        script: [echo here]
"""


class Far:
    """A server that may be killed, always at the same address, and a runner of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.go, self.runs = folder, folder / "go", folder / "runs"
        self.definitions = DEFINITIONS.format(go=self.go, runs=self.runs)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self.address}"

    def server(self, *options: str) -> AbstractContextManager[PipelinesServer]:
        return start_server(self.folder, "--address", self.address, *options, definitions=self.definitions)

    def register(self) -> str:
        secret = yaml.safe_load((self.folder / ".prunner.yml").read_text())["jwt_secret"]
        return registered(self.url, registration_token(Secret(secret)).reveal(), "far")

    def asks(self, token: str) -> int:
        return asked(self.url, "/api/v4/jobs/request", {"token": token, "info": {"features": FEATURES}})[0]

    def states(self, server: PipelinesServer, job_id: str) -> dict[str, str]:
        return {task["name"]: task["status"] for task in server.job(job_id)["tasks"]}


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path)


def test_a_remote_task_outlives_the_server_and_its_result_comes_back(far: Far) -> None:
    """What the job does while there is no server is not lost."""
    with far.server() as server:
        token = far.register()
        run = server.schedule("far")
        job = next(jobs(far.url, token))
        inner = started(far.url, far.folder, job)
        until(lambda: "begun\n" in server.output(run, "first"))
        server.kill()
    far.go.touch()
    until(far.runs.exists)
    with far.server() as server:
        assert server.ended(run)["errored"] is False
        assert inner.wait(60) == 0
        assert far.states(server, run) == {"first": "done", "second": "done"}
        said = server.output(run, "first")
        assert (said.count("\nbegun\n"), said.count("\nover\n")) == (1, 1)
        assert far.asks(token) == 204  # there is no second job
    assert far.runs.read_text() == "\n"


def test_what_waits_for_a_runner_waits_after_a_restart_and_is_handed_out_once(far: Far) -> None:
    far.go.touch()
    with far.server() as server:
        token = far.register()
        run = server.schedule("far")
        server.kill()
    with far.server() as server:
        assert far.states(server, run)["first"] == "running"
        job = next(jobs(far.url, token))
        assert far.asks(token) == 204
        assert started(far.url, far.folder, job).wait(60) == 0
        assert far.states(server, run)["first"] == "done" or server.ended(run)
    assert far.runs.read_text() == "\n"


def test_a_run_that_is_canceled_just_before_the_kill_stops_its_job_after_the_restart(far: Far) -> None:
    with far.server() as server:
        token = far.register()
        run = server.schedule("far")
        inner = started(far.url, far.folder, next(jobs(far.url, token)))
        until(lambda: "begun\n" in server.output(run, "first"))
        assert server.cancel(run).status == 200
        server.kill()
    with far.server() as server:
        assert inner.wait(60) == 1
        assert server.ended(run)["canceled"] is True
        assert far.states(server, run) == {"first": "canceled", "second": "canceled"}
    assert not far.runs.exists()


async def test_a_server_with_runners_of_its_own_is_killed_and_neither_task_nor_host_is_lost(far: Far) -> None:
    """One kill for both: the coordinator's records and the service's are gone on from together."""
    async with Sandbox() as sandbox:
        config = write_config(far.folder / "config.toml", sandbox)
        options = ("--runners", str(config), "--external-url", far.url)

        def scenario() -> None:
            with far.server(*options) as server:
                run = server.schedule("far")
                until(lambda: "begun\n" in server.output(run, "first"))
                server.kill()
            far.go.touch()
            until(far.runs.exists)
            with far.server(*options) as server:
                assert server.ended(run)["errored"] is False
                said = server.output(run, "first")
                assert (said.count("\nbegun\n"), said.count("\nover\n")) == (1, 1)
                until(lambda: not sandbox.cloud.ledger.alive)
                server.process.terminate()
                assert server.wait() == 0

        await asyncio.to_thread(scenario)
        assert [app.launches for app in sandbox.cloud.ledger.created] == [1]
    assert far.runs.read_text() == "\n"
