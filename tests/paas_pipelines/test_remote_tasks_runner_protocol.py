"""Runners of others: what GitLab Runner sends, byte for byte, and our own inner runner over HTTP."""

import asyncio
import json
import zlib

import attrs
import pytest
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.tasks.job_server import registration_token

from tests.support.remote_runner import jobs, registered, started
from tests.support.remote_tasks import SECRET, served_world

AGENT = "gitlab-runner 18.4.0 (18-4-stable; go1.24.6 X:cacheprog; linux/amd64)"
FEATURES = (
    '"variables":true,"image":true,"services":true,"artifacts":true,"cache":true,"fallback_cache_keys":true,'
    '"shared":false,"upload_multiple_artifacts":true,"upload_raw_artifacts":true,"session":true,"terminal":true,'
    '"refspecs":true,"masking":true,"proxy":false,"raw_variables":true,"artifacts_exclude":true,'
    '"multi_build_steps":true,"trace_reset":true,"trace_checksum":true,"trace_size":true,"vault_secrets":true,'
    '"cancelable":true,"return_exit_code":true,"service_variables":true,"service_multiple_aliases":true,'
    '"image_executor_opts":true,"service_executor_opts":true,"cancel_gracefully":true,'
    '"native_steps_integration":false'
)
INFO = (
    '"info":{"name":"gitlab-runner","version":"18.4.0","revision":"139a0ac0","platform":"linux",'
    f'"architecture":"amd64","executor":"docker","shell":"bash","features":{{{FEATURES}}},'
    '"config":{"gpus":""},"labels":null}'
)


@attrs.frozen
class Told:
    line: str
    headers: dict
    body: str


async def sent(url, head, body=b""):
    """The answer to exactly these bytes, on a connection of their own."""
    host = url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head = head.replace("\n", "\r\n").format(host=host, agent=AGENT, length=len(body))
    writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    top, _, text = answer.partition(b"\r\n\r\n")
    line, *lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
    return Told(line, headers, text.decode())


POST = "POST {path} HTTP/1.1\nHost: {{host}}\nUser-Agent: {{agent}}\nContent-Length: {{length}}\n"
JSON = "Accept: application/json\nContent-Type: application/json\nAccept-Encoding: gzip"


def post(url, path, text, *, method="POST", more=""):
    head = POST.format(path=path).replace("POST", method, 1) + more + JSON
    return sent(url, head, text.encode())


@pytest.fixture
async def world(tmp_path):
    async with served_world(tmp_path) as world:
        yield world


async def test_gitlab_runner_takes_a_task_and_brings_it_to_its_end(world):
    """Registration, verification, a held request, job, trace, end: §1.2, §1.4, §2 to §4 of the runner API."""
    secret = registration_token(SECRET).reveal()
    answer = await post(
        world.url,
        "/api/v4/runners",
        f'{{{INFO},"token":"{secret}","description":"far","tag_list":"gpu","run_untagged":false,'
        '"locked":true,"active":true,"paused":false,"access_level":"not_protected"}',
    )
    assert answer.line == "HTTP/1.1 201 Created"
    token = json.loads(answer.body)["token"]
    answer = await post(
        world.url, "/api/v4/runners/verify", f'{{"token":"{token}","system_id":"s_c2d22f638c25"}}'
    )
    assert (answer.line, json.loads(answer.body)["token"]) == ("HTTP/1.1 200 OK", token)

    def request(last=""):
        told = f'"last_update":"{last}",' if last else ""
        body = f'{{{INFO},"token":"{token}","system_id":"s_c2d22f638c25",{told[:-1]}}}'.replace(",}", "}")
        return post(world.url, "/api/v4/jobs/request", body, more=f"RUNNER-TOKEN: {token}\n")

    answer = await request()
    assert (answer.line, answer.body) == ("HTTP/1.1 204 No Content", "")
    held = asyncio.create_task(request(answer.headers["x-gitlab-last-update"]))
    await asyncio.sleep(0.05)
    assert not held.done()
    run_id = world.schedule(
        {"n": 4}, build=TaskDefinition(script=("exit {{ .n }}",), runner="gpu", image="debian:12")
    )
    assert (await held).line == "HTTP/1.1 204 No Content"

    answer = await request("the-old-one")
    assert answer.line == "HTTP/1.1 201 Created"
    job = json.loads(answer.body)
    assert job["image"]["name"] == "debian:12"
    assert len(job["git_info"]["sha"]) == 40
    path, mine = f"/api/v4/jobs/{job['id']}", job["token"]

    def put(state, more=""):
        body = f'{{{INFO},"token":"{mine}","state":"{state}"{more}}}'
        return post(world.url, path, body, method="PUT", more=f"JOB-TOKEN: {mine}\n")

    answer = await put("running")
    assert (answer.line, answer.headers["job-status"], answer.body) == ("HTTP/1.1 200 OK", "running", "200")

    trace = "\x1b[0KRunning with gitlab-runner 18.4.0\x1b[0;m\nÄ exit 4\n".encode()
    for piece in (trace[:9], trace[9:]):
        start = 0 if piece == trace[:9] else 9
        head = (
            f"PATCH {path}/trace?debug_trace=false HTTP/1.1\nHost: {{host}}\nUser-Agent: {{agent}}\n"
            f"Content-Length: {{length}}\nContent-Range: {start}-{start + len(piece) - 1}\n"
            f"Content-Type: text/plain\nJob-Token: {mine}\nAccept-Encoding: gzip"
        )
        answer = await sent(world.url, head, piece)
        assert answer.line == "HTTP/1.1 202 Accepted"
        assert answer.headers["range"] == f"0-{start + len(piece)}"
        assert answer.headers["x-gitlab-trace-update-interval"] == "3"
    answer = await sent(world.url, head, piece)  # once more, after a lost answer
    assert (answer.line.split(" ")[1], answer.headers["range"]) == ("416", f"0-{len(trace)}")

    crc = f"crc32:{zlib.crc32(trace):08x}"
    answer = await put(
        "failed",
        f',"failure_reason":"script_failure","checksum":"{crc}","output":{{"checksum":"{crc}",'
        f'"bytesize":{len(trace)}}},"exit_code":4',
    )
    assert (answer.line, answer.headers["job-status"]) == ("HTTP/1.1 200 OK", "failed")
    run = await world.ended(run_id)
    assert (run.task("build").error, run.task("build").exit_code) == ("exit status 4", 4)
    assert world.said(run_id, "build") == trace
    assert (await put("running")).line == "HTTP/1.1 403 Forbidden"


async def test_the_inner_runner_does_tasks_over_http(world, tmp_path):
    """With what the shell of a task promises, in the shell that it has."""
    token = await asyncio.to_thread(registered, world.url, registration_token(SECRET).reveal(), "far")
    run_id = world.schedule(
        build=TaskDefinition(
            script=(
                "cd /; x=$TASK_NAME",
                'printf "%s\\n" "$PWD" "$x" "$A"',
                "exit 5",
                "echo last",
            ),
            env={"A": "$HOME is $$"},
            runner="far",
            allow_failure=True,
        ),
        check=TaskDefinition(script=("true",), runner="far", depends_on=("build",)),
    )
    asking = jobs(world.url, token)
    for name in ("build", "check"):
        job = await asyncio.to_thread(next, asking)
        assert job["job_info"]["name"] == name
        assert await asyncio.to_thread(started(world.url, tmp_path, job).wait) in (0, 1)
    run = await world.ended(run_id)
    assert [(task.name, task.status, task.exit_code) for task in run.tasks] == [
        ("build", "done", 5),
        ("check", "done", 0),
    ]
    lines = world.said(run_id, "build").decode().splitlines()
    at = lines.index("build")
    assert lines[at - 1].endswith("/pipelines/p")
    assert lines[at + 1] == "$HOME is $$"
    assert "last" in lines[at:]
