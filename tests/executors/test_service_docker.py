"""service-docker: one helper service that is there already, by both protocols (H130)."""

import json
import random
import tomllib
from datetime import timedelta

import attrs
import pytest

from executors.service_docker import KIND, ServiceDocker
from executors.service_docker.settings import ServiceDockerSettings
from paas_runner.errors import MissingPackagesError, Rejected, Transient
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import JobRefusedError, ProvisionedHost, Removal
from paas_runner.executor.optional import hosts_at_once
from paas_runner.helper.protocol import GrpcMethod
from paas_runner.http import Http
from paas_runner.sandbox.faults import Answer
from paas_runner.secret import Secret
from tests.executors.test_clever import SECTION, requested
from tests.support.missing_packages import take_away
from tests.support.reference_helper import TOKEN, ReferenceHelper, served


@pytest.fixture(params=[True, False], ids=["http1", "grpc"])
def http1(request):
    return request.param


@pytest.fixture
async def helper():
    return ReferenceHelper()


@pytest.fixture
async def executor(helper, http1):
    async with served(helper, http1=http1) as url:
        yield made(url, http1)


def made(url, http1, section=SECTION, token=TOKEN):
    settings = ServiceDockerSettings(host=url, http1=http1, token=token)
    kind = ServiceDocker(second_look_after=timedelta(seconds=0.01))
    return kind.build(settings, section, Http(rng=random.Random(1)))


def provisioned(request, host):
    return ProvisionedHost(name=request.host_name, job_id=request.payload.job_id, host=host)


def removal(request, host):
    return Removal(name=request.host_name, host=host, search=False)


async def started(executor, request):
    host = await executor.provision(request)
    host = await executor.ready(provisioned(request, host)) or host
    await executor.launch(request, host)
    return host


async def test_a_job_from_its_host_to_the_end(executor, helper):
    request = requested(42)
    host = await started(executor, request)
    [launched] = helper.launched
    assert (launched.job.runner_name, launched.job.job_id) == ("abc123xyz", 42)
    assert json.loads(launched.specification) == request.payload.raw
    [section] = tomllib.loads(launched.config)["runners"]
    assert section["token"] == "abc123xyz"
    assert section["executor"] == "docker"
    assert section["docker"] == {"image": "debian:12"}
    assert not any("helper" in key for key in section)
    helper.end()
    await executor.decommission(removal(request, host))
    assert helper.forgotten == [launched.job]
    assert await executor.hosts("") == ()


async def test_jobs_are_called_there_as_heptapod_paas_runner_calls_them(helper, http1):
    """So that a job may go from one program to the other."""
    section = attrs.evolve(SECTION, helper_name="glrt-t1_")
    request = requested(42)
    async with served(helper, http1=http1) as url:
        ours = made(url, http1, section)
        host = await started(ours, request)
        assert [each.job.runner_name for each in helper.launched] == ["glrt-t1_"]
        await made(url, http1).decommission(removal(request, host))  # another section shares the name by now
        assert helper.jobs == {}
        await started(ours, request)
        await ours.decommission(Removal(name=request.host_name, host=None, search=True))
        assert helper.jobs == {}


async def test_a_job_that_another_program_has_begun_there_is_launched_already(executor, helper):
    request = requested(42)
    host = await started(executor, request)
    unknown = attrs.evolve(host, details={k: v for k, v in host.details.items() if k != "instance"})
    assert await executor.ready(provisioned(request, unknown)) is True
    await executor.launch(request, unknown)
    assert len(helper.launched) == 1


async def test_the_second_job_waits_until_the_helper_is_free(executor, helper):
    first, second = requested(1), requested(2)
    host = await started(executor, first)
    other = await executor.provision(second)
    assert await executor.ready(provisioned(second, other)) is False
    await executor.decommission(removal(first, host))
    assert await executor.ready(provisioned(second, other))
    assert executor.ready_within == timedelta(minutes=15)


async def test_a_section_has_one_job_at_a_time(executor):
    assert hosts_at_once(executor) == 1


async def test_a_job_that_still_runs_is_forgotten_and_so_ended(executor, helper):
    request = requested(42)
    host = await started(executor, request)
    for _ in range(2):
        await executor.decommission(removal(request, host))
    assert helper.jobs == {}


async def test_a_host_of_a_lost_record_is_forgotten_by_its_name(executor, helper):
    request = requested(42)
    await started(executor, request)
    await executor.decommission(Removal(name=request.host_name, host=None, search=True))
    assert helper.jobs == {}


async def test_a_job_goes_on_where_it_is_when_another_helper_is_configured(helper, http1):
    """As after a reload and a restart: the record has the place and its token."""
    request = requested(42)
    async with served(helper, http1=http1) as url:
        host = await started(made(url, http1), request)
        other = made("127.0.0.1:1", http1, token=Secret("canary-of-another-helper"))
        assert await other.trouble(provisioned(request, host)) is None
        await other.decommission(removal(request, host))
    assert helper.jobs == {}


async def test_a_rotated_token_reaches_the_helper_that_is_still_configured(helper, http1):
    request = requested(42)
    async with served(helper, http1=http1) as url:
        host = await started(made(url, http1), request)
        helper.token = Secret("canary-token-after-its-rotation")
        await made(url, http1, token=helper.token).decommission(removal(request, host))
    assert helper.jobs == {}


async def test_notes_of_a_host_are_as_the_state_file_of_1_1_1_has_them(helper):
    host = await made("localhost:8000", True).provision(requested(1))
    assert dict(host.details) == {"netloc": "localhost:8000", "paas_token": TOKEN.reveal()}
    host = await made("https://helper.example", True).provision(requested(1))
    assert (host.details["scheme"], host.details["netloc"]) == ("https", "helper.example")
    assert TOKEN.reveal() not in repr(host)


async def test_a_machine_that_was_started_anew_does_not_get_the_job_again(executor, helper):
    helper.instance = "first"
    request = requested(42)
    host = await started(executor, request)
    helper.replace("second")
    with pytest.raises(Rejected, match="started anew"):
        await executor.launch(request, host)
    assert "started anew" in await executor.trouble(provisioned(request, host))
    assert "started anew" in await executor.silence(provisioned(request, host))


async def test_a_job_that_ended_there_is_in_trouble_and_one_that_runs_is_not(executor, helper):
    request = requested(42)
    host = await started(executor, request)
    assert await executor.trouble(provisioned(request, host)) is None
    assert "it runs the job" in await executor.silence(provisioned(request, host))
    helper.end(1)
    assert "exit code 1" in await executor.trouble(provisioned(request, host))


async def test_a_helper_that_does_not_answer_is_no_verdict(executor, helper):
    request = requested(42)
    host = await started(executor, request)
    helper.fail(GrpcMethod.JOB_STATUS, Answer(500))
    with pytest.raises(Transient):
        await executor.trouble(provisioned(request, host))


async def test_a_job_whose_image_cannot_exist_does_not_come_to_the_helper(executor, helper):
    request = requested(42, CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX="gitlab.example/group/dependency_proxy")
    raw = {**request.payload.raw, "image": {"name": "deb ian"}}
    with pytest.raises(JobRefusedError):
        await executor.provision(attrs.evolve(request, payload=attrs.evolve(request.payload, raw=raw)))
    assert helper.asked == []


async def test_an_examination_tells_how_the_helper_is(helper, http1):
    async with served(helper, http1=http1) as url:
        [result] = await made(url, http1).examine()
        assert (result.grade, "takes a job" in result.text) == (Grade.FINE, True)
        helper.ready = False
        assert [each.grade for each in await made(url, http1).examine()] == [Grade.WARNING]
        helper.instance, helper.clean = "first", False
        assert [each.grade for each in await made(url, http1).examine()] == [Grade.FAULT]
        [result] = await made(url, http1, token=Secret("canary-of-a-wrong-token")).examine()
        assert (result.grade, "paas-runner-helper-token" in result.advice) == (Grade.FAULT, True)
        assert "canary" not in str(result)
    [result] = await made(url, http1).examine()
    assert (result.grade, "paas-runner-helper-host" in result.advice) == (Grade.FAULT, True)


async def test_an_examination_warns_of_a_way_in_the_clear_and_of_no_token(monkeypatch):
    async def takes(place, connect):
        from executors.helper.contract import Availability

        return Availability(takes=True)

    monkeypatch.setattr("executors.service_docker.checks.looked_at", takes)
    results = await made("helper.example:8000", True, token=None).examine()
    assert [each.grade for each in results] == [Grade.FINE, Grade.WARNING, Grade.WARNING]


@pytest.mark.parametrize("host", ["", "localhost:99999", "ftp://x", "http://u:p@x", "https://x/path", "a b"])
def test_a_place_that_is_none_is_refused_without_quoting_it(host):
    [(key, sentence)] = list(ServiceDockerSettings(host=host).problems())
    assert key == "paas-runner-helper-host"
    assert "u:p" not in sentence


def test_defaults_are_those_of_1_1_1():
    settings = ServiceDockerSettings()
    assert (settings.host, settings.http1, settings.token) == ("localhost:8000", False, None)
    assert str(settings.address) == "http://localhost:8000"


def test_without_grpcio_a_section_that_needs_it_is_refused_with_what_to_install(monkeypatch):
    take_away(monkeypatch, "grpc", "executors.helper.grpc")
    with pytest.raises(MissingPackagesError, match=r"for gRPC, needs more packages.*\[grpc\]"):
        KIND.build(ServiceDockerSettings(), SECTION, Http())
    KIND.build(ServiceDockerSettings(http1=True), SECTION, Http())
