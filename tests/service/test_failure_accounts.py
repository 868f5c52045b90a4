"""What the author of a job reads when its host is the reason, and what the operator finds for it."""

import asyncio
import json
import re
from datetime import timedelta

import attrs
import pytest

from paas_runner.errors import Rejected
from paas_runner.job.variables import Variable
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer

SILENT = "The job was handed to its host, but wrote nothing to its log within 300 seconds."
HEAD = re.compile(r"\x1b\[31;1mERROR: Job failed \(system failure\): (.*)\x1b\[0;m\n")
REFUSED = b'{"id": 2001, "message": "Not connected", "type": "error"}'


def read(job, logs):
    """The account in the job's log, which the service's log has, too: what happened, then fact by fact."""
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    trace = job.trace.decode()
    said = HEAD.search(trace)
    account = trace[said.end() :]
    assert "\x1b" not in account
    assert "canary" not in trace
    assert account.count("\n") <= 20
    assert max(map(len, account.split("\n"))) <= 200
    [told] = [entry for entry in logs if entry["event"] == "job_failing"]
    assert told["reason"] == f"{said[1]}\n{account}".rstrip("\n")
    return said[1], facts_of(account)


def facts_of(account):
    facts, label = {}, ""
    for line in account.splitlines():
        if found := re.match(r"  ([A-Z][^:]+): *(.*)", line):
            label = found[1]
            facts[label] = found[2]
        else:
            facts[label] = f"{facts[label]} {line.strip()}".strip()
    return facts


def host_of(world):
    [entry] = world.cloud.ledger.created
    return entry.app_id


def test_a_machine_that_does_not_boot(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == SILENT
        assert facts["Asked for"].startswith("flavor M in zone par, at 2026-01-01 00:0")
        assert facts["Clever Cloud"] == "the deployment is WIP, begun 5 min ago; its machine is BOOTING"
        assert facts["Likely cause"] == "no room for flavor M in zone par, or an incident at Clever Cloud"
        assert "CI_CLEVER_CLOUD_FLAVOR" in facts["What to do"]
        assert re.fullmatch(rf"{host_of(world)} deployment_\S+ \(for the operators .*\)", facts["Reference"])

    play(story, cloud=CloudOptions(stuck=True))


def test_an_organisation_without_credit(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == SILENT
        assert facts["Clever Cloud"].startswith("it took the push, but lists no deployment")
        assert "no credit" in facts["Likely cause"]
        assert facts["Reference"].startswith(host_of(world))

    play(story, cloud=CloudOptions(credit=False))


@pytest.mark.parametrize(
    ("options", "state", "cause"),
    [
        (CloudOptions(boot_delay=timedelta(seconds=500)), "STARTING", "does not start"),
        (CloudOptions(build_delay=timedelta(seconds=500)), "DEPLOYING", "takes long to be fetched or built"),
    ],
)
def test_a_machine_that_comes_up_slowly(play, logs, options, state, cause):
    async def story(world):
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == SILENT
        assert f"its machine is {state}" in facts["Clever Cloud"]
        assert cause in facts["Likely cause"]

    play(story, cloud=options)


def test_a_host_that_runs_and_does_not_reach_the_coordinator(play, logs):
    async def mute(_files):
        await asyncio.Event().wait()

    async def story(world):
        world.cloud._platform.program = mute
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == SILENT
        assert "its machine is TASK_IN_PROGRESS" in facts["Clever Cloud"]
        assert "does not reach the coordinator" in facts["Likely cause"]
        assert facts["The last lines of its own log"].endswith("Build succeeded in 0 seconds")

    play(story)


def test_a_build_that_fails(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == "The host of this job failed."
        assert facts["Clever Cloud"].startswith("the deployment is FAIL, begun ")
        assert "cannot be fetched from its registry" in facts["Likely cause"]
        assert "heptapod_runner_main_image" in facts["What to do"]
        assert "ERROR the base image does not exist Deploy failed" in facts["The last lines of its own log"]
        assert host_of(world) in facts["Reference"]

    play(story, cloud=CloudOptions(build_fails=True))


def test_a_silent_host_in_a_cloud_that_refuses_to_tell_of_it(play, logs):
    async def story(world):
        refused = Answer(403, headers={"Sozu-Id": "the-request"}, body=REFUSED)
        world.cloud_faults.add(refused, path="**/deployments")
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == SILENT
        assert facts["Answer"] == "Clever Cloud: Not connected (status 403)"
        assert facts["Reference"].startswith(
            f"hpd-job-{world.key}-{job.job_id} {host_of(world)} request the-request"
        )

    play(story, cloud=CloudOptions(stuck=True))


@pytest.mark.parametrize(
    ("refusal", "answer", "word"),
    [
        (Answer(404, body=b"<html>"), "refused without a reason (status 404)", "cc_api_url"),
        (
            Answer(400, body=b'{"id": 9018, "message": "Invalid value\\n\\u001b[31mfor zone"}'),
            "Invalid value [31mfor zone (status 400)",
            "CI_CLEVER_CLOUD_FLAVOR",
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_a_creation_that_is_refused(play, logs, refusal, answer, word):
    async def story(world):
        refused = Answer(refusal.status, headers={"Sozu-Id": "the-request"}, body=refusal.body)
        world.cloud_faults.add(refused, method="POST", path="**/applications")
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == "The host of this job could not be prepared."
        assert facts["Asked for"].startswith(
            "create the application (flavor heptapod-runner-M, zone par), at 2026-01-01 00:00:"
        )
        assert facts["Answer"] == f"Clever Cloud: {answer}"
        assert word in facts["What to do"]
        assert facts["Reference"].startswith(f"hpd-job-{world.key}-{job.job_id} request the-request (")
        assert "the-request" in {entry.get("request") for entry in logs}

    play(story)


@pytest.mark.parametrize("status", [401, 403])
def test_a_creation_for_which_the_credentials_are_refused_until_it_is_too_late(play, logs, status):
    async def story(world):
        refused = Answer(status, headers={"Sozu-Id": "the-request"}, body=REFUSED)
        world.cloud_faults.add(refused, method="POST", path="**/applications")
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == "No host could be had for this job within 15 min."
        assert f"Not connected (status {status}) (request the-request)" in facts["Last answer"]
        assert "whose credentials were refused: no retry helps" in facts["What to do"]

    play(story)


def test_a_cloud_that_limits_every_creation_is_named_with_its_last_answer(play, logs):
    async def story(world):
        body = b'{"id": 403, "message": "You have performed that request too much."}'
        limited = Answer(403, headers={"Sozu-Id": "the-request"}, body=body)
        world.cloud_faults.add(limited, method="POST", path="**/applications")
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == "No host could be had for this job within 15 min."
        assert "too much. (request the-request)" in facts["Last answer"]

    play(story)


def test_a_push_that_is_refused(play, logs):
    async def refused(*_, **__):
        raise Rejected(
            "the credentials were refused", service="git remote push.example", op="push the job", status=401
        )

    async def story(world):
        world.push = refused
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == "This job could not be handed to its host within 15 min."
        assert facts["Last answer"] == "git remote push.example, push the job: the credentials were refused"
        assert facts["What to do"].startswith("ask the operators")
        assert facts["Reference"].startswith(f"hpd-job-{world.key}-{job.job_id} {host_of(world)}")

    play(story)


def test_a_repository_that_never_comes_into_being(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit()
            await world.settled(job)
        said, facts = read(job, logs)
        assert said == "A host was created for this job, but did not take it within 20 seconds."
        assert "incident" in facts["Likely cause"]
        assert facts["Reference"].startswith(f"hpd-job-{world.key}-{job.job_id} {host_of(world)} (")

    play(story, cloud=CloudOptions(repository_delay=timedelta(hours=1)))


def test_what_is_masked_in_the_job_is_masked_in_the_account(play, logs):
    async def story(world):
        answer = b'{"id": 9018, "message": "no flavor for my-masked-value"}'
        world.cloud_faults.add(Answer(400, body=answer), method="POST", path="**/applications")
        async with world.service():
            masked = Variable(key="SECRET", value="my-masked-value", masked=True)
            job = world.submit(variables=(masked,))
            await world.settled(job)
        _, facts = read(job, logs)
        assert facts["Answer"] == "Clever Cloud: no flavor for [MASKED] (status 400)"

    play(story)


SECRETS = {"job": "my-masked-value", "key": "first-line-of-a-key\nsecond-line-of-a-key"}


def test_what_is_masked_in_the_job_is_masked_in_its_hosts_account_after_a_restart(play, logs):
    """The host's log quotes it all: the job's definition is long gone when the account is made."""

    async def story(world):
        async def program(host):
            definition = json.loads(host.files["job.json"])
            await asyncio.sleep(100)
            quoted = "; ".join([*SECRETS.values(), definition["token"]]).replace("\n", "; ")
            raise RuntimeError(f"{'x' * 100} {quoted}")

        world.cloud._platform.program = program
        variables = tuple(Variable(key=key, value=value, masked=True) for key, value in SECRETS.items())
        world.gitlab.options = attrs.evolve(world.gitlab.options, variables=variables)
        async with world.service():
            job = world.submit()
            await asyncio.sleep(60)
        async with world.service():
            await world.settled(job)
        read(job, logs)
        for text in (job.trace.decode(), str(logs)):
            assert "[MASKED]; [MASKED]" in text
            for secret in (*SECRETS["key"].split("\n"), SECRETS["job"], job.token.reveal()):
                assert secret[:10] not in text

    play(story)
