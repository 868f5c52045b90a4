"""Registration for `local-docker`: a person, a script, and the real service with what was written."""

import asyncio
import random
import tomllib

import pytest

from executors.local_docker.questions import questions
from paas_runner.demo.service_process import ServiceProcess
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import QuestionContext
from paas_runner.http import Http
from paas_runner.job.known_runner import short_token
from paas_runner.pipelines.spec import JobSpec
from paas_runner.server.waiting import settled
from tests.support.live_records import submitted
from tests.support.person import CONTROL_C

NOTHING = ([], [])
ABSENT = "paas-runner-test/none"


@pytest.fixture
def local(world):
    """All that a script gives for `local-docker`, but the engine."""
    world.presets = ()
    clever = {"CC_ORGA_ID": None, "CC_TOKEN": None}
    return clever | {"RUNNER_EXECUTOR": "local-docker", "HEPTAPOD_RUNNER_MAIN_IMAGE": "paas-runner-inner"}


async def to_the_engine(person, world):
    """All questions that do not depend on the executor."""
    await person.answer("running jobs are remembered")
    await person.answer("Jobs at once")
    await person.answer("Base address", world.sandbox.coordinator_url)
    await person.answer("Registration token", world.registration_token)
    await person.answer("Name of the runner", "typed")
    await person.answer("Tags")
    await person.answer("Executor", "local-docker")


async def test_a_person_names_wrong_engines_first_and_ends_with_a_good_file(world, local, engine):
    async with world.terminal(world.config) as person:
        await to_the_engine(person, world)
        for wrong, words in {
            "localhost": "✗ `host` is no engine: unix:///path/of/socket or tcp://name:port is needed",
            f"unix://{world.folder}/nowhere": "there is no engine: start Docker",
            "tcp://127.0.0.1:1": "no one listens there: start Docker",
        }.items():
            await person.answer("[unix:///var/run/docker.sock]", wrong)
            await person.expect(words)
        await person.answer("Where the Docker engine is", engine.url)
        await person.expect(f"answers at {engine.url}")
        await person.answer("Image of hosts", "a b")
        await person.expect("✗ no such image: a b: invalid reference format")
        await person.answer("Image of hosts", ABSENT)
        await person.expect(f"the engine has no {ABSENT} yet: the first job waits until it is fetched")
        await person.answer("Image of jobs")
        assert await person.end() == 0
    [section] = tomllib.loads(world.config.read_text())["runners"]
    keys = ("executor", "host", "heptapod_runner_main_image", "docker")
    assert [section[key] for key in keys] == ["local-docker", engine.url, ABSENT, {"image": "debian:12"}]
    assert "Traceback" not in person.screen


async def test_the_engine_that_docker_host_names_is_offered_and_written(world, local, engine):
    async with world.terminal(world.config, DOCKER_HOST=engine.url) as person:
        await to_the_engine(person, world)
        await person.answer(f"[{engine.url}]")
        await person.answer("Image of hosts", engine.base)
        await person.expect(f"✓ the engine has {engine.base}")
        await person.answer("Image of jobs")
        assert await person.end() == 0
    assert tomllib.loads(world.config.read_text())["runners"][0]["host"] == engine.url


QUESTIONS = ("Where the Docker engine is", "Image of hosts", "Image of jobs")


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
async def test_ctrl_c_at_its_questions_leaves_nothing(world, local, engine, number):
    async with world.terminal(world.folder / "new" / "config.toml", DOCKER_HOST=engine.url) as person:
        await to_the_engine(person, world)
        for prompt in QUESTIONS[:number]:
            await person.answer(prompt)
        await person.expect(QUESTIONS[number])
        await person.expect(": ")
        await asyncio.sleep(0.05)
        person.type(CONTROL_C)
        assert await person.end() == 1
    assert "given up: nothing was changed" in person.screen
    assert "Traceback" not in person.screen
    assert world.left_over() == NOTHING


async def test_a_script_that_names_no_engine_gets_the_one_at_docker_host(world, local, engine):
    result = await world.register(**local, DOCKER_HOST=engine.url, DOCKER_IMAGE="alpine:3")
    assert result.code == 0, result
    assert f"answers at {engine.url}" in result.out
    [section] = tomllib.loads(world.config.read_text())["runners"]
    [runner] = world.runners.values()
    assert section == {
        "name": "made by a script",
        "url": world.sandbox.coordinator_url,
        "id": runner.runner_id,
        "token": runner.token.reveal(),
        "executor": "local-docker",
        "host": engine.url,
        "heptapod_runner_main_image": "paas-runner-inner",
        "docker": {"image": "alpine:3"},
    }


async def test_a_script_with_a_wrong_engine_gets_the_reason_and_nothing_is_left(world, local):
    result = await world.register("--set", f"host=unix://{world.folder}/nowhere", **local)
    assert result.code == 1
    assert "host=…" in result.err
    assert "there is no engine: start Docker" in result.err
    assert not world.config.exists()
    assert world.left_over() == NOTHING


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (folder / name).write_text("no certificate")
    return folder


def section_with(**settings):
    section = RunnerSection(name="x", url="https://x", short_token="", forwarded={}, installation="")
    return QuestionContext(section=section, settings=settings, connect=Http(rng=random.Random(0)))


def test_the_keys_of_the_engine_at_docker_host_are_written_with_it_and_with_no_other(keys):
    url = "tcp://engine.example:2376"
    environ = {"DOCKER_HOST": url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(keys)}
    [written] = [each for each in questions(environ) if not each.prompt]
    assert (written.key, written.default) == ("docker_cert_path", str(keys))
    assert written.wanted(section_with(host=url))
    assert not written.wanted(section_with(host="tcp://another.example:2376"))


async def test_the_engine_at_docker_host_is_asked_with_its_keys(world, local, keys):
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        environ = {"DOCKER_HOST": url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(keys)}
        result = await world.register(**local, **environ)
    assert result.code == 1
    assert "TLS failed, see `docker_cert_path`" in result.err


def test_a_docker_host_that_is_no_engine_for_us_is_not_offered():
    assert questions({"DOCKER_HOST": "ssh://somewhere"})[0].default == "unix:///var/run/docker.sock"


@pytest.mark.process
async def test_what_is_written_is_served_and_a_job_runs_to_its_end(world, local, engine, host_image):
    result = await world.register(
        *("--set", "docker_network=host"),  # the sandbox listens on loopback
        *("--set", "docker.pull_policy=if-not-present"),
        *("--set", "paas_job_trace_watch={poll_step=0.2, timeout_seconds=60}"),
        **local | {"HEPTAPOD_RUNNER_MAIN_IMAGE": host_image},
        DOCKER_HOST=engine.url,
        DOCKER_IMAGE=engine.base,
    )
    assert result.code == 0, result
    assert f"✓ the engine has {host_image}" in result.out
    [runner] = world.runners.values()
    job = submitted(world.sandbox.coordinator, JobSpec(name="job", script=("cat /etc/debian_version",)))
    service = ServiceProcess(world.config, lambda _: None)
    await service.start()
    try:
        async with asyncio.timeout(180):
            await settled(world.sandbox.coordinator, [job.job_id])
            while engine.everything(runner=short_token(runner.token.reveal())):
                await asyncio.sleep(0.2)
    finally:
        code = await service.terminate()
    assert code == 0, service.last_words
    assert job.status == "success", job.trace
