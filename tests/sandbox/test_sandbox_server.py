"""The whole sandbox: it works as one, and leaves nothing behind."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import httpx
import pytest

from paas_runner.pipelines.spec import JobSpec
from paas_runner.pipelines.states import JobState
from paas_runner.sandbox.cloud import HostFiles
from paas_runner.sandbox.faults import Answer
from paas_runner.sandbox.playground import registration_environment
from paas_runner.sandbox.server import Sandbox, SandboxOptions, host_program
from paas_runner.server.waiting import settled
from tests.support.clouds import CREATION, FILES
from tests.support.live_records import submitted


@attrs.define
class Inner:
    """An inner runner that keeps a process for as long as it is wanted."""

    given: list[tuple[str, str]] = attrs.field(factory=list)
    children: list[asyncio.subprocess.Process] = attrs.field(factory=list)

    async def run(self, runner_toml: str, job_json: str) -> int:
        self.given.append((runner_toml, job_json))
        child = await asyncio.create_subprocess_exec("sleep", "600")
        self.children.append(child)
        try:
            return await child.wait()
        except asyncio.CancelledError:
            child.kill()
            await child.wait()
            raise


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def launch(sandbox: Sandbox, client: httpx.AsyncClient, inner: Inner) -> str:
    headers = {"Authorization": f"token {sandbox.cloud_token.reveal()}"}
    path = f"{sandbox.cloud_api_url}/organisations/{sandbox.organisation_id}/applications"
    created = (await client.post(path, json=CREATION, headers=headers)).json()
    files = {**FILES, "runner.toml": b"concurrent = 1", "job.json": b'{"id": 1}'}
    sandbox.cloud.received_push(created["id"], "c1", files)
    async with asyncio.timeout(30):
        while not inner.children:
            await asyncio.sleep(0.005)
    return str(created["id"])


async def test_both_servers_answer_and_a_host_gets_its_two_files(client: httpx.AsyncClient) -> None:
    inner = Inner()
    async with Sandbox(SandboxOptions(inner_runner=inner)) as sandbox:
        verified = await client.post(
            f"{sandbox.coordinator_url}/api/v4/runners/verify",
            json={"token": sandbox.runner_token.reveal()},
        )
        assert verified.status_code == 200
        await launch(sandbox, client, inner)
        assert inner.given == [("concurrent = 1", '{"id": 1}')]


async def test_nothing_remains_when_it_ends(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    inner = Inner()
    async with Sandbox(SandboxOptions(inner_runner=inner)) as sandbox:
        await launch(sandbox, client, inner)
        url = f"{sandbox.coordinator_url}/api/v4/jobs/request"
        asked = {"token": sandbox.runner_token.reveal()}
        asked["last_update"] = (await client.post(url, json=asked)).headers["x-gitlab-last-update"]
        poll = asyncio.create_task(client.post(url, json=asked, timeout=60))
        await asyncio.sleep(0.05)
        assert not poll.done()
        ports = [httpx.URL(url).port for url in (sandbox.coordinator_url, sandbox.cloud_api_url)]
        loop = asyncio.get_running_loop()
        began = loop.time()
    assert loop.time() - began < 1.0
    with pytest.raises(httpx.TransportError):
        await poll
    assert inner.children[0].returncode is not None
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert list(tmp_path.iterdir()) == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_secrets_are_made_at_each_start() -> None:
    seen = set()
    for _ in range(2):
        async with Sandbox(SandboxOptions(inner_runner=Inner())) as sandbox:
            keys = sandbox.user_keys
            tokens = (sandbox.runner_token, sandbox.cloud_token, sandbox.admin_token)
            oauth = (keys.consumer_secret, keys.token, keys.token_secret)
            seen |= {keys.consumer_key, *(secret.reveal() for secret in (*tokens, *oauth))}
    assert len(seen) == 14


async def test_an_outage_ends_on_the_same_port_and_hosts_survive_it(client: httpx.AsyncClient) -> None:
    inner = Inner()
    async with Sandbox(SandboxOptions(inner_runner=inner)) as sandbox:
        app_id = await launch(sandbox, client, inner)
        url = f"{sandbox.cloud_api_url}/products/instances"
        outage = asyncio.create_task(sandbox.restart_cloud(outage_seconds=0.05))
        await asyncio.sleep(0.02)
        with pytest.raises(httpx.TransportError):
            await client.get(url)
        await outage
        assert (await client.get(url)).status_code == 200
        assert (inner.children[0].returncode, sandbox.cloud.ledger.launches(app_id)) == (None, 1)
        await sandbox.restart_coordinator()
        verify = f"{sandbox.coordinator_url}/api/v4/runners/verify"
        assert (await client.post(verify, json={"token": sandbox.runner_token.reveal()})).status_code == 200


async def test_each_server_has_its_own_faults(client: httpx.AsyncClient) -> None:
    async with Sandbox(SandboxOptions(inner_runner=Inner())) as sandbox:
        sandbox.coordinator_faults.add(Answer(503), path="/api/**")
        url = f"{sandbox.coordinator_url}/api/v4/runners/verify"
        assert (await client.post(url)).status_code == 503
        assert (await client.get(f"{sandbox.cloud_api_url}/products/instances")).status_code == 200


async def test_the_configuration_is_ready_for_the_service() -> None:
    async with Sandbox(SandboxOptions(inner_runner=Inner())) as sandbox:
        (runner,) = tomllib.loads(sandbox.configuration)["runners"]
        assert runner["url"] == sandbox.coordinator_url
        assert runner["cc_api_url"].endswith("/v2")
        assert runner["cc_token"] == sandbox.cloud_token.reveal()
        assert runner["token"] == sandbox.runner_token.reveal()


async def test_a_tree_without_a_job_is_a_container_that_cannot_start() -> None:
    inner = Inner()
    assert await host_program(inner)(HostFiles(files=FILES, environment={})) != 0
    assert inner.given == []


async def test_the_command_tells_how_to_use_it_and_ends_on_a_signal(tmp_path: Path) -> None:
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "paas_runner.sandbox", "--kubernetes", cwd=tmp_path, stdout=subprocess.PIPE
    )
    assert command.stdout is not None
    async with asyncio.timeout(60):
        result = (await command.stdout.readuntil(b"Ready")).decode()
        config = tmp_path / "sandbox.toml"
        assert config.stat().st_mode & 0o777 == 0o600
        assert config.read_text() in result
        assert "export API_HOST=http://127.0.0.1:" in result
        assert "export REGISTRATION_TOKEN=" in result
        kubeconfig = tmp_path / "sandbox.kubeconfig"
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        assert f"export KUBECONFIG={kubeconfig}" in result
        command.terminate()
        await command.communicate()
    assert (command.returncode, config.exists(), kubeconfig.exists()) == (0, False, False)


async def test_registration_can_be_rehearsed_with_what_the_sandbox_tells(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        told = registration_environment(sandbox)
        register = Path(sys.executable).with_name("paas-runner")
        command = await asyncio.create_subprocess_exec(
            *(register, "register", "-n", "--name", "rehearsal", "--executor", "clever-docker"),
            *("--set", f"cc_api_url={sandbox.cloud_api_url}", tmp_path / "rehearsal.toml"),
            env={**os.environ, **told},
            stdout=subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            assert await command.wait() == 0
        assert [runner.description for runner in sandbox.coordinator.runners] == ["sandbox", "rehearsal"]
    (section,) = tomllib.loads((tmp_path / "rehearsal.toml").read_text())["runners"]
    assert section["cc_api_url"] == sandbox.cloud_api_url


async def test_a_job_is_run_from_the_coordinator_to_the_end_of_its_host(client: httpx.AsyncClient) -> None:
    async with Sandbox() as sandbox:
        job = submitted(sandbox.coordinator, JobSpec(name="hello", script=("echo hello from the host",)))
        asked = {"token": sandbox.runner_token.reveal()}
        payload = (await client.post(f"{sandbox.coordinator_url}/api/v4/jobs/request", json=asked)).text
        headers = {"Authorization": f"token {sandbox.cloud_token.reveal()}"}
        path = f"{sandbox.cloud_api_url}/organisations/{sandbox.organisation_id}/applications"
        app_id = (await client.post(path, json=CREATION, headers=headers)).json()["id"]
        section = f'[[runners]]\nurl = "{sandbox.coordinator_url}"\ntoken = "short"\n'
        files = {**FILES, "runner.toml": section.encode(), "job.json": payload.encode()}
        sandbox.cloud.received_push(app_id, "c1", files)
        async with asyncio.timeout(60):
            await settled(sandbox.coordinator, [job.job_id])
        assert job.status is JobState.SUCCESS
        assert b"hello from the host" in job.trace
