"""What this executor promises beyond the conformance suite, on a real Slurm."""

import asyncio

import pytest
from paas_executor_slurm.settings import Flavor
from slurm_provider import SHORT_TOKEN, RealSlurm

from paas_runner.errors import Rejected, Transient
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import JobRefusedError, ProvisionedHost, Removal

LABEL = f"paas-runner installation=installation-1 runner={SHORT_TOKEN}"
SIZES = {"small": Flavor(cpus=1, memory_mib=100), "large": Flavor(cpus=4, memory_mib=400)}


@pytest.fixture
def real(slurm, tmp_path):
    return RealSlurm(slurm, tmp_path)


@pytest.fixture
async def executor(real):
    executor = real.executor()
    yield executor
    await executor.aclose()


def provisioned(request, host):
    return ProvisionedHost(name=request.host_name, job_id=request.payload.job_id, host=host)


def removal(request, host=None, *, search=True):
    return Removal(name=request.host_name, host=host, search=search)


async def running(executor, request, host):
    async with asyncio.timeout(60):
        while not await executor.ready(provisioned(request, host)):  # noqa: ASYNC110 - Slurm tells no one
            await asyncio.sleep(0.1)


async def over(executor, request, host):
    """What is said once the Slurm job has ended."""
    async with asyncio.timeout(60):
        while not (said := await executor.trouble(provisioned(request, host))):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return said


async def test_of_two_that_were_submitted_one_is_adopted_and_the_other_canceled(real, executor):
    request = real.request(1)
    first = await executor.provision(request)
    await running(executor, request, first)
    await executor.provision(request)
    assert (await executor.adopt(request)).ref == first.ref
    assert await real.existing() == [request.host_name]


async def test_two_that_are_on_their_nodes_run_the_job_once(real, executor):
    request = real.request(1)
    hosts = [await executor.provision(request), await executor.provision(request)]
    for host in hosts:
        await running(executor, request, host)
    await executor.launch(request, hosts[1])
    with pytest.raises(Rejected, match="another Slurm job has it"):
        await executor.launch(request, hosts[0])
    assert await real.launches(request.host_name) == 1
    await executor.decommission(removal(request, hosts[1], search=False))
    assert await real.existing() == [request.host_name]
    await executor.decommission(removal(request))
    assert not await real.existing()
    assert not list(real.shared.glob("*/*"))


async def test_a_folder_that_is_left_is_listed_and_goes(real, executor):
    request = real.request(1)
    host = await executor.provision(request)
    await real.vanish(host.ref)
    [left] = await executor.hosts("")
    assert (left.name, left.busy) == (request.host_name, False)
    await executor.decommission(removal(request))
    assert not await executor.hosts("")


async def test_a_controller_that_is_away_costs_no_host_its_place(real, executor):
    request = real.request(1)
    host = await executor.provision(request)
    await running(executor, request, host)
    real.slurm.stop_controller()
    try:
        with pytest.raises(Transient, match="Unable to contact slurm controller"):
            await executor.trouble(provisioned(request, host))
        await asyncio.sleep(1)  # what was known a second ago is not asked again
        assert await executor.ready(provisioned(request, host)) is False
    finally:
        real.slurm.start_controller()
    await running(executor, request, host)


async def test_a_partition_that_does_not_exist_is_refused_and_leaves_no_folder(real):
    executor = real.executor(partition="absent")
    with pytest.raises(Rejected, match=r"(?i)invalid partition"):
        await executor.provision(real.request(1))
    assert not list(real.shared.glob("*/*"))
    assert [each.grade for each in await executor.examine()].count(Grade.FAULT) == 1


async def test_a_time_limit_that_the_partition_does_not_have_is_told_at_once(real):
    executor, request = real.executor(partition="brief"), real.request(1)
    host = await executor.provision(request)
    with pytest.raises(Rejected, match="can never start"):
        await running(executor, request, host)


async def test_no_secret_is_in_what_slurm_knows_of_a_host(real, executor):
    request = real.request(1)
    host = await executor.provision(request)
    await running(executor, request, host)
    await executor.launch(request, host)
    script = real.slurm.run("scontrol", "write", "batch_script", host.ref, "-")
    shown = real.slurm.run("scontrol", "show", "job", "--details", host.ref)
    token = request.payload.token.reveal()
    assert request.host_name in script
    assert LABEL in shown
    assert token not in script + shown
    [job] = real.shared.glob("*/*/job.json")
    assert token in job.read_text()


async def test_slurm_ends_it_without_us_and_never_queues_it_again(real, executor):
    request = real.request(1)
    host = await executor.provision(request)
    shown = real.slurm.run("scontrol", "show", "job", host.ref)
    assert "TimeLimit=02:15:00" in shown  # the job's two hours, the margin, and the wait for its launch
    assert "Requeue=0" in shown


async def test_the_account_of_a_host_that_was_canceled_names_it_and_shows_its_log(real, executor):
    request = real.request(1)
    host = await executor.provision(request)
    await running(executor, request, host)
    await real.vanish(host.ref)
    said = await over(executor, request, host)
    assert "the job is CANCELLED" in said
    assert f"Slurm job {host.ref}" in said
    assert "CANCELLED AT" in said


async def test_a_node_that_does_not_see_the_folder_is_told_so(real, executor):
    request = real.request(1)
    real.slurm.run("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=tests")
    host = await executor.provision(request)
    real.shared.rename(real.shared.with_name("elsewhere"))
    real.slurm.run("scontrol", "update", "NodeName=node1", "State=RESUME")
    assert "does not see the shared folder" in await over(executor, request, host)


async def test_jobs_get_the_flavor_that_they_ask_for_within_what_they_may_weigh(real):
    executor = real.executor(flavors=SIZES)
    asked = real.request(1, {"CI_SLURM_FLAVOR": "large"})
    host = await executor.provision(asked)
    assert (host.flavor, host.weight) == ("large", 4.0)
    assert "cpu=4,mem=400M" in real.slurm.run("scontrol", "show", "job", host.ref)
    assert executor.weigh(real.request(2).payload, most=10) == 1.0
    with pytest.raises(JobRefusedError, match="may be: small"):
        executor.weigh(asked.payload, most=2)
    with pytest.raises(JobRefusedError, match="no flavor huge"):
        executor.weigh(real.request(3, {"CI_SLURM_FLAVOR": "huge"}).payload, most=10)


async def test_a_slurm_job_that_an_administrator_starts_anew_does_not_run_its_job_again(real, executor):
    request = real.request(1)
    host = await executor.provision(request)
    await running(executor, request, host)
    await executor.launch(request, host)
    assert await real.launches(request.host_name) == 1
    real.slurm.run("scontrol", "update", f"JobId={host.ref}", "Requeue=1")
    real.slurm.run("scontrol", "requeue", host.ref)
    await asyncio.sleep(2)  # begun in the second of its end, a node takes it for the one that was killed
    async with asyncio.timeout(90):
        while "no job is run twice" not in (await executor.trouble(provisioned(request, host)) or ""):
            real.slurm.run("scontrol", "update", f"JobId={host.ref}", "StartTime=now")  # not in two minutes
            await asyncio.sleep(0.2)
    assert await real.launches(request.host_name) == 1
