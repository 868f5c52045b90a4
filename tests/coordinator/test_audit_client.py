"""What a coordinator believes a runner to run: read from the sandbox's, and from odd and hostile ones."""

import json
import random
from datetime import UTC, datetime

import httpx
import pytest

from paas_runner.coordinator.audit import MOST_PAGES, PER_PAGE, GitLabAuditor
from paas_runner.errors import Rejected, Transient
from paas_runner.http import Http
from paas_runner.job.audit import BelievedJob
from paas_runner.pipelines.coordinator import Coordinator as GitLab
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.secret import Secret

MACHINE = "s_0123456789ab"
JOB = BelievedJob(job_id=1, project_id=7)


def auditor(handle, *, runner_token="runner-canary", token="canary-list", cancel_token="canary-cancel"):
    transport = handle if isinstance(handle, httpx.AsyncBaseTransport) else httpx.MockTransport(handle)
    return GitLabAuditor(
        "http://coordinator",
        runner_token=Secret(runner_token),
        token=Secret(token),
        cancel_token=Secret(cancel_token) if cancel_token else None,
        system_id=MACHINE,
        connect=Http(rng=random.Random(1), transport=lambda _url: transport),
    )


def answering(*pages, verified=(("id", 5),), status=200):
    """A coordinator whose list has these pages of (body, headers); all requests are kept in `asked`."""
    asked = []

    def handle(request):
        asked.append(request)
        if request.url.path.endswith("/verify"):
            return httpx.Response(200, json=dict(verified))
        number = sum(not each.url.path.endswith("/verify") for each in asked)
        body, headers = pages[min(number, len(pages)) - 1]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content, headers=headers)

    handle.asked = asked
    return handle


def listed(*numbers, **more):
    return [{"id": n, "status": "running", "pipeline": {"project_id": 7}, **more} for n in numbers]


class World:
    def __init__(self):
        options = CoordinatorOptions(registration_token=Secret("reg"), admin_token=Secret("admin"))
        self.gitlab = GitLab(clock=lambda: datetime.now(UTC), options=options, rng=random.Random(2))
        self.runner = self.gitlab.runners.add(description="test")
        transport = httpx.ASGITransport(create_coordinator_app(self.gitlab))
        token = self.runner.token.reveal()
        self.auditor = auditor(transport, runner_token=token, token="admin", cancel_token="admin")

    def hand_out(self, count=1, machine=MACHINE, features=frozenset()):
        for number in range(count):
            self.gitlab.submit_job(JobSpec(name=f"job {number}", script=("true",)))
            job = self.gitlab.acquire(self.runner.runner_id, system_id=machine, features=features)
        return job


async def test_all_pages_of_this_machines_running_jobs_are_read():
    world = World()
    world.hand_out(2 * PER_PAGE + 1)
    world.hand_out(machine="s_another00000")
    found = await world.auditor.running()
    assert found.complete
    assert [job.job_id for job in found.jobs] == [*range(1, 2 * PER_PAGE + 2)]
    assert {job.project_id for job in found.jobs} == {1}
    assert await world.auditor.tells_machines_apart()


async def test_a_lost_job_is_canceled_by_force_and_retried_once():
    world = World()
    job = world.hand_out(features=frozenset({"cancel_gracefully"}))
    [found] = (await world.auditor.running()).jobs
    assert not await world.auditor.has_log(found)
    assert await world.auditor.cancel(found) == "canceling"
    assert await world.auditor.cancel(found, force=True) == "canceled"
    assert await world.auditor.cancel(found) == "canceled"
    assert await world.auditor.retry(found) == world.gitlab.latest(job.job_id).job_id
    with pytest.raises(Rejected) as refused:
        await world.auditor.retry(found)
    assert refused.value.status == 403
    assert await world.auditor.scopes() == {"api"}


async def test_whoever_has_written_a_byte_is_seen():
    world = World()
    job = world.hand_out()
    world.gitlab.append_trace(job.job_id, 0, b"x" * 3_000_000)
    [found] = (await world.auditor.running()).jobs
    assert await world.auditor.has_log(found)


NEXT = '<https://elsewhere.test/api/v4/runners/9/jobs?{query}>; rel="next"'


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        ({"X-Next-Page": "2"}, {"page": "2"}),
        ({"Link": NEXT.format(query="page=2&per_page=100")}, {"page": "2"}),
        ({"Link": NEXT.format(query="cursor=eyJpZCI6MX0%3D&pagination=keyset")}, {"cursor": "eyJpZCI6MX0="}),
    ],
)
async def test_of_the_next_page_its_number_or_cursor_is_taken_and_never_its_address(headers, params):
    handle = answering((listed(1), headers), (listed(2), {}))
    found = await auditor(handle).running()
    assert [job.job_id for job in found.jobs] == [1, 2]
    last = handle.asked[-1].url
    assert (last.host, last.path) == ("coordinator", "/api/v4/runners/5/jobs")
    assert params.items() <= dict(last.params).items()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Next-Page": "two"},
        {"Link": '<http://[>; rel="next"'},
        {"Link": "nonsense"},
        {"X-Next-Page": "9" * 99},
    ],
)
async def test_nonsense_instead_of_a_next_page_is_the_end(headers):
    assert (await auditor(answering((listed(1), headers))).running()).complete


async def test_a_list_without_end_is_read_so_far_and_no_further():
    handle = answering((listed(1), {"X-Next-Page": "2"}))
    found = await auditor(handle).running()
    assert not found.complete
    assert len(handle.asked) == MOST_PAGES + 1


async def test_what_is_no_running_job_is_passed_over():
    odd = [
        None,
        7,
        {"id": True, "status": "running"},
        {"id": "3", "status": "running"},
        {"id": -4, "status": "running"},
        {"id": 10**30, "status": "running"},
        {"id": 6, "status": "success"},
        {"id": 8},
        {"id": 9, "status": "running", "pipeline": [], "project": {"id": "x"}},
        {"id": 10, "status": "running", "pipeline": None, "project": {"id": 3}},
    ]
    found = await auditor(answering((odd, {}))).running()
    assert found.jobs == [BelievedJob(job_id=9), BelievedJob(job_id=10, project_id=3)]


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"[" * 100_000, b"[1,", b"\xff"])
async def test_a_body_that_is_no_list_is_for_the_next_look(body):
    with pytest.raises(Transient):
        await auditor(answering((body, {}))).running()


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
async def test_a_refusal_says_what_was_asked_and_no_token(status):
    with pytest.raises(Rejected) as refused:
        await auditor(answering(({"message": "no"}, {}), status=status)).running()
    assert refused.value.status == status
    assert "list the runner's jobs" in str(refused.value)


async def test_a_coordinator_that_tells_no_number_of_the_runner_has_no_list():
    with pytest.raises(Rejected, match="number"):
        await auditor(answering(([], {}), verified={})).running()


async def test_a_coordinator_that_knows_no_machines_is_found_out():
    assert not await auditor(answering((listed(1), {}))).tells_machines_apart()


async def test_the_tokens_go_in_headers_alone_and_each_where_it_belongs():
    handle = answering((listed(1), {}), ({"status": "canceled", "id": 1}, {}))
    client = auditor(handle)
    await client.running()
    await client.cancel(JOB, force=True)
    await client.retry(JOB)
    used = [request.headers.get("private-token") for request in handle.asked]
    assert used == [None, "canary-list", "canary-cancel", "canary-cancel"]
    assert "canary" not in "".join(str(request.url) for request in handle.asked)
    assert b"canary" not in b"".join(request.content for request in handle.asked[1:])


@pytest.mark.parametrize("body", [{"scopes": "api"}, [], {"message": "404"}, b"\x00"])
async def test_scopes_that_are_not_told_are_unknown(body):
    assert await auditor(answering((body, {}))).scopes() is None
