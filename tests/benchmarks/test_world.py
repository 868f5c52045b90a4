"""The world of the benchmark answers as the services do that it plays, where both programs look."""

import asyncio
import json
import os
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from benchmarks.world.books import Books
from benchmarks.world.cloud import Cloud, Distance
from benchmarks.world.coordinator import Coordinator
from benchmarks.world.http import Answer, Request, serving

TOKEN, CLOUD_TOKEN = "runner-token", "cloud-token"
APPLICATIONS = "/v2/organisations/orga/applications"


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def coordinator(books):
    made = Coordinator(books, [TOKEN], admin_token="admin", long_poll_seconds=50)
    made.url = "http://coordinator.test"
    return made


@pytest.fixture
def cloud(books):
    made = Cloud(books, organisation="orga", token=CLOUD_TOKEN, distance=Distance())
    made.url = "http://cloud.test"
    return made


def ask_for_job(coordinator, last_update=""):
    body = json.dumps({"token": TOKEN, "last_update": last_update}).encode()
    return coordinator.answer(Request("POST", "/api/v4/jobs/request", "", {}, body))


def submit(coordinator, run_seconds=2.0):
    return coordinator.submit(TOKEN, first_byte_seconds=0.0, run_seconds=run_seconds)


def create(cloud, job_id):
    wanted = {
        "name": f"hpd-job-runner-t-{job_id}",
        "zone": "par",
        "deploy": "git",
        "instanceType": "docker",
        "instanceVersion": "20210421",
        "instanceVariant": "70d676a0-a775-4dc9-a43d-3121036e8515",
        "minInstances": 1,
        "maxInstances": 1,
        "minFlavor": "heptapod-runner-M",
        "maxFlavor": "heptapod-runner-M",
        "env": {"NAME": "value"},
    }
    headers = {"authorization": f"token {CLOUD_TOKEN}"}
    return cloud.answer(Request("POST", APPLICATIONS, "", headers, json.dumps(wanted).encode()))


async def test_a_held_request_brings_no_job_but_the_next_one_does(coordinator):
    nothing = ask_for_job(coordinator)
    seen = nothing.headers["x-gitlab-last-update"]
    held = asyncio.ensure_future(ask_for_job(coordinator, seen))
    await asyncio.sleep(0)
    job_id = submit(coordinator)
    answer = await held
    assert (nothing.status, answer.status) == (204, 204)
    assert "x-gitlab-last-update" not in answer.headers
    brought = ask_for_job(coordinator, seen)
    assert brought.status == 201
    assert json.loads(brought.body)["id"] == job_id


async def test_after_a_job_the_next_request_is_answered_in_earnest(coordinator):
    submit(coordinator)
    submit(coordinator)
    first = ask_for_job(coordinator)
    assert ask_for_job(coordinator, first.headers["x-gitlab-last-update"]).status == 201


def test_a_job_has_its_own_token_in_its_payload_and_its_variables(coordinator, books):
    job = books.jobs[submit(coordinator)]
    payload = json.loads(ask_for_job(coordinator).body)
    variables = {variable["key"]: variable["value"] for variable in payload["variables"]}
    assert (payload["token"], variables["CI_JOB_TOKEN"]) == (job.token, job.token)
    assert variables["CI_JOB_ID"] == str(job.job_id)


@pytest.mark.parametrize(
    ("pushed_ago", "status", "size"), [(None, 416, 0), (1.0, 416, 600), (3.0, 403, None)]
)
def test_the_trace_tells_how_far_a_job_is(coordinator, books, pushed_ago, status, size):
    job = books.jobs[submit(coordinator)]
    ask_for_job(coordinator)
    if pushed_ago is not None:
        job.pushed = time.monotonic() - pushed_ago
        job.ends = job.pushed + job.run_seconds
    headers = {"content-range": "1-1", "job-token": job.token}
    answer = coordinator.answer(Request("PATCH", f"/api/v4/jobs/{job.job_id}/trace", "", headers, b"\n"))
    assert answer.status == status
    assert answer.headers.get("range") == (None if size is None else f"0-{size}")


def test_an_end_is_found_by_the_first_answer_that_tells_it(coordinator, books):
    job = books.jobs[submit(coordinator)]
    ask_for_job(coordinator)
    job.pushed = time.monotonic() - 3
    job.ends = job.pushed + job.run_seconds
    look = Request("GET", "/api/v4/job", "", {"job-token": job.token}, b"")
    assert coordinator.answer(look).status == 401
    assert job.ends < job.found <= time.monotonic()


def test_an_application_is_created_with_its_environment_and_gone_after_its_deletion(cloud):
    application = json.loads(create(cloud, 1).body)
    assert application["env"] == [{"name": "NAME", "value": "value"}]
    assert application["deployment"]["repoState"] == "CREATED"
    path, headers = f"{APPLICATIONS}/{application['id']}", {"authorization": f"token {CLOUD_TOKEN}"}
    answers = [
        cloud.answer(Request(verb, path, "", headers, b"")).status for verb in ("DELETE", "DELETE", "GET")
    ]
    assert answers == [200, 404, 404]


def test_a_flavor_that_is_not_on_offer_is_refused(cloud):
    body = json.dumps({"name": "x", "instanceType": "docker"}).encode()
    headers = {"authorization": f"token {CLOUD_TOKEN}"}
    assert cloud.answer(Request("POST", APPLICATIONS, "", headers, body)).status == 400


def git(*arguments, folder):
    quiet = {
        "HOME": str(folder),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": os.environ["PATH"],
    }
    name = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.test")
    done = subprocess.run(
        ["git", *name, *arguments], cwd=folder, env=quiet, capture_output=True, check=False, text=True
    )
    return done.returncode, done.stdout


async def test_the_git_program_pushes_to_a_remote_once_and_its_job_begins(
    cloud, coordinator, books, tmp_path
):
    cloud.user_in_url = True
    job = books.jobs[submit(coordinator)]

    def push(url):
        git("init", "-q", "-b", "master", ".", folder=tmp_path)
        (tmp_path / "job.json").write_text("{}")
        git("add", "job.json", folder=tmp_path)
        git("commit", "-q", "-m", "first", folder=tmp_path)
        empty = git("ls-remote", url, "master", folder=tmp_path)
        first = git("push", "-q", url, "master", folder=tmp_path)
        listed = git("ls-remote", url, "master", folder=tmp_path)
        commit = git("rev-parse", "HEAD", folder=tmp_path)[1].strip()
        git("commit", "-q", "--amend", "-m", "another", folder=tmp_path)
        other = git("push", "-q", url, "master", folder=tmp_path)
        return empty, first[0], listed[1].split(), commit, other[0]

    async with serving(cloud.answer) as cloud.url:
        url = json.loads(create(cloud, job.job_id).body)["deployUrl"]
        empty, first, listed, commit, other = await asyncio.to_thread(push, url)
    assert empty == (0, "")
    assert first == 0
    assert listed == [commit, "refs/heads/master"]
    assert other != 0
    assert job.pushed is not None
    assert books.requests["git: challenge"] > 0


async def test_connections_are_kept_and_requests_in_pieces_are_put_together():
    def handler(request):
        return Answer(200, request.body + request.path.encode())

    async with serving(handler) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        for piece in (b"POST /a HTTP/1.1\r\ncontent-le", b"ngth: 3\r\n\r\nab", b"cGET /b HTTP/1.1\r\n\r\n"):
            writer.write(piece)
            await asyncio.sleep(0.01)
        said = b""
        while said.count(b"HTTP/1.1 200") < 2 or not said.endswith(b"/b"):
            said += await reader.read(1000)
        writer.close()
        await writer.wait_closed()
    assert b"abc/a" in said
