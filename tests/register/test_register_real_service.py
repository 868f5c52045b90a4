"""What registration writes starts the real service, with no edit, and jobs are run."""

import asyncio

import pytest

from paas_runner.demo.service_process import ServiceProcess
from paas_runner.pipelines.spec import JobSpec
from paas_runner.server.waiting import settled
from tests.support.live_records import submitted

pytestmark = [pytest.mark.long, pytest.mark.process]

QUICK = (
    *("--set", "cc_deployment_repo_wait_step=0.1"),
    *("--set", "paas_job_trace_watch={poll_step=0.2, timeout_seconds=60}"),
)


async def serves(world):
    """The service with the written file, until a job has ended."""
    job = submitted(world.sandbox.coordinator, JobSpec(name="job", script=("true",)))
    service = ServiceProcess(world.config, lambda _: None)
    await service.start()
    try:
        async with asyncio.timeout(60):
            await settled(world.sandbox.coordinator, [job.job_id])
    finally:
        code = await service.terminate()
    assert code == 0, service.last_words
    assert job.status == "success"


async def test_a_person_at_a_terminal_registers_for_one_organisation(world):
    async with world.terminal(world.config, *QUICK) as person:
        await person.answer("running jobs are remembered", "state/jobs.json")
        await person.answer("Jobs at once")
        await person.answer("Base address", world.sandbox.coordinator_url)
        await person.answer("Registration token", world.registration_token)
        await person.answer("Name of the runner")
        await person.answer("Tags")
        await person.answer("Executor", "clever-docker")
        await person.answer("multi-tenant")
        await person.answer("Id of the Clever Cloud organisation", world.sandbox.organisation_id)
        await person.answer("API token", world.sandbox.cloud_token.reveal())
        await person.answer("Where hosts run")
        await person.answer("Size of a host")
        await person.answer("Image of jobs")
        assert await person.end() == 0
    await serves(world)


async def test_a_script_registers_for_several_tenants_with_secrets_apart(world):
    sandbox = world.sandbox
    group = sandbox.coordinator.options.project.full_path.partition("/")[0]
    sandbox.coordinator.groups.ensure(group)
    sandbox.coordinator.groups.attributes(group).update(
        cc_orga_id=sandbox.organisation_id, cc_orga_token=sandbox.cloud_token.reveal()
    )
    result = await world.register(
        *QUICK,
        *("--secrets-file", world.folder / "secrets.toml"),
        CC_MULTI_TENANT="true",
        CC_GITLAB_NAMESPACE_ATTRIBUTES_TOKEN=sandbox.admin_token.reveal(),
    )
    assert result.code == 0, result
    assert "of which organisations open: 1" in result.out
    await serves(world)


async def test_a_script_gives_the_token_of_a_runner_that_was_created_there(world):
    created = world.sandbox.coordinator.runners.add(description="created there")
    result = await world.register(*QUICK, CI_SERVER_TOKEN=created.token.reveal())
    assert result.code == 0, result
    await serves(world)
