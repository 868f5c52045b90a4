"""Jobs at a helper service change hands between us and 1.1.1, and so do hosts on standby (H130, H142)."""

import asyncio
import json

import attrs
import pytest

from paas_runner.job.known_runner import peer_name
from paas_runner.job.tracked import Host, JobKey, Phase
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.store import state_file
from tests.peer.running_helper import helper_service
from tests.support.records import NOW, job_in, payload

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
]  # the first run installs the other program

SERVICE_DOCKER = """
log_format = "json"
check_interval = 0.2
job_progress_poll_interval = 0.3
state_file = "{state_file}"

[[runners]]
  name = "real"
  url = "{url}"
  token = "{token}"
  executor = "service-docker"
  paas-runner-helper-host = "{netloc}"
  paas-runner-helper-http1 = {http1}
  {token_of_helper}
  paas_keep_resources_for_reuse_seconds = 1

[quota_computation]
  reference_runner = "real"
  reference_flavor = "M"
  reference_jobs_count = 10
"""


@pytest.fixture
async def helped(shared, request):
    """Both programs have one helper service, which knows nothing but the protocol."""
    async with helper_service(http1=request.param) as (helper, netloc):
        token = f'paas-runner-helper-token = "{helper.token.reveal()}"' if helper.token else ""
        shared.config.write_text(
            SERVICE_DOCKER.format(
                state_file=shared.state_file,
                url=shared.sandbox.coordinator_url,
                token=shared.sandbox.runner_token.reveal(),
                netloc=netloc,
                http1=str(request.param).lower(),
                token_of_helper=token,
            )
        )
        shared.helper = helper
        yield shared


def ran_once(world, job):
    assert (job.status, job.count(LedgerKind.ACQUIRED)) == ("success", 1)
    name = peer_name(world.sandbox.runner_token.reveal())
    there = [
        (each.runner_name, each.job_id) for each in (world.helper.launched[0].job, *world.helper.forgotten)
    ]
    assert there == [(name, job.job_id)] * 2
    assert len(world.helper.launched) == 1


@pytest.mark.parametrize("helped", [True], ids=["http1"], indirect=True)
async def test_a_job_that_1_1_1_began_at_a_helper_service_is_seen_to_its_end_here(helped):
    async with helped.peer():
        [job] = helped.submit_gated(1)
        await helped.until(lambda: "Successfully launched" in helped.peer_told)
    assert helped.state["launched"] == 1
    async with helped.service():
        await helped.until(lambda: not helped.state_file.exists())
        helped.open_gate()
        await helped.settled([job])
        await helped.until(lambda: helped.helper.forgotten)
    ran_once(helped, job)


@pytest.mark.parametrize("helped", [False], ids=["grpc"], indirect=True)
async def test_a_job_that_we_began_at_a_helper_service_is_seen_to_its_end_there(helped):
    async with helped.service():
        [job] = helped.submit_gated(1)
        await helped.until(lambda: len(helped.phases("running")) == 1)
    assert helped.state["launched"] == 1
    async with helped.peer():
        await helped.until(lambda: not helped.state_file.exists())
        helped.open_gate()
        await helped.settled([job])
        await helped.until(lambda: helped.helper.forgotten)
    ran_once(helped, job)


# --- hosts on standby --------------------------------------------------------------------------------------
# 1.1.1 reaches those of clever-service-docker at <app>.cleverapps.io alone, so its classes load them here.

BOTH_KINDS = """
state_file = "{state_file}"

[quota_computation]
  reference_runner = "fixed"
  reference_flavor = "M"
  reference_jobs_count = 100

[[runners]]
  name = "cloud"
  url = "http://127.0.0.1:1"
  token = "cloud1234567"
  executor = "clever-service-docker"
  cc_orga_id = "orga_1"
  cc_token = "of nobody"

[[runners]]
  name = "fixed"
  url = "http://127.0.0.1:1"
  token = "fixed1234567"
  executor = "service-docker"
  paas-runner-helper-host = "127.0.0.1:2"
  paas-runner-helper-http1 = true
  paas-runner-helper-token = "of nobody"
"""
LOAD_AND_SAVE = """
import json, sys, toml
import heptapod_paas_runner
from heptapod_paas_runner.paas_dispatcher import PaasDispatcher

dispatcher = PaasDispatcher(toml.load(sys.argv[1]))
dispatcher.load_state()
standing = [handle for runner in dispatcher.runners.values() for handle in runner.standby_job_handles]
found = {
    name: sorted(handle.job_id for handle in handles)
    for name, handles in (
        ("launched", dispatcher.launched_jobs),
        ("pending", dispatcher.pending_jobs),
        ("to_decommission", dispatcher.to_decommission),
        ("standby", standing),
    )
}
found["at"] = {handle.job_id: handle.paas_resource.http1_url for handle in standing}
found["weights"] = [dispatcher.potential_weight, dispatcher.standby_weight()]
dispatcher.save_state()
print(json.dumps(found))
"""
NAMES = {"cloud1234": "cloud123", "fixed1234": "fixed123"}


def application(number):
    details = {
        "deploy_url": f"https://push.example/app_{number}.git",
        "netloc": f"app-{number}.cleverapps.io",
        "paas_token": f"of-{number}",
        "organisation": "orga_1",
        "instance": "i1",
    }
    return Host(ref=f"app_{number}", flavor="M", weight=13.5, series="par/1", details=details)


def record(phase, number, runner, host):
    found = job_in(phase, key=JobKey(runner, number), host=host)
    return attrs.evolve(found, payload=payload(number)) if found.payload else found


async def test_1_1_1_has_our_hosts_on_standby_as_its_own_and_gives_them_back(tmp_path, peer_program):
    state, config = tmp_path / "state.json", tmp_path / "config.toml"
    config.write_text(BOTH_KINDS.format(state_file=state))
    fixed = Host(ref="hpd-job-fixed123", weight=1.0, details={"netloc": "127.0.0.1:2", "paas_token": "t"})
    jobs = [
        record(Phase.RUNNING, 1, "cloud1234", application(1)),
        record(Phase.STANDBY, 2, "cloud1234", application(2)),
        record(Phase.PROVISIONED, 3, "cloud1234", application(3)),
        record(Phase.RUNNING, 4, "fixed1234", fixed),
        record(Phase.STANDBY, 5, "fixed1234", fixed),
        record(Phase.DECOMMISSIONING, 7, "cloud1234", application(7)),
    ]
    state_file.write(state, jobs, NAMES)
    process = await asyncio.create_subprocess_exec(
        *(peer_program.with_name("python"), "-c", LOAD_AND_SAVE, config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    assert json.loads(told) == {
        "launched": [1, 4],
        "pending": [3],
        "to_decommission": [2, 5, 7],
        "standby": [2, 5],
        "at": {"2": "https://app-2.cleverapps.io", "5": "http://127.0.0.1:2"},
        "weights": [3 * 13.5 + 2 * 1 + 1, 13.5 + 1],  # of job 3 what it is expected to weigh, 1
    }
    found = {job.key.job_id: job for job in state_file.read(state, NAMES, NOW).jobs}
    assert {number: job.phase for number, job in found.items()} == {
        1: Phase.RUNNING,
        2: Phase.DECOMMISSIONING,
        3: Phase.PROVISIONING,
        4: Phase.RUNNING,
        5: Phase.DECOMMISSIONING,
        7: Phase.DECOMMISSIONING,
    }
    for number in (1, 2, 3, 7):
        given, taken = application(number).details, found[number].host.details
        assert {key: taken[key] for key in ("netloc", "paas_token", "deploy_url")}.items() <= given.items()
    assert found[5].host.details == {**fixed.details, "runner_name": "fixed123"}
