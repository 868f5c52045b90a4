"""The installed unit under a real systemd, all of its hardening in force."""

import asyncio
import re

import pytest

from tests.support.installed_unit import CONFIG, UNIT
from tests.support.processes import until
from tests.support.watched import watched

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(900)]


async def test_it_works_confined_reloads_is_upgraded_drains_and_goes(service, world):
    site = watched()
    service.configure(more=site.configuration)
    service.machine.run("systemctl", "enable", UNIT)
    await service.systemctl("start")
    shown = await service.show()
    assert (shown["ActiveState"], shown["StatusText"]) == ("active", "1 runner, no jobs")
    assert (shown["MemoryMax"], shown["TasksMax"]) == (str(2**30), "512")
    confined = service.machine.run("cat", f"/proc/{shown['MainPID']}/status")
    assert "Seccomp:\t2" in confined
    assert "NoNewPrivs:\t1" in confined
    assert re.search(r"^CapBnd:\t0+$", confined, re.MULTILINE)

    jobs = world.submit(5)
    await world.settled(jobs)
    assert {job.status for job in jobs} == {"success"}
    story = service.journal("--identifier=paas-runner", f"JOB_ID={jobs[0].job_id}")
    assert [entry["EVENT"] for entry in story][:: len(story) - 1] == ["job_acquired", "job_gone"]
    assert {entry["_SYSTEMD_UNIT"] for entry in story} == {UNIT}
    assert {entry["RUNNER"] for entry in story} == {"real"}
    await until(lambda: len(service.journal("EVENT=job_gone", "RUNNER=real")) == 5)

    service.configure(concurrent=3)
    await service.systemctl("reload")
    assert "configuration_reloaded" in service.records()
    service.machine.path(CONFIG).write_text("concurrent = many")
    output = await service.systemctl("reload", fails=True)
    assert "failed" in output.lower()
    assert "configuration_refused" in service.records()
    service.configure(concurrent=3)
    hold = world.hold()
    [job] = world.submit(script=hold.script)
    await world.until(lambda: job.status == "running")
    await service.until(StatusText="1 runner, 1 job: 1 running", ActiveState="active")

    await asyncio.to_thread(service.machine.run, "dpkg", "--install", "/root/paas-runner.deb")
    upgraded = await service.show()
    assert upgraded["ActiveState"] == "active"
    assert upgraded["MainPID"] != shown["MainPID"]

    await service.systemctl("kill", "--kill-whom=main", "--signal=QUIT")
    hold.release()
    await service.until(ActiveState="inactive", Result="success", NRestarts="0")
    assert job.status == "success"
    assert world.alive == []

    output = await asyncio.to_thread(service.machine.run, "dpkg", "--purge", "paas-runner")
    assert "are kept" not in output.partition("Purging")[2]
    assert not service.machine.path("/etc/paas-runner").exists()
    assert not service.machine.path(f"/etc/systemd/system/multi-user.target.wants/{UNIT}").is_symlink()


async def test_it_is_restarted_when_it_stands_still_and_not_when_its_configuration_is_wrong(service, world):
    service.machine.run("groupadd", "--system", "docker")
    service.machine.run("install", "-d", "--mode=700", "/etc/paas-runner-credentials")
    token = service.machine.path("/etc/paas-runner-credentials/gitlab")
    token.write_text(world.sandbox.runner_token.reveal())
    token.chmod(0o600)
    text = world.config.read_text().replace(world.sandbox.runner_token.reveal(), "credential:gitlab")
    service.machine.path(CONFIG).write_text(text)
    service.drop_in(
        "[Service]\nWatchdogSec=2\nRestartSec=100ms\nSupplementaryGroups=docker\n"
        "LoadCredential=gitlab:/etc/paas-runner-credentials/gitlab\n"
    )
    await service.systemctl("start")
    hold = world.hold()
    [job] = world.submit(script=hold.script)
    await service.until(StatusText="1 runner, 1 job: 1 running")
    await service.systemctl("kill", "--kill-whom=main", "--signal=STOP")
    shown = await service.until(NRestarts="1", ActiveState="active")
    assert "Watchdog timeout" in service.records()
    groups = service.machine.run("cat", f"/proc/{shown['MainPID']}/status")
    docker = service.machine.run("getent", "group", "docker").split(":")[2]
    assert docker in re.search(r"^Groups:(.*)$", groups, re.MULTILINE)[1].split()
    hold.release()
    await world.settled([job])
    assert job.status == "success"

    await service.systemctl("stop")
    service.machine.path(CONFIG).write_text("concurrent = many")
    await service.systemctl("start", fails=True)
    shown = await service.until(ActiveState="failed", Result="exit-code")
    assert shown["ExecMainStatus"] == "78"
    assert "config.toml:1" in service.records()
