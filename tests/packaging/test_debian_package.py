"""The Debian package, in a fresh Debian of this machine's release."""

import asyncio
import gzip
import hashlib
import re
import shutil
import subprocess
from contextlib import asynccontextmanager
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.requirements import need

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(900)]

UNIT = "heptapod-paas-runner.service"
CONFIG = "/etc/paas-runner/config.toml"
STATE = "/var/lib/paas-runner"


@pytest.fixture
def package_tree(deb, tmp_path):
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tmp_path / "tree"], check=True)
    return tmp_path / "tree"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_lintian_finds_nothing_wrong_with_it(deb):
    need("lintian")
    command = ("lintian", "--allow-root", "--fail-on", "error,warning", "--show-overrides", deb)
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")  # nor is there anything that was overridden


def test_the_same_sources_give_the_same_package_byte_by_byte(deb, built_deb):
    assert sha256(built_deb(umask=0o077, zone="Asia/Tokyo")) == sha256(deb)


def test_nothing_in_it_tells_where_it_was_built_or_is_bound_to_a_machine(package_tree, sources):
    files = [path for path in package_tree.rglob("*") if path.is_file()]
    assert not [path for path in files if str(sources.parent).encode() in path.read_bytes()]
    assert not [path for path in files if path.suffix in {".pyc", ".so"}]


def test_its_documents_have_the_tables_that_the_repository_only_names(package_tree):
    documents = package_tree / "usr/share/doc/paas-runner"
    assert "| `listen_address` |" in (documents / "reference.md").read_text()
    assert not [path for path in documents.rglob("*.md") if "<!-- table:" in path.read_text()]


def test_it_has_no_file_that_another_package_could_have(package_tree):
    names = [str(path.relative_to(package_tree)) for path in package_tree.rglob("*") if path.is_file()]
    own_folders = ("DEBIAN/", "usr/lib/paas-runner/", "usr/share/doc/paas-runner/")
    elsewhere = [name for name in names if not name.startswith(own_folders)]
    assert {"usr/bin/paas-runner", "usr/bin/heptapod-paas-runner"} <= set(elsewhere)
    assert all(re.fullmatch(r".*/_?(heptapod-)?paas-runner[a-z0-9@.-]*", name) for name in elsewhere), (
        elsewhere
    )


def test_each_command_has_a_page_and_completion_and_the_configuration_a_page(package_tree):
    commands = {path.name for path in (package_tree / "usr/bin").iterdir()}
    pages = {path.name for path in (package_tree / "usr/share/man").rglob("*.gz")}
    assert pages == {"paas-runner.toml.5.gz", *(f"{name}.1.gz" for name in commands)}
    page = gzip.decompress((package_tree / "usr/share/man/man1/paas-runner.1.gz").read_bytes()).decode()
    assert '.SS "register"' in page
    for folder, form in {
        "bash-completion/completions": "{}",
        "zsh/vendor-completions": "_{}",
        "fish/vendor_completions.d": "{}.fish",
    }.items():
        found = {path.name for path in (package_tree / "usr/share" / folder).iterdir()}
        assert found == {form.format(name) for name in commands}


def test_it_has_whatever_a_configuration_may_need(package_tree):
    folder = [str(package_tree / "usr/lib/paas-runner")]
    vendored = {canonicalize_name(found.name) for found in distributions(path=folder)}
    [product] = distributions(name="paas-runner", path=folder)
    wanted = [Requirement(text) for text in product.requires or ()]
    extras = ("", "web", "otel", "postgres", "kubernetes")
    needed = {
        canonicalize_name(each.name)
        for each in wanted
        if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }
    assert needed <= vendored


async def test_it_is_installed_serves_as_the_unit_says_and_goes_without_a_trace(debian, world):
    await in_thread(debian.run, "dpkg", "--install", "/root/paas-runner.deb")
    assert "paas-runner 0." in debian.run("paas-runner", "--version")
    assert "/usr/sbin/nologin" in debian.run("getent", "passwd", "paas-runner")
    assert debian.run("stat", "--format=%U %G %a", "/etc/paas-runner") == "paas-runner paas-runner 750\n"
    assert not debian.path(CONFIG).exists()

    configure(debian, world)
    debian.run("install", "--directory", "--owner=paas-runner", "--mode=700", STATE)  # StateDirectory=
    async with serving(debian):
        jobs = world.submit(3)
        await world.settled(jobs)
        assert {job.status for job in jobs} == {"success"}

        [endless] = world.submit(script=("sleep 600",))
        await world.until(lambda: endless.status == "running")
    output = await in_thread(debian.run, "dpkg", "--remove", "paas-runner")
    assert f"{STATE} and /etc/paas-runner are kept" in output
    assert not debian.path("/usr/lib/paas-runner").exists()
    assert debian.path(CONFIG).exists()
    output = await in_thread(debian.run, "dpkg", "--purge", "paas-runner")
    assert "cannot be said to be free of jobs" in output
    assert list(debian.path(STATE).glob("*.db"))

    await in_thread(debian.run, "dpkg", "--install", "/root/paas-runner.deb")
    async with serving(debian):
        world.sandbox.coordinator.cancel(endless.job_id)
        await world.settled([endless])
        assert world.alive == []
    await in_thread(debian.run, "dpkg", "--purge", "paas-runner")
    left = debian.run("find", "/", "-xdev", "-name", "*paas-runner*", "-not", "-path", "/proc/*")
    assert left == "/root/paas-runner.deb\n"


def configure(debian, world):
    debian.path(CONFIG).touch(mode=0o600)
    shutil.copyfile(world.config, debian.path(CONFIG))
    debian.run("chown", "paas-runner:paas-runner", CONFIG)


@asynccontextmanager
async def serving(debian):
    """The unit's `ExecStart` as its user and with its folders; systemd itself is not there."""
    unit = debian.path(f"/lib/systemd/system/{UNIT}").read_text()
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    environ = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"STATE_DIRECTORY={STATE}")
    process = await asyncio.create_subprocess_exec(
        *("chroot", "--userspec=paas-runner:paas-runner", str(debian.folder)),
        *("env", "--ignore-environment", *environ, *command.split()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    telling = asyncio.create_task(process.stdout.read())
    try:
        yield
    finally:
        process.terminate()
        output = (await asyncio.wait_for(telling, 60)).decode()
        assert await process.wait() == 0, output


async def in_thread(call, *arguments):
    return await asyncio.to_thread(call, *arguments)
