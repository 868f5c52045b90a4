"""`paas-runner orphans` as an operator runs it, against a sandbox on loopback sockets."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from paas_runner.job.orphans import GRACE
from paas_runner.sandbox.faults import Answer

pytestmark = [pytest.mark.long, pytest.mark.process]
COMMAND = Path(sys.executable).parent / "paas-runner"


async def orphans(config, *options):
    """Exit code, answer and messages of the command."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "orphans", config, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    answer, messages = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in messages
    return process.returncode, answer.decode(), messages.decode()


async def left_behind(real):
    """What is there after a job when a creation came late: a host like the job's own, a while ago."""
    cloud, organisation = real.sandbox.cloud, real.sandbox.organisation_id
    hold = real.hold()
    [job] = real.submit(script=hold.script)
    await real.until(lambda: real.phases("running"))
    [application] = cloud.applications(organisation)
    hold.release()
    await real.settled([job])
    late = cloud.create(organisation, application.definition, application.env)
    late.created_at -= 2 * GRACE
    return late


async def test_orphans_are_shown_and_on_demand_removed_while_the_service_runs(real):
    real.configure(more="paas_orphan_sweep_interval = 0")
    async with real.service():
        late = await left_behind(real)
        code, answer, messages = await orphans(real.config)
        assert code == 1
        head, line, summary = answer.splitlines()
        assert head.split() == ["NAME", "HOST", "AGE", "VERDICT", "WHY"]
        assert line.split() == f"{late.definition.name} {late.id} 20 min orphan its job is over".split()
        assert summary == "hosts: 1, orphans: 1, removed: 0"
        assert "a second look in 3 s" in messages
        code, answer, messages = await orphans(real.config, "--delete", "--json")
        assert code == 0
        assert f"removing {late.definition.name} ({late.id})" in messages
        document = json.loads(answer)
        assert document["orphans"] == 0
        [host] = document["hosts"]
        assert (host["host"], host["verdict"], host["removed"]) == (late.id, "orphan", True)
        assert not real.alive
        assert await orphans(real.config) == (0, "hosts: 0, orphans: 0, removed: 0\n", "")


async def test_hosts_of_jobs_that_run_are_never_removed_whether_the_service_runs_or_not(real):
    real.configure(more="paas_orphan_sweep_interval = 0")
    hold = real.hold()
    async with real.service():
        [job] = real.submit(script=hold.script)
        await real.until(lambda: real.phases("running"))
        [application] = real.sandbox.cloud.applications(real.sandbox.organisation_id)
        application.created_at -= timedelta(days=3)
        code, answer, _ = await orphans(real.config, "--delete", "--json")
        assert code == 0
        assert [host["verdict"] for host in json.loads(answer)["hosts"]] == ["tracked"]
    assert real.state_file.exists()
    code, answer, messages = await orphans(real.config, "--delete")
    assert code == 0
    assert "tracked" in answer
    assert messages == "", "no second look is needed"
    hold.release()
    async with real.service():
        await real.settled([job])
    assert job.status == "success"


async def test_without_its_records_hosts_are_shown_and_go_only_when_the_installation_is_named(real):
    async with real.service():
        late = await left_behind(real)
    late.created_at -= timedelta(days=3)
    installation = real.config.with_name("paas-runner-state.installation").read_text().strip()
    store = real.config.with_name("paas-runner-state.db")
    real.state_file.unlink()
    for damage in (lambda: store.write_bytes(b"noise" * 1000), store.unlink):
        damage()
        code, answer, messages = await orphans(real.config, "--delete", "--json")
        document = json.loads(answer)
        assert (code, document["orphans"], document["installation"]) == (1, 1, installation)
        assert str(store) in document["records_lost"]
        assert "nothing is known of any job, so nothing is removed" in messages
        assert real.alive
    code, answer, _ = await orphans(real.config, "--delete", "--installation", installation)
    assert code == 1, "the records are lost all the same"
    assert "hosts: 1, orphans: 0, removed: 1" in answer
    assert not real.alive


async def test_hosts_of_another_installation_are_named_with_it_and_left_alone(real):
    async with real.service():
        late = await left_behind(real)
    late.created_at -= timedelta(days=3)
    before = real.config.with_name("paas-runner-state.installation").read_text().strip()
    real.configure(more='installation_id = "a-new-installation"')
    code, answer, messages = await orphans(real.config, "--delete")
    assert code == 0
    assert f"foreign  of another installation: {before}" in answer
    assert "hosts: 0, orphans: 0, removed: 0, of another installation: 1" in answer
    assert "--installation ID --delete" in messages
    assert real.alive
    code, answer, messages = await orphans(real.config, "--delete", "--installation", before)
    assert (code, real.alive) == (0, [])
    assert f"hosts with the label of {before}, not of this installation (a-new-installation)" in messages
    code, _, messages = await orphans(real.config, "--installation", "short")
    assert code == 2
    assert "8 to 64 letters" in messages


async def test_what_cannot_be_found_out_is_said_with_an_exit_code(real):
    code, answer, messages = await orphans(real.config)
    assert (code, answer) == (74, "")
    assert "has the service ever run with this configuration?" in messages
    async with real.service():
        await real.until(lambda: [event for event in real.log if event["event"] == "started"])
    real.sandbox.cloud_faults.add(Answer(401))
    code, answer, messages = await orphans(real.config)
    assert (code, answer) == (1, "")
    assert "paas-runner orphans: runner real: Clever Cloud, list the applications" in messages
    code, answer, messages = await orphans(real.config, "--json")
    document = json.loads(answer)
    assert (code, document["orphans"], document["hosts"]) == (1, None, [])
    [gap] = document["not_asked"]
    assert (gap["runner"], gap["tenant"]) == ("real", "")
    assert gap["why"] in messages
    assert real.sandbox.cloud_token.reveal() not in messages + answer
    real.config.write_text("concurrent = 0")
    code, answer, messages = await orphans(real.config)
    assert (code, answer) == (78, "")
    assert "config.toml:1: concurrent" in messages


async def test_a_removal_that_fails_leaves_the_orphan_and_says_so(real):
    async with real.service():
        await left_behind(real)
    real.sandbox.cloud_faults.add(Answer(403), method="DELETE")
    code, answer, messages = await orphans(real.config, "--delete")
    assert code == 1
    assert "orphans: 1, removed: 0" in answer
    assert "cannot be removed" in messages


async def test_all_hosts_of_a_runner_go_when_no_service_works_and_others_are_ignored(real):
    """H099; by default it is shown what would go."""
    hold = real.hold()
    async with real.service():
        real.submit(script=hold.script)
        await real.until(lambda: real.phases("running"))
        code, _, messages = await orphans(real.config, "--all", "--delete")
        assert code == 75
        assert "another paas-runner works on this state" in messages
    [application] = real.sandbox.cloud.applications(real.sandbox.organisation_id)
    other = real.sandbox.cloud.create(
        real.sandbox.organisation_id,
        attrs.evolve(application.definition, fields={**application.definition.fields, "description": ""}),
        {**application.env, "PAAS_RUNNER_INSTALLATION": "somebody-else"},
    )
    assert (await orphans(real.config, "--all", "--runner", "nobody"))[0] == 2
    code, answer, _ = await orphans(real.config, "--all", "--runner", "real")
    assert (code, len(real.alive)) == (1, 2)
    assert "hosts: 1, left: 1, removed: 0, ignored: 1" in answer
    code, answer, _ = await orphans(real.config, "--all", "--delete", "--runner", "real")
    assert code == 0
    assert "hosts: 1, left: 0, removed: 1, ignored: 1" in answer
    assert [entry.app_id for entry in real.alive] == [other.id]
