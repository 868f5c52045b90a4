"""Services beside a job, on a real engine."""

import json
import re

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import ServiceSpec
from paas_runner.pipelines.states import JobState
from tests.inner.containers.conftest import text, until, variables

ASK = "ask() { exec 3<>/dev/tcp/$1/${2:-7000}; cat <&3; exec 3>&-; }"


def output(job) -> list[str]:
    """What the script wrote itself."""
    return [line for line in text(job).split("\n") if line and "\x1b" not in line]


async def test_a_job_talks_to_two_services_by_their_names(docker, greeter) -> None:
    first = ServiceSpec(name=greeter)
    second = ServiceSpec(
        name=f"{greeter}:latest",
        alias="db, $OTHER",
        command=("again", "and again"),
        variables=variables(GREETING="good day", PORT="7001", HEALTHCHECK_TCP_PORT="7001"),
    )
    job = await docker.ran(
        ASK,
        "ask paas-runner-test__greeter",
        "ask paas-runner-test-greeter",
        "ask db 7001; ask postgres 7001",
        services=(first, second),
        variables=variables(OTHER="postgres"),
    )
    assert job.status is JobState.SUCCESS
    again = "good day again and again"
    assert output(job) == ["hello there", "hello there", again, again]
    assert f"Starting service {greeter} ..." in text(job)
    assert "Waiting for services to be up and running (timeout 30 seconds)..." in text(job)
    assert f'WARNING: Service "{greeter}:latest": the name paas-runner-test__greeter is taken' in text(job)


async def test_a_service_is_waited_for_until_it_listens(docker) -> None:
    image = docker.engine.build(
        "paas-runner-test/late",
        f"FROM {docker.engine.base}\nEXPOSE 7000 9000/udp\nCMD sleep 1.5; python3 -m http.server 7000\n",
    )
    job = await docker.ran(": </dev/tcp/late/7000", services=(ServiceSpec(name=image, alias="late"),))
    assert job.status is JobState.SUCCESS
    assert "WARNING" not in text(job)


async def test_a_service_that_ends_is_warned_of_with_its_log_and_the_job_goes_on(docker) -> None:
    image = docker.engine.build(
        "paas-runner-test/broken",
        f'FROM {docker.engine.base}\nEXPOSE 7000\nCMD ["sh", "-c", "echo no disk, $TOKEN; exit 3"]\n',
    )
    token = Variable(key="TOKEN", value="hidden-token", masked=True, public=True)
    job = await docker.ran("echo still here", services=(ServiceSpec(name=image),), variables=(token,))
    assert job.status is JobState.SUCCESS
    assert f"Service {image} probably didn't start properly: it has ended with exit code 3" in text(job)
    assert "Service container logs:\nno disk, [MASKED]\n" in text(job)


async def test_a_service_that_never_listens_is_warned_of_in_the_end(docker, greeter) -> None:
    never = ServiceSpec(name=greeter, variables=(Variable(key="HEALTHCHECK_TCP_PORT", value="7009"),))
    job = await docker.ran("true", services=(never,), options={"wait_for_services_timeout": 1})
    assert job.status is JobState.SUCCESS
    assert "no connection to port 7009 within 1 seconds" in text(job)
    assert "Service container logs:\nready to greet nobody\n" in text(job)


@pytest.mark.parametrize("seconds", [-1, 0])
async def test_no_service_is_waited_for_where_the_runner_says_so(docker, greeter, seconds) -> None:
    service = ServiceSpec(name=greeter, variables=(Variable(key="HEALTHCHECK_TCP_PORT", value="7009"),))
    options = {"wait_for_services_timeout": seconds}
    job = await docker.ran("true", services=(service,), options=options)
    assert "Waiting for services" not in text(job)


async def test_a_service_has_the_jobs_public_variables_and_its_own(docker, greeter) -> None:
    given = (
        Variable(key="HIDDEN", value="private-one", masked=True),
        Variable(key="PASSED_ON", value="passed on", masked=True),
        Variable(key="SHOWN", value="public one", public=True),
    )
    service = ServiceSpec(name=greeter, variables=(Variable(key="SECRET", value="$PASSED_ON"),))
    async with docker.running("echo ready; sleep 60", services=(service,), variables=given) as (job, _):
        await until(lambda: b"\nready" in job.trace)
        shown = {entry["Name"].rpartition("-")[2]: entry for entry in docker.containers()}
        docker.world.coordinator.cancel(job.job_id)
    environment = shown["0"]["Config"]["Env"]
    assert {"SECRET=passed on", "SHOWN=public one", "CI_PROJECT_DIR=" + job_folder(shown)} <= set(environment)
    assert "private-one" not in json.dumps(shown)


def job_folder(shown) -> str:
    [folder] = [each[15:] for each in shown["build"]["Config"]["Env"] if each.startswith("CI_PROJECT_DIR=")]
    return folder


async def test_a_service_reaches_the_job_by_its_name(docker) -> None:
    caller = "import socket, time; time.sleep(1); socket.create_connection(('build', 7100)).sendall(b'knock')"
    answer = "import socket; print(socket.create_server(('', 7100)).accept()[0].recv(9).decode())"
    service = ServiceSpec(
        name=docker.engine.base,
        command=("python3", "-c", f"while True:\n try: {caller}\n except OSError: pass"),
    )
    job = await docker.ran(f'timeout 20 python3 -c "{answer}"', services=(service,))
    assert output(job) == ["knock"]


async def test_services_see_the_projects_folder(docker, greeter) -> None:
    async with docker.running("touch mine; echo ready; sleep 60", services=(ServiceSpec(name=greeter),)) as (
        job,
        _,
    ):
        await until(lambda: b"\nready" in job.trace)
        shown = {entry["Name"].rpartition("-")[2]: entry for entry in docker.containers()}
        with docker.engine.client() as client:
            order = client.exec_create(shown["0"]["Id"], ["ls", job_folder(shown)])
            assert client.exec_start(order["Id"]) == b"mine\n"
        docker.world.coordinator.cancel(job.job_id)


async def test_what_services_write_is_shown_where_a_variable_says_so(docker, greeter) -> None:
    given = (
        Variable(key="CI_DEBUG_SERVICES", value="true"),
        Variable(key="SECRET", value="very-secret", masked=True, public=True),
    )
    job = await docker.ran("sleep 0.5", services=(ServiceSpec(name=greeter, alias="db"),), variables=given)
    assert "[service:db] ready to greet [MASKED]\n" in text(job)


async def test_services_of_the_configuration_run_for_every_job(docker, greeter) -> None:
    toml = f"""
      [[runners.docker.services]]
        name = "{greeter}"
        alias = "always"
        environment = ["GREETING=from the configuration"]
    """
    job = await docker.ran(ASK, "ask always", toml=toml)
    assert output(job) == ["from the configuration there"]


async def test_a_service_whose_name_is_none_is_left_out(docker) -> None:
    job = await docker.ran("true", services=(ServiceSpec(name="No/Name"),))
    assert job.status is JobState.SUCCESS
    assert 'Service "No/Name" is left out, its name is no image name: its path must be in lower' in text(job)


async def test_images_that_the_runner_does_not_allow_fail_the_job(docker, greeter) -> None:
    options = {"allowed_services": ["library/*"], "allowed_images": ["paas-runner-test/**"]}
    job = await docker.ran("true", services=(ServiceSpec(name=greeter),), options=options)
    assert job.failure_reason == "runner_configuration_error"
    assert f'the image "{greeter}" is not among the services that this runner allows: library/*' in text(job)
    job = await docker.ran("true", image=greeter, options=options | {"allowed_images": ["other/**"]})
    assert "is not among the images that this runner allows: other/**" in text(job)
    job = await docker.ran("true", options=options | {"allowed_images": ["other/**"]})
    assert job.status is JobState.SUCCESS, "the runner's own image is allowed"


async def test_services_are_reached_on_a_shared_network_too(docker, greeter) -> None:
    with docker.engine.client() as client:
        client.create_network(f"shared-{docker.owner}")
    try:
        options = {"network_mode": f"shared-{docker.owner}"}
        job = await docker.ran(
            ASK, "ask db", services=(ServiceSpec(name=greeter, alias="db"),), options=options
        )
    finally:
        with docker.engine.client() as client:
            client.remove_network(f"shared-{docker.owner}")
    assert output(job) == ["hello there"]
    assert re.search("WARNING", text(job)) is None
