"""Every endpoint through a socket: each row of the tables of spec §6 and §7 (P113–P118, P120–P130)."""

import asyncio
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import attrs
import httpx
import pytest
from paas_pipelines.definitions.definition import OnError, QueueStrategy, TaskDefinition
from paas_pipelines.runs.run import Run

from paas_runner.store.protocol import StoreError
from tests.support.events import following
from tests.support.memory_journal import MemoryJournal
from tests.support.served_pipelines import authorization, definition, now, served, serving

JSON = "application/json"
UNKNOWN = "52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8"


@pytest.fixture
async def world(tmp_path):
    definitions = [
        definition(),
        definition("no_queue", queue_limit=0),
        definition("short_queue", queue_limit=1),
        definition("empty", tasks={}),
        definition("hooked", tasks={"a": TaskDefinition(script=("a",))}, on_error=OnError(script=("b",))),
        definition(
            "tenants", queue_strategy=QueueStrategy.PARTITIONED_REPLACE, queue_partition_limit=1, tasks={}
        ),
    ]
    async with serving(served(tmp_path, *definitions)) as found:
        yield found


# --- GET /pipelines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/pipelines", "/pipelines/"])
async def test_pipelines_are_listed_by_name_with_and_without_a_slash(tmp_path, path):
    """P113: upstream's TestServer_Pipelines."""
    async with serving(served(tmp_path)) as world:
        answer = await world.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == JSON
        assert answer.text.endswith("}\n")
        assert answer.json() == {
            "pipelines": [{"pipeline": "release_it", "running": False, "schedulable": True}]
        }


async def test_pipelines_tell_whether_one_more_run_would_be_taken(world):
    await world.schedule("no_queue")
    listed = (await world.client.get("/pipelines")).json()["pipelines"]
    assert [each["pipeline"] for each in listed] == sorted(each["pipeline"] for each in listed)
    shown = {each["pipeline"]: (each["schedulable"], each["running"]) for each in listed}
    assert shown["no_queue"] == (False, True)
    assert shown["short_queue"] == (True, False)


async def test_without_pipelines_the_list_is_empty(tmp_path):
    parts = served(tmp_path)
    parts.engine.replace_definitions({})
    async with serving(parts) as world:
        assert (await world.client.get("/pipelines/jobs")).json() == {"pipelines": [], "jobs": []}


# --- GET /pipelines/jobs ---------------------------------------------------------------------------------


async def test_jobs_come_newest_first_beside_the_pipelines(world):
    """P114: finished ones, too."""
    first = await world.schedule()
    world.complete(first)
    others = [await world.schedule() for _ in range(3)]
    shown = (await world.client.get("/pipelines/jobs")).json()
    assert shown["pipelines"] == (await world.client.get("/pipelines")).json()["pipelines"]
    assert [job["id"] for job in shown["jobs"]] == [*reversed(others), first]


async def test_the_order_is_that_of_creation(tmp_path):
    begin = datetime(2025, 8, 15, 12, tzinfo=UTC)
    runs = tuple(
        Run(
            run_id=str(uuid.uuid4()),
            number=number,
            pipeline="release_it",
            created=begin + timedelta(seconds=second),
            completed=True,
        )
        for number, second in enumerate((5, 1, 9))
    )
    async with serving(served(tmp_path, runs=runs)) as world:
        jobs = (await world.client.get("/pipelines/jobs")).json()["jobs"]
        assert [job["created"][-3:] for job in jobs] == ["09Z", "05Z", "01Z"]


# --- POST /pipelines/schedule ----------------------------------------------------------------------------


async def post(world, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await world.client.post("/pipelines/schedule", content=content, headers=headers)


async def test_a_scheduled_run_can_complete(world):
    """P115: upstream's TestServer_PipelinesSchedule."""
    answer = await post(world, {"pipeline": "release_it"})
    assert answer.status_code == 202
    assert answer.headers["content-type"] == JSON
    assert answer.text == json.dumps({"jobId": answer.json()["jobId"]}, separators=(",", ":")) + "\n"
    run_id = answer.json()["jobId"]
    assert uuid.UUID(run_id).version == 4
    assert str(uuid.UUID(run_id)) == run_id
    world.complete(run_id)
    assert (await world.client.get("/job/detail", params={"id": run_id})).json()["completed"] is True


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"pipeline": "x"}, 400, 'Error scheduling pipeline: pipeline "x" is not defined'),
        ({}, 400, 'Error scheduling pipeline: pipeline "" is not defined'),
        (b"null", 400, 'Error scheduling pipeline: pipeline "" is not defined'),
        ({"pipeline": None}, 400, 'Error scheduling pipeline: pipeline "" is not defined'),
        ({"pipeline": "release_it", "variables": {"__jobID": 1}}, 400, "Error scheduling pipeline: variable"),
        (b"", 400, "Error decoding JSON: "),
        (b"{", 400, "Error decoding JSON: "),
        (b"[]", 400, "Error decoding JSON: an object is needed"),
        (b'"release_it"', 400, "Error decoding JSON: an object is needed"),
        (b"\xff\xfe", 400, "Error decoding JSON: no UTF-8"),
        (b'{"pipeline": "release_it"} {}', 400, "Error decoding JSON: "),
        ({"pipeline": 7}, 400, "Error decoding JSON: `pipeline` is no string"),
        ({"pipeline": "release_it", "variables": []}, 400, "Error decoding JSON: `variables` is no object"),
        ({"pipeline": "release_it", "variables": "a"}, 400, "Error decoding JSON: `variables` is no object"),
        ({"pipeline": "release_it", "queuePartition": 1}, 400, "Error decoding JSON: `queuePartition`"),
        (b'{"pipeline": "release_it", "variables": {"a": NaN}}', 400, "Error decoding JSON: NaN"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", 400, "Error decoding JSON: nested too deeply"),
        (b"[" * 100_000, 400, "Error decoding JSON: nested too deeply"),
        (
            {"pipeline": "release_it", "variables": dict.fromkeys(map(str, range(1001)))},
            400,
            "Error decoding",
        ),
        (b'"' + b"x" * 1024 * 1024 + b'"', 413, "Request body is larger than 1048576 bytes"),
    ],
    ids=str,
)
async def test_what_cannot_be_scheduled_is_refused_in_words(world, body, status, error):
    """P121, P125; the reserved name is P061."""
    answer = await post(world, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == JSON
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].startswith(error)
    assert len(answer.json()["error"]) < 200
    assert len(world.engine.book) == 0


async def test_a_full_or_absent_queue_is_an_error_in_words(world):
    """P121."""
    await world.schedule("no_queue")
    refused = await post(world, {"pipeline": "no_queue"})
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "Error scheduling pipeline: concurrency exceeded and queueing disabled for pipeline"},
    )
    await world.schedule("short_queue")
    await world.schedule("short_queue")
    refused = await post(world, {"pipeline": "short_queue"})
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "Error scheduling pipeline: concurrency exceeded and queue limit reached for pipeline"},
    )


async def test_a_server_that_ends_takes_no_more_runs_but_answers(world):
    """P124, P101."""
    world.engine.close()
    refused = await post(world, {"pipeline": "release_it"})
    assert (refused.status_code, refused.json()) == (503, {"error": "Server is shutting down"})
    listed = (await world.client.get("/pipelines")).json()["pipelines"]
    assert not any(each["schedulable"] for each in listed)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"variables": {"tag": "v1", "n": 1.5, "l": ["a", None, True], "o": {"x": {}}}}, None),
        ({"variables": {"smile": "😀 \u0000 </script>"}}, None),
        ({"variables": {}}, {}),
        ({"variables": None}, {}),
        ({}, {}),
        ({"unknown": [1], "Variables": {"not": "these"}}, {}),
    ],
)
async def test_variables_are_kept_as_they_are(world, given, kept):
    """P056, P127: an object, null or absent; unknown keys are ignored."""
    run_id = await world.schedule(**given)
    job = (await world.client.get("/job/detail", params={"id": run_id})).json()
    assert job.get("variables", {}) == (given["variables"] if kept is None else kept)
    assert ("variables" in job) == (kept is None)


async def test_half_a_character_is_replaced_as_go_does_it(world):
    answer = await post(
        world, rb'{"pipeline": "release_it", "variables": {"\ud800": ["a\udc00b", "\ud83d\ude00"]}}'
    )
    job = (await world.client.get("/job/detail", params={"id": answer.json()["jobId"]})).json()
    assert job["variables"] == {"\ufffd": ["a\ufffdb", "😀"]}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
async def test_the_content_type_of_a_request_does_not_matter(world, kind):
    answer = await post(world, {"pipeline": "release_it"}, **{"Content-Type": kind})
    assert answer.status_code == 202


async def test_a_partition_is_taken_from_the_body(world):
    """P115: `queuePartition`, P032."""
    answers = [
        await post(world, {"pipeline": "tenants", "queuePartition": partition})
        for partition in ("a", "a", "b", "a")
    ]
    runs = [world.engine.book.run(answer.json()["jobId"]) for answer in answers]
    assert [run.partition for run in runs] == ["a", "a", "b", "a"]


async def test_the_user_is_the_tokens_subject(world):
    """P132."""
    for claims, user in (({"sub": "jane.doe"}, "jane.doe"), ({}, ""), ({"sub": ["x"]}, "")):
        answer = await world.client.post(
            "/pipelines/schedule", json={"pipeline": "release_it"}, headers=authorization(claims)
        )
        job = (await world.client.get("/job/detail", params={"id": answer.json()["jobId"]})).json()
        assert job["user"] == user


# --- GET /job/detail -------------------------------------------------------------------------------------


async def test_the_time_of_creation_is_in_whole_seconds(world):
    """P126: upstream's TestServer_JobCreationTimeIsRoundedForPhpCompatibility."""
    run_id = await world.schedule()
    created = world.engine.book.run(run_id).created
    shown = (await world.client.get("/pipelines/jobs")).json()["jobs"][0]["created"]
    assert shown == created.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_times_of_other_zones_are_told_in_utc(tmp_path):
    """P126: as in an imported data.json."""
    at = datetime.fromisoformat("2025-08-15T14:00:00.999999+02:00")
    run = Run(run_id=UNKNOWN, number=1, pipeline="release_it", created=at, start=at, end=at, completed=True)
    async with serving(served(tmp_path, runs=(run,))) as world:
        job = (await world.client.get("/job/detail", params={"id": UNKNOWN})).json()
        assert (job["created"], job["start"], job["end"]) == ("2025-08-15T12:00:00Z",) * 3


async def test_the_fields_of_a_job_in_each_state(world):
    """P127, P128: what is not known is left out."""
    always = {"id", "pipeline", "tasks", "completed", "canceled", "errored", "created", "user"}
    first, second = await world.schedule("hooked"), await world.schedule("hooked", variables={"a": 1})

    async def detail(run_id):
        return (await world.client.get("/job/detail", params={"id": run_id})).json()

    waiting, running = await detail(second), await detail(first)
    assert waiting.keys() == always | {"variables"}
    assert running.keys() == always | {"start"}
    assert (running["completed"], running["canceled"], running["errored"]) == (False, False, False)
    assert running["tasks"] == [
        {
            "name": "a",
            "status": "running",
            "start": running["start"],
            "skipped": False,
            "exitCode": -1,
            "errored": False,
        }
    ]
    world.end(first, "a", exit_code=3)
    failing = await detail(first)
    assert (failing["errored"], failing["completed"]) == (True, False)
    world.end(first, "on_error")
    failed = await detail(first)
    assert failed.keys() == always | {"start", "end", "lastError"}
    assert (failed["completed"], failed["canceled"], failed["errored"]) == (True, False, True)
    assert failed["lastError"] == "exit status 3"
    assert [(task["name"], task["status"]) for task in failed["tasks"]] == [
        ("a", "error"),
        ("on_error", "done"),
    ]
    assert failed["tasks"][0].items() >= {"exitCode": 3, "errored": True, "error": "exit status 3"}.items()
    assert failed["tasks"][0].keys() >= {"start", "end"}


async def test_what_a_template_misses_is_told_as_the_error_of_the_task(world):
    """P058."""
    text = 'template: :1:3: executing "" at <.tag>: map has no entry for key "tag"'
    run_id = await world.schedule("hooked")
    world.end(run_id, "a", error=text)
    job = (await world.client.get("/job/detail", params={"id": run_id})).json()
    assert (job["lastError"], job["tasks"][0]["error"]) == (text, text)


async def test_tasks_are_listed_in_the_order_of_their_dependencies(world):
    """P130, P129: those that are free at the same time by name."""
    job = (await world.client.get("/job/detail", params={"id": await world.schedule()})).json()
    assert [task["name"] for task in job["tasks"]] == ["generate", "build", "lint", "test", "deploy"]
    shown = {task["name"]: (task.get("dependsOn"), task["status"]) for task in job["tasks"]}
    assert shown["build"] == (["generate"], "waiting")
    assert shown["deploy"] == (["build", "test", "lint"], "waiting")
    assert shown["lint"] == (None, "running")


async def test_a_run_without_tasks_has_an_empty_list(world):
    """P135: the UI needs a list; both times are there, since it computes the duration."""
    job = (await world.client.get("/job/detail", params={"id": await world.schedule("empty")})).json()
    assert job["tasks"] == []
    assert job["completed"]
    assert job.keys() >= {"start", "end"}


async def test_detail_shows_whose_run_it_is(world):
    """Upstream's TestServer_JobDetail."""
    answer = await world.client.post(
        "/pipelines/schedule", json={"pipeline": "release_it"}, headers=authorization({"sub": "jane.doe"})
    )
    run_id = answer.json()["jobId"]
    world.complete(run_id)
    job = (await world.client.get(f"/job/detail?id={run_id}")).json()
    assert (
        job.items()
        >= {
            "id": run_id,
            "pipeline": "release_it",
            "completed": True,
            "user": "jane.doe",
        }.items()
    )
    assert (await world.client.get(f"/job/detail?id={run_id.upper()}")).json() == job


# --- GET /job/logs ---------------------------------------------------------------------------------------


async def test_logs_of_a_finished_task(world):
    """P117: upstream's TestServer_JobLogs."""
    run_id = await world.schedule()
    before = await world.client.get("/job/logs", params={"id": run_id, "task": "lint"})
    assert (before.status_code, before.json()) == (200, {"stdout": "", "stderr": ""})
    world.complete(run_id)
    answer = await world.client.get("/job/logs", params={"id": run_id, "task": "lint"})
    assert answer.headers["content-type"] == JSON
    assert answer.json() == {"stdout": "out from lint", "stderr": "err from lint"}


BAD_IDS = ["", "x", UNKNOWN[:-1], UNKNOWN + "0", UNKNOWN.replace("-", ""), f"{{{UNKNOWN}}}", "x" * 5000]


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        *((f"id={each}&task=", 400, "Invalid job id") for each in BAD_IDS),
        ("", 400, "Invalid job id"),
        ("task=lint", 400, "Invalid job id"),
        (f"id={UNKNOWN}", 400, "Invalid task name"),
        (f"id={UNKNOWN}&task=", 400, "Invalid task name"),
        (f"id={UNKNOWN}&task=lint", 404, "Job not found"),
        (f"id={UNKNOWN}&id=x&task=lint", 404, "Job not found"),
    ],
)
async def test_logs_are_refused_in_the_order_of_the_spec(world, query, status, error):
    """P121, P122."""
    answer = await world.client.get(f"/job/logs?{query}")
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert answer.headers["content-type"] == JSON


@pytest.mark.parametrize("task", ["unknown", "../../data", "lint/../lint", "LINT"])
async def test_only_tasks_of_the_run_have_logs(world, task):
    answer = await world.client.get("/job/logs", params={"id": await world.schedule(), "task": task})
    assert (answer.status_code, answer.json()) == (404, {"error": "Task not found"})


@pytest.mark.parametrize("method_and_path", [("GET", "/job/detail"), ("POST", "/job/cancel")])
async def test_ids_that_are_wrong_or_unknown(world, method_and_path):
    """P121, P122."""
    method, path = method_and_path
    for query, status, error in [
        *((f"?id={each}", 400, "Invalid job id") for each in BAD_IDS),
        ("", 400, "Invalid job id"),
        (f"?id={UNKNOWN}", 404, "Job not found"),
    ]:
        answer = await world.client.request(method, f"{path}{query}")
        assert (answer.status_code, answer.json()) == (status, {"error": error}), query


# --- POST /job/cancel ------------------------------------------------------------------------------------


async def test_cancel_answers_before_the_tasks_have_ended(world):
    """P118: upstream's TestServer_JobCancel; the body is ignored, and a second time is as good."""
    run_id = await world.schedule()
    answer = await world.client.post(f"/job/cancel?id={run_id}", content=b"\xff{")
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "true\n", JSON)
    job = (await world.client.get(f"/job/detail?id={run_id}")).json()
    assert (job["canceled"], job["completed"], job["lastError"]) == (True, False, "context canceled")
    assert {task["status"] for task in job["tasks"]} == {"running", "canceled"}
    for name in ("generate", "lint", "test"):
        world.end(run_id, name, stopped=True, exit_code=130)
    job = (await world.client.get(f"/job/detail?id={run_id}")).json()
    assert (job["canceled"], job["completed"]) == (True, True)
    again = await world.client.post(f"/job/cancel?id={run_id}")
    assert (again.status_code, again.text) == (200, "true\n")


async def test_a_completed_run_cannot_be_canceled(world):
    """P123."""
    run_id = await world.schedule("empty")
    answer = await world.client.post(f"/job/cancel?id={run_id}")
    assert (answer.status_code, answer.json()) == (500, {"error": "Error canceling job"})


async def test_a_waiting_run_is_canceled_at_once(world):
    await world.schedule()
    run_id = await world.schedule()
    assert (await world.client.post(f"/job/cancel?id={run_id}")).status_code == 200
    job = (await world.client.get(f"/job/detail?id={run_id}")).json()
    assert (job["canceled"], job["completed"], "start" in job) == (True, False, False)
    assert {task["status"] for task in job["tasks"]} == {"canceled"}


# --- common ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/pipelines/unknown", "/pipelines/jobs/", "/job", "/job/", "/job/detail/", "/", "//pipelines"]
)
async def test_an_unknown_path_is_a_plain_404_and_never_a_redirect(world, path):
    answer = await world.client.get(f"{world.client.base_url.copy_with(path='')}{path}")
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/pipelines/", "GET"),
        ("DELETE", "/pipelines/jobs", "GET"),
        ("GET", "/pipelines/schedule", "POST"),
        ("PUT", "/pipelines/schedule", "POST"),
        ("POST", "/job/detail", "GET"),
        ("POST", "/job/logs", "GET"),
        ("GET", "/job/cancel", "POST"),
        ("OPTIONS", "/pipelines/jobs", "GET"),
        ("TRACE", "/pipelines/jobs", "GET"),
    ],
)
async def test_a_wrong_method_is_a_405(world, method, path, allowed):
    answer = await world.client.request(method, path)
    assert answer.status_code == 405
    assert allowed in answer.headers["allow"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/pipelines/", "/pipelines/jobs", "/health", "/openapi.json", "/runs/stream"]
)
async def test_head_is_get_without_its_content(world, path):
    answer = await world.client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_profiling_is_not_there(world):
    """P119: upstream's TestServer_NoAccessToProfilingRoutesIfDisabled."""
    for path in ("/debug", "/debug/pprof", "/debug/pprof/heap"):
        assert (await world.client.get(path)).status_code == 404


async def test_health_says_that_it_lives(world):
    async with httpx.AsyncClient(base_url=world.client.base_url) as stranger:
        answer = await stranger.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"alive": True})


# --- the disk --------------------------------------------------------------------------------------------


class SlowJournal(MemoryJournal):
    """A disk that takes as long as the test wants, and may fail."""

    def __init__(self):
        super().__init__()
        self.waited_for, self.may_go_on, self.error = asyncio.Event(), asyncio.Event(), None

    async def flushed(self):
        self.waited_for.set()
        await self.may_go_on.wait()
        if self.error:
            raise self.error


async def test_a_change_is_answered_once_it_is_on_the_disk(tmp_path):
    journal = SlowJournal()
    async with serving(served(tmp_path, journal=journal)) as world:
        for call in (world.schedule(), world.client.get("/pipelines/jobs")):
            journal.waited_for.clear()
            journal.may_go_on.clear()
            answer = asyncio.create_task(call)
            await asyncio.wait_for(journal.waited_for.wait(), 60)
            assert len(world.engine.book) == 1
            assert not answer.done()
            journal.may_go_on.set()
            await asyncio.wait_for(answer, 60)


async def test_a_disk_that_fails_is_a_503_and_what_was_not_accepted_never_runs(tmp_path):
    journal = SlowJournal()
    journal.may_go_on.set()
    async with serving(served(tmp_path, journal=journal)) as world:
        run_id = await world.schedule()
        journal.error = StoreError("runs.sqlite: no space left on the disk")
        answers = [
            await post(world, {"pipeline": "release_it"}),
            await world.client.post(f"/job/cancel?id={run_id}"),
            await world.client.get("/pipelines/jobs"),
        ]
        assert {answer.status_code for answer in answers} == {503}
        assert "no space left" in answers[0].json()["error"]
        assert [run.canceled for run in world.engine.book.runs()] == [True, True]
        journal.trouble = str(journal.error)  # it is known now, and nothing piles up
        assert (await post(world, {"pipeline": "release_it"})).status_code == 503
        assert len(world.engine.book) == 2
        journal.trouble, journal.error = "", None
        assert (await post(world, {"pipeline": "release_it"})).status_code == 202


async def test_a_disk_that_fails_ends_streams_without_an_error_of_ours(tmp_path, caplog):
    journal = SlowJournal()
    journal.may_go_on.set()
    async with serving(served(tmp_path, journal=journal)) as world:
        run_id = await world.schedule()
        async with world.client.stream("GET", "/runs/stream") as answer:
            stream = await following(answer)
            await stream.next()
            journal.error = StoreError("runs.sqlite: no space left on the disk")
            world.end(run_id, "lint")
            with pytest.raises(httpx.TransportError):
                await stream.next()
        assert (await world.client.get("/health")).status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_unforeseen_error_ends_one_request_alone(tmp_path, caplog):
    parts = served(tmp_path)
    async with serving(attrs.evolve(parts, clock=now, logs=None)) as world:
        run_id = await world.schedule()
        answer = await world.client.get("/job/logs", params={"id": run_id, "task": "lint"})
        assert answer.status_code == 500
        assert not re.search("Traceback|AttributeError", answer.text)
        assert (await world.client.get("/pipelines")).status_code == 200


async def test_a_client_that_leaves_in_its_request_schedules_nothing_and_is_no_error(world, caplog):
    token = world.client.headers["authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    head = f"POST /pipelines/schedule HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    assert (await world.client.get("/pipelines")).status_code == 200
    writer.close()
    assert await reader.read() == b""
    assert (await world.client.get("/pipelines")).status_code == 200
    assert len(world.engine.book) == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
