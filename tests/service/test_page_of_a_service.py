"""The page of the real program: the truth while jobs run and in an outage, and never a secret."""

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import attrs
import httpx
import pytest

from paas_runner.sandbox.faults import Answer
from paas_runner.sandbox.server import SandboxOptions

pytestmark = pytest.mark.process

TOKEN = "canary-page-token-0123456789"
CANARIES = ("canary-attributes-0123456789", "canary-extra-env-0123456789", TOKEN)
RUNNER = """
  cc_gitlab_namespace_attributes_token = "canary-attributes-0123456789"
  cc_extra_env = { CC_DOCKER_LOGIN_PASSWORD = "canary-extra-env-0123456789" }
"""
PAGES = ["/", "/jobs", "/failures", "/hosts", "/costs", "/login"]
ANSWERS = [
    f"/api/v1/{name}"
    for name in ("status", "runners", "services", "jobs", "hosts", "orphans", "failures", "costs")
]


@pytest.fixture
def sandbox_options():
    def coordinator(options):
        return attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)

    return SandboxOptions(coordinator=coordinator)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@asynccontextmanager
async def watched(real, more=""):
    """The service with a page, and whoever looks at it."""
    port = free_port()
    page = f'listen_address = "127.0.0.1:{port}"\npaas_page = true\nlog_level = "debug"\n{more}'
    real.configure(more=page, runner=RUNNER)
    async with real.service(), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await real.until(lambda: any(event.get("event") == "site_opened" for event in real.log))
        yield client


async def until(client, path, text, seconds=60):
    """The page, as soon as it says so."""
    async with asyncio.timeout(seconds):
        while text not in (answer := await client.get(path)).text:
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.1)
    return answer.text


@pytest.mark.long
async def test_it_shows_what_runs_what_an_outage_does_and_how_it_ended(real):
    hold = real.hold()
    async with watched(real) as client:
        jobs = real.submit(2, script=hold.script)
        async with asyncio.timeout(60):
            while (answer := (await client.get("/api/v1/jobs?phase=running")).json())["total"] < 2:
                await asyncio.sleep(0.1)
        assert [job["job"] for job in answer["jobs"]] == [job.job_id for job in jobs]
        hosts = (await client.get("/api/v1/hosts")).json()
        assert {host["host_name"] for host in hosts["hosts"]} == {entry.name for entry in real.alive}
        assert "2 running, of 2 jobs" in re.sub(r"<[^>]*>", "", (await client.get("/")).text)

        for path in ("/", "/api/v1/status"):  # a page of somebody else's, whose name leads here by now
            assert (await client.get(path, headers={"Host": "evil.example"})).status_code == 421

        cloud = real.sandbox.cloud_faults
        outage = cloud.add(Answer(503), method="POST", path="**/applications")
        jobs += real.submit(1)
        told = re.sub(r"<[^>]*>", "", await until(client, "/", "failed, the last: "))
        assert "1 job does not get on" in told
        assert "503" in told
        cloud.remove(outage)

        coordinator = real.sandbox.coordinator_faults
        outage = coordinator.add(Answer(502), path="**/jobs/request")
        told = await until(client, "/", "backing off")
        assert "502" in told
        coordinator.remove(outage)
        hold.release()
        await real.settled(jobs)
        await until(client, "/", "No job is here.")
        async with asyncio.timeout(60):
            while (await client.get("/api/v1/status")).json()["runners"][0]["state"] != "polling":
                await asyncio.sleep(0.1)
        history = await until(client, f"/jobs/{jobs[0].job_id}", "the host is gone")
        assert "gone" in history
        costs = (await client.get("/api/v1/costs")).json()
        assert (costs["total"]["jobs"], costs["total"]["running"]) == (3, 0)


async def test_a_job_that_cannot_be_run_is_among_the_failures_of_the_day(real):
    async with watched(real) as client:
        real.sandbox.cloud_faults.add(
            Answer(400, body=b'{"message": "no"}'), method="POST", path="**/applications"
        )
        [job] = real.submit(1)
        async with asyncio.timeout(60):
            while not (causes := (await client.get("/api/v1/failures")).json()["causes"]):
                await asyncio.sleep(0.1)
        assert causes[0]["jobs"][0]["key"]["job_id"] == job.job_id
        # between its last record in memory and the first of its past on the disk it is in neither
        await until(client, "/", '<span class="figure">1</span> <span class="what">failed within 24 h')


@pytest.mark.long
async def test_no_secret_is_in_any_page_or_answer_and_the_token_is_in_no_log(real):
    hold = real.hold()
    async with watched(real, f'paas_page_token = "{TOKEN}"\n') as client:
        jobs = [*real.submit(1, script=hold.script), *real.submit(1, script=("exit 1",))]
        async with asyncio.timeout(60):
            while not real.phases("running"):
                await asyncio.sleep(0.1)
        assert (await client.get("/")).status_code == 303
        assert (await client.post("/login", data={"token": "wrong"})).status_code == 403
        assert (await client.post("/login", data={"token": TOKEN})).status_code == 303
        secrets = [*CANARIES, real.sandbox.runner_token.reveal(), real.sandbox.cloud_token.reveal()]
        secrets += [job.token.reveal() for job in jobs]
        for path in [*PAGES, *ANSWERS, *(f"/jobs/{job.job_id}" for job in jobs)]:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            everything = answer.text + str(answer.headers)
            assert not [secret for secret in secrets if secret in everything], path
        hold.release()
        await real.settled(jobs)
    assert TOKEN not in real.printed()


@pytest.mark.long
async def test_during_the_demo_the_page_shows_its_jobs():
    command = [sys.executable, "-m", "paas_runner", "demo", "--page"]
    demo = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    lines = []
    async for line in demo.stdout:
        lines.append(line.decode())
        if "page: " in lines[-1]:
            break
    [address] = re.findall(r"http://127\.0\.0\.1:\d+", lines[-1])
    seen = set()

    async def look():
        async with httpx.AsyncClient(base_url=address) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):  # it is restarted on the way
                    answer = await client.get("/")
                    assert answer.status_code == 200
                    seen.update(re.findall(r"<bdi>([a-z ]+)</bdi></a>", answer.text))
                await asyncio.sleep(0.1)

    looking = asyncio.ensure_future(look())
    rest, _ = await demo.communicate()
    looking.cancel()
    assert demo.returncode == 0, rest.decode()
    assert {"compile", "unit tests", "broken", "report"} <= seen
