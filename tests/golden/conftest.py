"""Two worlds, each played once for all workers; the tests hold what was heard there."""

import fcntl
import json
import os

import pytest

from tests.golden import worlds


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """Play a world, or take what another worker of this run has heard of it."""

    def play(world):
        folder = tmp_path_factory.mktemp(world.__name__)
        if "PYTEST_XDIST_WORKER" not in os.environ:
            return world(folder)
        heard = tmp_path_factory.getbasetemp().parent / f"golden-{world.__name__}.json"
        with heard.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not heard.exists():
                heard.write_text("null")  # a world that breaks is not played again
                heard.write_text(json.dumps(world(folder)))
            found = json.loads(heard.read_text())
        assert found is not None, "another worker has played this world, and tells how it broke"
        return found

    return play


@pytest.fixture(scope="session")
def recorded_store(played):
    """A service started on the recorded store, in a world where nobody answers."""
    return played(worlds.recorded_store)


@pytest.fixture(scope="session")
def one_job(played):
    """A service that runs one job on a host of the sandbox's cloud, and is drained."""
    return played(worlds.one_job)


@pytest.fixture(scope="session")
def left_by_1_1_1(played):
    """A service started on a state file of heptapod-paas-runner 1.1.1, in a world where nobody answers."""
    return played(worlds.left_by_1_1_1)


@pytest.fixture(scope="session")
def demo(played):
    """The demo with a pipeline of two jobs."""
    return played(worlds.demo)
