"""What a job elsewhere leaves to the tasks after it and gets of those before it; what no record has of it."""

import asyncio
import gzip
import io
import zipfile

import attrs
import pytest
from paas_pipelines.definitions.automation import Checkout, ExecutorDefinition, OutputDefinition
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.tasks.place import order_of
from paas_pipelines.tasks.remote import RemotePlace

from paas_runner.secret import Secret
from tests.paas_pipelines.test_files_of_tasks import FILE, HOSTILE, Journal, zipped
from tests.support.remote_tasks import remote_world

OUTPUTS = {"changed": OutputDefinition(kind=ParameterKind.BOOLEAN)}


@pytest.fixture
async def world(tmp_path):
    async with remote_world(files=RunFiles(tmp_path / "files", Journal())) as world:
        yield world


async def uploaded(world, job, kind, content):
    form = {"zip": "zip", "dotenv": "gzip"}[kind]
    answer = await world.http.post(
        f"/api/v4/jobs/{job['id']}/artifacts",
        params={"artifact_type": "archive" if kind == "zip" else kind, "artifact_format": form},
        headers={"JOB-TOKEN": job["token"]},
        files={"file": ("artifacts.zip", content)},
    )
    assert answer.status_code == 201, answer.text


async def ended(world, ending, job):
    await world.put(job, "success")
    return await ending


async def test_the_report_of_a_job_has_the_outputs_of_its_task(world):
    ending = world.begin(world.schedule(outputs=OUTPUTS))
    job = await world.acquired(world.add_runner())
    [report] = job["artifacts"]
    assert (report["artifact_type"], report["paths"]) == ("dotenv", [".pipeline-output"])
    assert 'PIPELINE_OUTPUT="$CI_PROJECT_DIR/.pipeline-output"' in job["steps"][0]["script"][0]
    await uploaded(world, job, "dotenv", gzip.compress(b"changed=true\n"))
    assert await ended(world, ending, job) == TaskEnd(outputs={"changed": True})


@pytest.mark.parametrize(
    ("report", "error"),
    [
        (None, 'output "changed" was not written'),
        (gzip.compress(b"changed=maybe"), 'output "changed" must be a boolean'),
        (gzip.compress(b"a" * 50_000_000), "its outputs are more than 64 KiB"),
        (b"no gzip", "its outputs were not sent as a report"),
    ],
    ids=["none", "wrong", "bomb", "plain"],
)
async def test_a_report_that_is_not_as_declared_fails_the_task(world, report, error):
    ending = world.begin(world.schedule(outputs=OUTPUTS))
    job = await world.acquired(world.add_runner())
    if report is not None:
        await uploaded(world, job, "dotenv", report)
    assert await ended(world, ending, job) == TaskEnd(error=error)


async def test_the_files_of_a_job_are_kept_and_go_to_jobs_after_it(world):
    files = world.server.place._files
    local = TaskDefinition(script=("true",), save=("x",))
    first = TaskDefinition(script=("true",), runner="far", save=("plan",))
    last = TaskDefinition(
        script=("true",), runner="far", load=("local", "build", "skipped"), depends_on=("build",)
    )
    tasks = {"local": local, "build": first, "skipped": TaskDefinition(), "last": last}
    world.engine.definitions = {"p": Definition(name="p", source="x", tasks=tasks)}
    run, runner = world.engine.schedule("p", variables={}), world.add_runner()
    saved = files.take(run.run_id, "local", zipped(("x", b"local", FILE)))
    world.engine.task_ended(run.run_id, "local", TaskEnd(saved=saved))

    ending = world.begin(run)
    job = await world.acquired(runner)
    assert job["artifacts"][0]["paths"] == ["plan"]
    content = zipped(("plan", b"remote", FILE))
    await uploaded(world, job, "zip", content)
    end = await ended(world, ending, job)
    assert end.saved.count == 1
    assert files.path(run.run_id, "build").read_bytes() == content
    run = world.engine.task_ended(run.run_id, "build", end)

    ending = asyncio.create_task(
        world.server.place.run(order_of(run, run.task("last")), world.said, world.stop)
    )
    job = await world.acquired(runner)
    names = [each["name"] for each in job["dependencies"]]
    assert names == ["local", "build"]
    for each, inside in zip(job["dependencies"], (b"local", b"remote"), strict=True):
        answer = await world.http.get(
            f"/api/v4/jobs/{each['id']}/artifacts", headers={"JOB-TOKEN": each["token"]}
        )
        assert len(answer.content) == each["artifacts_file"]["size"]
        assert inside == zip_content(answer.content)
    assert await ended(world, ending, job) == TaskEnd()
    assert world.engine.book.run(run.run_id).task("local").job_id is not None


def zip_content(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(opened.namelist()[0])


@pytest.mark.parametrize(
    "content", [HOSTILE["above"](), HOSTILE["link out"](), None], ids=["above", "link", "none"]
)
async def test_files_that_are_no_good_fail_the_task(world, content):
    ending = world.begin(world.schedule(save=("plan",)))
    job = await world.acquired(world.add_runner())
    if content:
        await uploaded(world, job, "zip", content)
    assert (await ended(world, ending, job)).error.startswith("save: ")


async def test_credentials_are_told_to_the_runner_and_are_in_no_record(world):
    run = world.schedule()
    order = attrs.evolve(
        world.order(run),
        secrets={"KEY": Secret("canary-1")},
        secret_files={"FILE": Secret("canary-2")},
    )
    running = asyncio.create_task(world.server.place.run(order, world.said, world.stop))
    job = await world.acquired(world.add_runner())
    told = {each["key"]: each for each in job["variables"]}
    assert told["KEY"] == {"key": "KEY", "value": "canary-1", "public": False, "masked": True, "raw": True}
    assert told["FILE"]["file"]
    assert told["FILE"]["value"] == "canary-2"
    assert "canary" not in repr([attrs.asdict(each.spec) for each in world.coordinator.jobs.values()])
    await ended(world, running, job)


async def test_after_a_restart_a_job_with_credentials_waits_for_them(world):
    run = world.schedule()
    order = attrs.evolve(world.order(run), secrets={"KEY": Secret("canary-1")})
    running = asyncio.create_task(world.server.place.run(order, world.said, world.stop))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    runner = world.add_runner()
    assert (await world.poll(runner)).status_code == 204
    again = attrs.evolve(order, run=world.engine.book.run(run.run_id))
    running = asyncio.create_task(world.server.place.run(again, world.said, world.stop))
    job = await world.acquired(runner)
    assert "canary-1" in [each["value"] for each in job["variables"]]
    await ended(world, running, job)


@pytest.mark.parametrize("taken", [False, True])
async def test_after_a_restart_a_job_whose_credentials_are_gone_fails_unless_a_runner_has_it(world, taken):
    run = world.schedule()
    order = attrs.evolve(world.order(run), secrets={"KEY": Secret("canary-1")})
    running = asyncio.create_task(world.server.place.run(order, world.said, world.stop))
    job = await world.acquired(world.add_runner()) if taken else None
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again = attrs.evolve(world.order(run), no_secrets='credential "key" is not defined')
    running = asyncio.create_task(world.server.place.run(again, world.said, world.stop))
    if job:
        await world.put(job, "success")
    assert await running == TaskEnd(error="" if taken else 'credential "key" is not defined')
    assert (await world.poll(world.add_runner())).status_code == 204


async def test_an_executor_names_tags_and_image(world):
    executor = ExecutorDefinition(
        type="runner", settings={"tags": ["linux", "big"], "image": "alpine:3"}, env={"A": "executor"}
    )
    ending = world.begin(world.schedule(runner=None, executor=executor))
    job = await world.acquired(world.add_runner("x", tags=("linux", "big", "more")))
    assert job["image"]["name"] == "alpine:3"
    assert {"A": "executor"}.items() <= {each["key"]: each["value"] for each in job["variables"]}.items()
    await ended(world, ending, job)


async def test_what_is_checked_out_is_told_to_the_runner(world):
    checkout = Checkout(url="https://git.example/a/b.git", ref_from="params.ref", depth=3)
    for ref, sha in (("main", "FETCH_HEAD"), ("refs/tags/v1", "FETCH_HEAD"), ("ab" * 20, "ab" * 20)):
        run = world.schedule(checkout=checkout)
        run = attrs.evolve(run, params=(Parameter(name="ref"),), variables={"ref": ref})
        world.engine.book.save(run)
        ending = world.begin(run)
        job = await world.acquired(world.add_runner())
        info = job["git_info"]
        assert (info["repo_url"], info["ref"], info["sha"]) == (checkout.url, ref, sha)
        assert (info["refspecs"], info["depth"]) == ([f"+{ref}:refs/pipelines/checkout"], 3)
        assert {"GIT_STRATEGY": "clone"}.items() <= {v["key"]: v["value"] for v in job["variables"]}.items()
        assert await ended(world, ending, job) == TaskEnd()


@pytest.mark.parametrize(
    ("url", "ref", "error"),
    [
        ("https://git.example/a", "--upload-pack=x", "ref is no name"),
        ("https://git.example/a", "a:refs/heads/b", "ref is no name"),
        ("https://git.example/a", "a..b", "ref is no name"),
        ("ext::sh -c x", "main", "url must begin with"),
        ("/etc", "main", "url must begin with"),
        ("https://me:canary@git.example/a", "main", "url has a password"),
    ],
)
async def test_what_cannot_be_checked_out_fails_the_task(world, url, ref, error):
    end = await world.begin(world.schedule(checkout=Checkout(url=url, ref=ref)))
    assert error in end.error
    assert "canary" not in end.error


async def test_the_credential_of_a_checkout_is_in_no_record(world):
    async def reveal(ref):
        return Secret({"username": "me", "": "canary 1"}[ref.field])

    place = RemotePlace(world.coordinator, world.engine, None, reveal)
    checkout = Checkout(url="https://git.example/a.git", ref="main", credential="key")
    order = attrs.evolve(world.order(world.schedule(checkout=checkout)), hidden_secrets=(Secret("canary 1"),))
    running = asyncio.create_task(place.run(order, world.said, world.stop))
    job = await world.acquired(world.add_runner())
    assert job["git_info"]["repo_url"] == "https://me:canary%201@git.example/a.git"
    assert "canary" not in repr([attrs.asdict(each.spec) for each in world.coordinator.jobs.values()])
    await ended(world, running, job)
