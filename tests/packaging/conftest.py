import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.service.conftest import RealWorld
from tests.support.debian_root import first_choices, unpacked
from tests.support.installed_unit import InstalledUnit
from tests.support.requirements import need

ROOT = Path(__file__).parents[2]
DATE = "1767225600"


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A copy of the project as it is now, which does not change meanwhile."""
    copy = tmp_path_factory.mktemp("sources") / "project"
    nothing_made = shutil.ignore_patterns(".git", ".*_cache", ".venv", ".hypothesis", "__pycache__", "dist")
    shutil.copytree(ROOT, copy, ignore=nothing_made)
    return copy


@pytest.fixture(scope="session")
def built_deb(sources, tmp_path_factory):
    """Builds the Debian package, each time from the beginning."""
    need("dpkg-deb")

    def build(*, umask=0o022, zone="UTC", version=""):
        folder = tmp_path_factory.mktemp("deb")
        tree = sources
        if version:
            tree = shutil.copytree(sources, folder / "tree")
            (tree / "paas_runner/__init__.py").write_text(f'"""Another."""\n\n__version__ = "{version}"\n')
        program = tree / "packaging" / "debian" / "build.py"
        environ = os.environ | {"SOURCE_DATE_EPOCH": DATE, "TZ": zone}
        done = subprocess.run(
            [sys.executable, program, folder],
            cwd=folder,
            env=environ,
            umask=umask,
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return Path(done.stdout.strip())

    return build


@pytest.fixture(scope="session")
def deb(built_deb):
    return built_deb()


@pytest.fixture
def debian(deb, pytestconfig, tmp_path):
    """A fresh Debian with what the package depends on, and the package's file in /root."""
    depends = subprocess.run(
        ["dpkg-deb", "--field", deb, "Depends"], text=True, capture_output=True, check=True
    ).stdout
    packages = [*first_choices(depends), "libpq5"]  # what is suggested for a store that several share
    with unpacked(pytestconfig, packages, tmp_path) as debian:
        shutil.copy(deb, debian.path("/root/paas-runner.deb"))
        yield debian


@pytest.fixture
async def world(tmp_path):
    """A sandbox, and a configuration for it."""
    options = SandboxOptions(coordinator=lambda options: attrs.evolve(options, trace_interval_seconds=1))
    async with Sandbox(options) as sandbox:
        world = RealWorld(sandbox, tmp_path)
        world.configure()
        yield world


@pytest.fixture
async def service(debian, world):
    """The unit on a booted machine, installed and configured, not started."""
    await asyncio.to_thread(debian.run, "dpkg", "--install", "/root/paas-runner.deb")
    with debian.booted() as machine:
        service = InstalledUnit(machine, world)
        service.configure()
        yield service
