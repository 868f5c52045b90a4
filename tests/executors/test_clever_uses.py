"""What `clever-docker` learns of what a job used, and what its hosts are told of other flavors."""

import pytest

from paas_runner.errors import Rejected
from paas_runner.job.use import HOST_VARIABLE, Use, as_line, flavors_in
from paas_runner.sandbox.cloud import CloudOptions
from tests.executors.test_clever import make, requested
from tests.support.host_values import provisioned

__all__ = ["make"]  # the fixture

GIB = 2**30
USE = Use(memory_bytes=2**28, cpu_seconds=12.5, wall_seconds=10.0)


def application(clever):
    [found] = clever.cloud.applications(clever.organisation)
    return found


def write(clever, *lines):
    for line in lines:
        application(clever).log.write(line, deployment="deployment_1", commit="c", instance="i")


async def used(executor, host):
    return await executor.use(provisioned(host))


async def test_the_applications_log_tells_what_the_job_used(clever, make):
    executor = make()
    host = await executor.provision(requested())
    write(clever, "building", as_line(USE), "The program ended with exit code 0")
    assert await used(executor, host) == USE


async def test_a_log_that_lags_behind_tells_nothing_yet(clever, make):
    executor = make()
    host = await executor.provision(requested())
    write(clever, "building", "paas_runner_use and something else")
    assert await used(executor, host) is None


@pytest.mark.parametrize("cloud_options", [CloudOptions(logs_refused=True)])
async def test_a_token_that_may_not_read_logs_is_an_error_in_words(clever, make):
    executor = make()
    host = await executor.provision(requested())
    with pytest.raises(Rejected, match="read the log"):
        await used(executor, host)


async def test_a_host_knows_its_flavor_and_the_smaller_ones_that_its_job_may_ask_for(clever, make):
    host = await make().provision(requested())
    assert (host.memory_bytes, host.cpus) == (8 * GIB, 4)
    told = flavors_in(application(clever).env[HOST_VARIABLE])
    assert (told.variable, told.own.name) == ("CI_CLEVER_CLOUD_FLAVOR", "M")
    assert [(each.name, each.memory_bytes, each.cpus) for each in told.smaller] == [
        ("XS", 2 * GIB, 1),
        ("S", 4 * GIB, 2),
    ]


async def test_a_host_found_again_is_told_the_same(clever, make):
    await make().provision(requested())
    before = application(clever).env[HOST_VARIABLE]
    host = await make().adopt(requested())
    assert (application(clever).env[HOST_VARIABLE], host.memory_bytes) == (before, 8 * GIB)


async def test_a_host_of_the_smallest_flavor_is_told_nothing(clever, make):
    await make().provision(requested(CI_CLEVER_CLOUD_FLAVOR="XS"))
    assert HOST_VARIABLE not in application(clever).env


async def test_hints_can_be_switched_off(clever, make):
    await make(cc_flavor_hint=False).provision(requested())
    assert HOST_VARIABLE not in application(clever).env


async def test_sizes_are_those_that_a_job_may_ask_for_with_their_prices(clever, make):
    sizes = await make(cc_max_flavor="M").sizes()
    assert [(each.name, each.memory_bytes, each.cpus, each.price is not None) for each in sizes] == [
        ("XS", 2 * GIB, 1, True),
        ("S", 4 * GIB, 2, True),
        ("M", 8 * GIB, 4, True),
    ]
