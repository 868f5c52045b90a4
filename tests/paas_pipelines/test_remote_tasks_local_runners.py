"""`url = "local:"`: the whole service beside the server, on the sandbox's cloud."""

import contextlib
import subprocess
import sys

import attrs
import httpx
import pytest
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.server.local_runners import RunnersError, complaints, connected, load_runners
from paas_pipelines.server.settings import Settings

from paas_runner.errors import RunnerError
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.server import Sandbox
from paas_runner.secret import Secret
from paas_runner.server.waiting import settled
from paas_runner.service.process import real_edges
from tests.support.local_runners import CONFIG, TOKEN, local_world, write_config


def task(*script, **more):
    return TaskDefinition(**{"script": script, "runner": "far", **more})


async def test_tasks_run_on_hosts_of_our_own_service_and_nothing_is_left(tmp_path):
    """From the definition to the host and back, and the end in the right order."""
    async with local_world(tmp_path) as world:
        async with world.runners.serving(), world.working():
            run_id = world.schedule(
                build=task("x=5", 'echo "built for {{ .who }} $TASK_NAME $x"'),
                test=task("exit 3", depends_on=("build",)),
                late=task("echo never", depends_on=("test",)),
            )
            run = await world.ended(run_id)
        assert [(each.name, each.status, each.exit_code) for each in run.tasks] == [
            ("build", "done", 0),
            ("test", "error", 3),
            ("late", "canceled", 0),
        ]
        assert (run.errored, run.last_error) == (True, "exit status 3")
        assert b"built for it's me build 5\n" in world.jobs.coordinator.trace(1)
        assert not world.billed
        [runner] = world.jobs.coordinator.runners
        assert (runner.description, runner.token.reveal()) == ("far", TOKEN)


@pytest.mark.long
async def test_a_canceled_run_leaves_no_host(tmp_path):
    async with local_world(tmp_path) as world:
        async with world.runners.serving(), world.working():
            run_id = world.schedule(build=task("echo begun", "sleep 600"))
            job = await world.job_that_says(b"begun\n")
            world.engine.cancel(run_id)
            run = await world.ended(run_id)
        assert (run.canceled, run.task("build").status) == (True, "canceled")
        assert world.jobs.coordinator.jobs[job].status == "canceled"
        assert not world.billed


@pytest.mark.long
async def test_at_a_forced_end_hosts_go_on_and_are_followed_up_by_the_next_start(tmp_path):
    class Forced(Exception):  # noqa: N818 - no error
        pass

    async with local_world(tmp_path) as world:
        go = tmp_path / "go"
        run_id = world.schedule(build=task("echo begun", f"until [ -e {go} ]; do sleep 0.05; done"))
        with contextlib.suppress(Forced):
            async with world.runners.serving():
                async with world.working_until_it_is_killed():
                    await world.job_that_says(b"begun\n")
                raise Forced
        assert world.billed
        go.touch()
        async with world.again().serving(), world.working():
            run = await world.ended(run_id)
        assert run.task("build").status == "done"
        [job] = world.jobs.coordinator.jobs.values()
        assert job.count(LedgerKind.ACQUIRED) == 1
        assert not world.billed


@pytest.mark.long
async def test_a_service_that_breaks_down_begins_again(tmp_path):
    lives = []

    def edges():
        lives.append(1)
        if len(lives) > 1:
            return real_edges()

        def broken(_path, _answers):
            raise RuntimeError("a bug")

        return attrs.evolve(real_edges(), control=broken)

    async with local_world(tmp_path, edges) as world:
        async with world.runners.serving(), world.working():
            run = await world.ended(world.schedule(build=task("true")))
        assert (run.task("build").status, len(lives)) == ("done", 2)


async def test_a_service_that_cannot_start_ends_the_start_of_the_server(tmp_path):
    (tmp_path / "paas-runner-state.db").mkdir()
    async with local_world(tmp_path) as world:
        with pytest.raises(RunnerError, match=r"paas-runner-state\.db"):
            async with world.runners.serving():
                pass


def section(sandbox, name, url, token):
    return (
        CONFIG[CONFIG.index("[[runners]]") :]
        .replace("far", name)
        .replace("local:", url)
        .format(
            token=token,
            cloud=sandbox.cloud_api_url,
            organisation=sandbox.organisation_id,
            cloud_token=sandbox.cloud_token.reveal(),
        )
    )


async def test_other_sections_are_served_as_ever(tmp_path):
    def other(sandbox, _url):
        return section(sandbox, "gitlab", sandbox.coordinator_url, sandbox.runner_token.reveal())

    async with local_world(tmp_path, more=other) as world:
        there = world.sandbox.coordinator
        async with world.runners.serving():
            job = there.submit_job(JobSpec(name="elsewhere", script=("true",)))
            await settled(there, [job.job_id])
        assert there.jobs[job.job_id].status == "success"
        assert [runner.description for runner in world.jobs.coordinator.runners] == ["far"]


async def test_a_service_elsewhere_takes_tasks_over_http(tmp_path):
    """By another name of this machine, which does not lead to ourselves within the process."""
    token = Secret("glrtr-another-of-the-tests")

    def other(sandbox, url):
        return section(sandbox, "wide", url.replace("127.0.0.1", "localhost"), token.reveal())

    async with local_world(tmp_path, more=other) as world:
        world.jobs.coordinator.runners.ensure(token, description="wide")
        async with world.runners.serving(), world.working():
            run = await world.ended(world.schedule(build=task("true", runner="wide")))
        assert run.task("build").status == "done"
        assert world.jobs.coordinator.jobs[1].runner.description == "wide"


async def test_the_token_of_a_section_that_was_changed_is_worth_nothing_any_more(tmp_path):
    async with local_world(tmp_path) as world:
        runners = world.jobs.coordinator.runners
        registered = runners.add(description="of another machine", legacy=True)
        async with world.runners.serving():
            assert {runner.description for runner in runners} == {"far", "of another machine"}
        config = world.settings.runners
        config.write_text(config.read_text().replace(TOKEN, "glrt-t1_changed-by-somebody"))
        async with world.again().serving():
            assert runners.authenticate(TOKEN) is None
            assert runners.authenticate("glrt-t1_changed-by-somebody").description == "far"
            assert runners.authenticate(registered.token.reveal())


async def test_an_address_with_a_path_leads_to_ourselves_too(tmp_path):
    async with local_world(tmp_path) as world:
        edges = connected(real_edges(), world.jobs.app, "https://app.example/prefix")
        client = edges.connect("https://app.example/prefix/api/v4", service="coordinator")
        answer = await client.call("POST", "/runners/verify", op="verify", payload={"token": "x"})
        assert answer.status == 403


async def test_hosts_have_to_reach_the_server(tmp_path):
    """`check` says so, and the start refuses."""
    async with Sandbox() as sandbox:
        config = write_config(tmp_path / "config.toml", sandbox)
    assert complaints(Settings(runners=config, external_url="https://x.example/p/")) == []
    [complaint] = complaints(Settings(runners=config))
    assert complaint.startswith(f'{config}: sections with url = "local:" need `--external-url`: hosts report')
    with pytest.raises(RunnersError):
        load_runners(Settings(runners=config))
    [complaint] = complaints(Settings(runners=config, external_url="x.example"))
    assert complaint == "--external-url: the address must begin with https:// or http://"
    assert complaints(Settings()) == []
    config.write_text(config.read_text() + "concurent = 3\n")
    assert "concurent" in "\n".join(complaints(Settings(runners=config, external_url="https://x.example")))


def test_the_service_alone_cannot_serve_a_local_section(tmp_path):
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(
        CONFIG.format(token=TOKEN, cloud="http://cc.example/v2", organisation="o", cloud_token="t")
    )
    command = [sys.executable, "-m", "paas_runner", "run", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "`local:`, which only a pipelines server can serve" in done.stderr
    assert "paas-pipelines --runners FILE" in done.stderr
    assert TOKEN not in done.stderr


async def test_hosts_speak_to_the_address_that_was_given(tmp_path):
    """What is pushed has `external_url`, and the listener behind it hears of the job."""
    async with local_world(tmp_path) as world:
        async with httpx.AsyncClient(base_url=world.settings.external_url) as client:
            answer = await client.post("/api/v4/jobs/request", json={"token": TOKEN})
        assert answer.status_code == 403  # before it has been made known
        async with world.runners.serving(), world.working():
            await world.ended(world.schedule(build=task('echo "at $CI_SERVER_URL."')))
        assert f"at {world.settings.external_url}.".encode() in world.jobs.coordinator.trace(1)
