"""A real Slurm, started by the first test that needs it.

Where its programs are missing, or we are not root, such tests are skipped; with `CI=true` they fail.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, missing


def pytest_collection_modifyitems(items):
    for item in items:
        if "slurm" in getattr(item, "fixturenames", ()):
            item.add_marker("long")


@pytest.fixture(scope="session")
def _cluster():
    if lacking := missing():
        reason = f"a Slurm of the tests' own needs {', '.join(lacking)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        cluster = SlurmCluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def slurm(_cluster, monkeypatch):
    """Found by $PATH and $SLURM_CONF, as by the service."""
    for name, value in _cluster.environment.items():
        monkeypatch.setenv(name, value)
    yield _cluster
    _cluster.clear()


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A folder with what the wheel has, its entry point among it, as an installation would have it."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = Path(__file__).parents[1]
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"
