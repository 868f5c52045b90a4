"""What prunner's own clients rely on: the web UI (P135, P136, P137), the PHP client (P138), applications."""

import asyncio
import base64
import hmac
import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from paas_pipelines.definitions.definition import OnError, TaskDefinition
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.engine import ShuttingDownError
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.browser import browser
from tests.support.served_pipelines import SECRET, definition, now, served, serving

UI = os.environ.get("PRUNNER_UI", "")
"""The bundle of prunner-ui: a React application, which is on no registry as a built file."""

LAST_START = (
    "[...document.querySelectorAll('button')].filter(b => b.innerText.includes('Start')).at(-1).click()"
)
ONE = {"a": TaskDefinition(script=("a",))}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
async def world(tmp_path):
    others = [
        definition("hooked", tasks=ONE, on_error=OnError(script=("b",))),
        definition("closed", tasks=ONE, queue_limit=0),
        definition("none", tasks={}),
    ]
    async with serving(served(tmp_path, definition(), *others)) as found:
        yield found


def token(**claims):
    """As a program in another language makes it, by RFC 7519 alone."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"typ": "JWT", "alg": "HS256"}, claims)
    ]
    signature = hmac.digest(SECRET.reveal().encode(), b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def listed(client):
    answer = await client.get("pipelines/jobs")
    assert answer.is_success
    return answer.json()


async def test_the_ui_lists_starts_watches_and_cancels(world):
    """P135, P137: with the calls and the fields of its source."""
    headers = {"Authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(base_url=f"{world.client.base_url}/", headers=headers) as ui:
        before = await listed(ui)
        assert all(isinstance(job["tasks"], list) for job in before["jobs"])
        assert {each["pipeline"] for each in before["pipelines"] if each["schedulable"]} == {
            *("release_it", "hooked", "closed", "none")
        }
        answer = await ui.post(
            "pipelines/schedule",
            content=json.dumps({"pipeline": "closed"}),
            headers={"Content-Type": "application/json"},
        )
        assert answer.is_success
        job_id = answer.json()["jobId"]
        shown = await listed(ui)
        job = next(job for job in shown["jobs"] if job["id"] == job_id)
        assert job.items() >= {"canceled": False, "completed": False, "errored": False}.items()
        assert "start" in job
        assert "end" not in job  # so it offers to cancel
        assert job["tasks"][0].keys() >= {"name", "status", "errored", "exitCode"}
        states = {each["pipeline"]: each["schedulable"] for each in shown["pipelines"]}
        assert not states["closed"]  # so the button is off
        logs = await ui.get(f"job/logs?id={job_id}&task=a")
        assert logs.json().keys() == {"stdout", "stderr"}
        assert (await ui.post(f"job/cancel?id={job_id}")).is_success
        world.end(job_id, "a", stopped=True)
        job = next(job for job in (await listed(ui))["jobs"] if job["id"] == job_id)
        assert job["canceled"]


async def test_a_completed_job_has_both_times_however_it_ended(world):
    """P135: the UI computes how long it took."""
    well, ill, canceled = [await world.schedule(name) for name in ("release_it", "hooked", "closed")]
    await world.schedule("none")
    world.complete(well)
    world.end(ill, "a", exit_code=1)
    world.end(ill, "on_error", exit_code=1)
    await world.client.post(f"/job/cancel?id={canceled}")
    world.end(canceled, "a", stopped=True)
    jobs = (await listed(world.client))["jobs"]
    assert len(jobs) == 4
    for job in jobs:
        assert job["completed"]
        assert RFC3339.fullmatch(job["start"])
        assert datetime.fromisoformat(job["end"]) >= datetime.fromisoformat(job["start"])


async def test_the_graph_can_be_drawn_from_the_names(world):
    """P137: every name that a task depends on is a task before it in the list."""
    job_id = await world.schedule()
    known = set()
    for task in (await world.client.get(f"/job/detail?id={job_id}")).json()["tasks"]:
        assert known >= set(task.get("dependsOn", ()))
        known.add(task["name"])
    assert len(known) == 5


async def test_the_ui_may_be_given_other_headers_and_another_place(world):
    """P136: a token in a cookie, headers that we do not know, a base URL with or without a slash."""
    headers = {"Cookie": f"jwt={token(sub='a')}", "X-CSRF-Token": "x", "Cache-Control": "no-cache"}
    async with httpx.AsyncClient(base_url=f"http://localhost:{world.port}", headers=headers) as ui:
        for path in ("/pipelines", "/pipelines/", "/pipelines/jobs"):
            answer = await ui.get(path)
            assert answer.status_code == 200
            assert "location" not in answer.headers


async def test_the_php_client_schedules_asks_and_cancels(world):
    """P138: a token of a minute for each call, 202 and 200 exactly, times as PHP reads them."""

    async def call(method, path, body=None):
        fresh = token(sub="editor", exp=int(now().timestamp()) + 60)
        headers = {"Authorization": f"Bearer {fresh}"}
        return await world.client.request(method, path, json=body, headers=headers)

    answer = await call("POST", "/pipelines/schedule", {"pipeline": "release_it", "variables": {}})
    assert answer.status_code == 202
    job_id = answer.json()["jobId"]
    job = (await call("GET", f"/job/detail?id={job_id}")).json()
    assert "error" not in job
    assert job["user"] == "editor"
    assert RFC3339.fullmatch(job["created"])
    jobs = (await call("GET", "/pipelines/jobs")).json()["jobs"]
    assert [each["id"] for each in jobs] == [job_id]
    missing = await call("GET", "/job/detail?id=52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8")
    assert missing.json() == {"error": "Job not found"}
    assert (await call("POST", f"/job/cancel?id={job_id}")).status_code == 200


async def test_an_application_may_have_the_runner_in_its_own_process(tmp_path):
    """P134: every verb of the Go package's PipelineRunner, and both of its errors."""
    parts = served(tmp_path, definition(start_delay=timedelta(hours=1)))
    engine = parts.engine
    run = await parts.schedule("release_it", variables={"a": 1}, user="a")  # ScheduleAsync, SaveToStore
    assert engine.book.run(run.run_id) == run  # ReadJob
    assert list(engine.book.runs()) == [run]  # IterateJobs
    assert [state.definition.name for state in engine.pipelines()] == ["release_it"]  # ListPipelines
    engine.advance()  # StartDelayedJob: not before its time
    assert engine.book.run(run.run_id).waiting
    assert (await parts.cancel(run.run_id)).canceled  # CancelJob
    assert engine.replace_definitions({"other": definition("other")})  # ReplaceDefinitions
    engine.close()  # Shutdown
    with pytest.raises(ShuttingDownError):
        await parts.schedule("other", variables={})
    with pytest.raises(UnknownRunError):
        await parts.cancel("another")


async def test_an_application_forwards_what_its_user_may_see(world):
    """P133: the token never leaves the application; what it passes on needs no change."""
    own_token = {"Authorization": world.client.headers["authorization"]}
    async with httpx.AsyncClient(base_url=world.client.base_url) as upstream:

        async def forward(path):
            answer = await upstream.get(path, headers=own_token)
            return Response(
                answer.content, answer.status_code, {"Content-Type": answer.headers["content-type"]}
            )

        passed_on = await forward("/pipelines/jobs")
        assert json.loads(passed_on.body) == await listed(world.client)
        assert SECRET.reveal().encode() not in passed_on.body


@pytest.mark.long
@pytest.mark.skipif(not UI, reason="PRUNNER_UI is not the path of a bundle of prunner-ui")
async def test_the_real_ui_works_in_a_browser(tmp_path):
    """P135, P136, P137: built from its source; it lists, starts, shows a log, and cancels."""
    page = f"""<!DOCTYPE html><title>Prunner UI</title>
        <div data-component="PrunnerUi" data-prop-api-base-url="/" data-prop-auth-token="{token(sub="ui")}"
             data-n-prop-refresh-interval="200"></div><script type="module" src="/ui.js"></script>"""

    async def index(_request):
        return HTMLResponse(page)

    async def script(_request):
        return Response(Path(UI).read_bytes(), media_type="text/javascript")

    routes = [Route("/", index), Route("/ui.js", script)]
    parts = served(tmp_path, definition(), definition("none", tasks={}))
    async with serving(parts, own_routes=routes) as world, browser(tmp_path / "profile") as tab:

        async def seen(text):
            async with asyncio.timeout(60):
                while not await tab.evaluate(f"document.body.innerText.includes({json.dumps(text)})"):
                    await asyncio.sleep(0.1)

        await tab.go(f"http://127.0.0.1:{world.port}/")
        await seen("release_it")
        await tab.evaluate(LAST_START)
        await seen("Running")
        run = next(world.engine.book.runs())
        assert (run.pipeline, run.user) == ("release_it", "ui")
        await tab.evaluate("document.querySelector('button[title=lint]').click()")
        await seen("Empty command output")
        world.served.logs.output(run.run_id, "lint").stdout("ümläute <b>\xff".encode("latin-1") + b"\n")
        await seen("l\ufffdute <b>\ufffd")
        world.end(run.run_id, "lint", exit_code=3)
        await seen("Task failed with exit code 3")
        for name in ("test", "generate"):
            world.end(run.run_id, name, stopped=True)
        await seen("Completed")
        await tab.evaluate(LAST_START)
        await seen("Running")
        await tab.evaluate("document.querySelector('button[title=Cancel]').click()")
        await seen("Canceled")
        assert next(world.engine.book.runs()).canceled
        errors = [each for each in tab.messages if "exceptionDetails" in each]
        assert not errors
