"""The first hour, and the last: README and the runbook, typed as they stand there, on a fresh Debian.

The cloud is a sandbox's, so the one thing that is added to the documents' words is its address.
"""

import asyncio
import re
import shutil
import subprocess
import sys

import attrs
import pytest

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.service.conftest import RealWorld
from tests.support.alone import alone
from tests.support.debian_root import first_choices, unpacked
from tests.support.person import CONTROL_C, at_terminal
from tests.support.walked_page import blocks

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(900)]

UNIT = "heptapod-paas-runner"
CONFIG = "/etc/paas-runner/config.toml"
STATE = "/var/lib/paas-runner"
OPERATIONS = "docs/operations.md"
PEER = "heptapod-paas-runner==1.1.1"
BESIDE_THE_PACKAGE = ("sudo", "python3-venv")
"""What the documents use, and the package does not need."""


class Walk:
    """A person at a terminal of the machine, who copies blocks of commands and answers questions."""

    def __init__(self, machine, world):
        self.machine = machine
        self.world = world

    def at_terminal(self, block):
        """The block as it stands there, each line of it has to succeed."""
        api = f"--set cc_api_url={self.world.sandbox.cloud_api_url}"
        typed = re.sub(r"(?<=heptapod-paas-runner-register)(?= )", f" {api}", block)
        environ = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "HOME": "/root",
        }
        return at_terminal(*self.machine.command("bash", "-ec", f"cd /root\n{typed}"), env=environ)

    async def types(self, block, *, seconds=120):
        async with self.at_terminal(block) as person:
            assert await person.end(seconds) == 0, person.screen
        return person.screen

    async def registers(self, block):
        """The same, with the questions of registration answered on the way."""
        sandbox = self.world.sandbox
        async with self.at_terminal(block) as person:
            await person.expect("running jobs are remembered", seconds=120)
            await person.answer(f"[{STATE}/paas-runner-state.json]")
            await person.answer("Jobs at once")
            await person.answer("Base address", sandbox.coordinator_url)
            await person.answer("Registration token", sandbox.coordinator.options.registration_token.reveal())
            await person.answer("Name of the runner", "clever-cloud")
            await person.answer("Tags")
            await person.answer("Executor", "clever-docker")
            await person.answer("multi-tenant")
            await person.answer("Id of the Clever Cloud organisation", sandbox.organisation_id)
            await person.answer("API token", sandbox.cloud_token.reveal())
            await person.answer("Where hosts run")
            await person.answer("Size of a host", "XS")
            await person.answer("Image of jobs")
            await person.expect(f"start the service:           systemctl enable --now {UNIT}")
            assert await person.end(120) == 0, person.screen
        return person.screen

    async def is_served(self):
        """A job comes to its end."""
        [job] = self.world.submit()
        await self.world.settled([job])
        assert job.status == "success"

    async def shown(self, *properties):
        output = await asyncio.to_thread(self.machine.run, "systemctl", "show", UNIT)
        found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        return [found[name] for name in properties]

    def owners(self, folder):
        return set(self.machine.run("find", folder, "-printf", "%u:%g\n").split())


@pytest.fixture
async def walk(debian_of_a_person, deb, tmp_path):
    options = SandboxOptions(coordinator=lambda options: attrs.evolve(options, trace_interval_seconds=1))
    async with Sandbox(options) as sandbox:
        # the other program shows its credentials over TLS only, which the sandbox does not speak
        sandbox.cloud.options = CloudOptions(anonymous_push_token=sandbox.cloud_token)
        with debian_of_a_person.booted() as machine:
            machine.path("/root/dist").mkdir()
            shutil.copy(deb, machine.path("/root/dist"))
            yield Walk(machine, RealWorld(sandbox, tmp_path))


@pytest.fixture
def debian_of_a_person(deb, pytestconfig, tmp_path):
    """A fresh Debian as in the documents: besides what the package needs it has what they call."""
    asked = ("dpkg-deb", "--field", deb, "Depends")
    depends = subprocess.run(asked, text=True, capture_output=True, check=True).stdout
    with unpacked(pytestconfig, [*first_choices(depends), *BESIDE_THE_PACKAGE], tmp_path) as debian:
        yield debian


async def test_the_readme_leads_from_nothing_to_a_finished_job(walk):
    [install, _in_an_environment] = blocks("README.md", "Install")
    [register] = blocks("README.md", "Register")
    [run] = blocks("README.md", "Run")
    await walk.types(install)
    await walk.registers(register)
    assert walk.owners("/etc/paas-runner") == walk.owners(STATE) == {"paas-runner:paas-runner"}
    screen = await walk.types(run)
    assert "faults: 0" in screen
    assert "polling" in screen
    await walk.is_served()
    assert await walk.shown("ActiveState", "NRestarts") == ["active", "0"]
    screen = walk.machine.run("heptapod-paas-runner", CONFIG, fails=True)  # as root, to see it work
    assert "systemctl start heptapod-paas-runner" in screen
    assert walk.owners(STATE) == {"paas-runner:paas-runner"}
    elsewhere = walk.machine.path(CONFIG).read_text().replace(STATE, "/etc/paas-runner")
    walk.machine.path("/etc/paas-runner/other.toml").write_text(elsewhere)
    screen = walk.machine.run("paas-runner", "check", "--offline", "/etc/paas-runner/other.toml")
    assert "the unit heptapod-paas-runner@other may write below /var/lib/paas-runner/other alone" in screen


async def test_the_runbook_leads_through_the_life_of_an_installation(walk, newer_deb, peer_wheels):
    [begin] = blocks(OPERATIONS, "From nothing to a running service")
    screen = await walk.registers(begin)
    assert "faults: 0" in screen
    await walk.is_served()

    hold = walk.world.hold()
    [job] = walk.world.submit(script=hold.script)
    await walk.world.until(lambda: job.status == "running", seconds=60)
    for old in walk.machine.path("/root/dist").iterdir():
        old.unlink()
    shutil.copy(newer_deb, walk.machine.path("/root/dist"))
    [upgrade] = blocks(OPERATIONS, "Upgrade")
    await walk.types(upgrade)
    assert "+newer" in walk.machine.run("dpkg-query", "--show", "paas-runner")
    assert await walk.shown("ActiveState") == ["active"]

    walk.machine.run("apt-get", "remove", "--yes", "paas-runner")
    await walk.types(upgrade)
    assert await walk.shown("ActiveState", "UnitFileState") == ["active", "enabled"]

    shutil.copytree(peer_wheels, walk.machine.path("/root/wheels"))
    walk.machine.path("/etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /root/wheels\n")
    [back, forward] = blocks(OPERATIONS, "Back to 1.1.1")
    async with walk.at_terminal(back) as person:
        await walk.world.until(
            lambda: not walk.machine.path(f"{STATE}/paas-runner-state.json").exists(), seconds=120
        )
        hold.release()
        await walk.world.settled([job])
        person.type(CONTROL_C)
        await person.end(60)
    assert job.status == "success"
    await walk.types(forward)
    await walk.is_served()

    [purge] = blocks(OPERATIONS, "Remove it")
    async with walk.at_terminal(purge) as person:
        await person.expect("Do you want to continue?", seconds=120)
        person.type("y\n")
        assert await person.end(120) == 0, person.screen
    assert "are kept" not in person.screen.partition("Purging")[2]
    assert [runner.description for runner in walk.world.sandbox.coordinator.runners] == ["sandbox"]
    for left in (STATE, "/etc/paas-runner", f"/etc/systemd/system/multi-user.target.wants/{UNIT}.service"):
        assert not walk.machine.path(left).exists()
        assert not walk.machine.path(left).is_symlink()


@pytest.fixture
def newer_deb(deb, tmp_path):
    """The same package under a later version."""
    tree = tmp_path / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+newer", control.read_text(), flags=re.MULTILINE))
    package = tmp_path / "paas-runner_newer_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, package], check=True, stdout=-3
    )
    return package


@pytest.fixture(scope="session")
def peer_wheels(pytestconfig, tmp_path_factory):
    """Version 1.1.1 and what it needs, for the Python of the Debian."""
    folder = (
        tmp_path_factory.mktemp("wheels")
        if pytestconfig.cache is None
        else pytestconfig.cache.mkdir("peer-wheels")
    )
    with alone(folder / "lock"):
        if not (folder / "complete").exists():
            wheels = ("pip", "wheel", "--quiet", "--wheel-dir", folder, PEER)
            subprocess.run([sys.executable, "-m", *wheels], check=True, timeout=300)
            (folder / "complete").touch()
    return folder
