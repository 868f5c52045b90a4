"""Fixtures for tests that need a real Docker engine.

Root gets a private one where dockerd, iptables and debootstrap are installed. Another user gets the engine at
$DOCKER_HOST or the standard socket: tests touch nothing there but what they have made, and leave images named
`paas-runner-test/…` for their next run; tests that need an engine for themselves are skipped. Without any
engine such tests are skipped, in CI they fail. `PAAS_RUNNER_TEST_CACHE` names a folder for what is made once.
"""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.alone import alone
from tests.support.debian_archive import NoDebianError, debian_archive
from tests.support.engine.at_hand import EngineAtHand
from tests.support.engine.private import (
    NoEngineError,
    missing_for_a_private_engine,
    private_engine,
    wait_for_the_end,
)
from tests.support.engine.users import users_engine

SECONDS = 600  # of a test, its share in making image and engine included
PACKAGES = ("ca-certificates", "git", "python3")
BUILD = Path(__file__).parents[3] / "packaging/images/build"

NO_FILTER = ("--iptables=false", "--ip6tables=false")
"""The packet filter is the shared engine's alone: one that begins takes away the chains of the others."""

StartEngine = Callable[..., EngineAtHand]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with an engine may have to wait until there is one."""
    for item in items:
        if {"engine", "start_engine"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("long")
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all processes of a test run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def archive(pytestconfig: pytest.Config) -> Path:
    """The root file system of all images."""
    try:
        return debian_archive(pytestconfig, PACKAGES)
    except NoDebianError as error:
        _without(NoEngineError(str(error)))


@pytest.fixture(scope="session")
def engine(shared_folder: Path, request: pytest.FixtureRequest) -> Iterator[EngineAtHand]:
    """An engine that all tests share: what is on it is counted by labels."""
    try:
        if missing := missing_for_a_private_engine():
            with alone(shared_folder / "engine.lock"):
                engine = users_engine(os.environ, instead_of=missing)
            yield engine
        else:
            archive = request.getfixturevalue("archive")
            with private_engine(shared_folder / "engine") as url:
                yield _furnished(EngineAtHand(url=url), archive)
    except NoEngineError as error:
        _without(error)


@pytest.fixture
def start_engine(request: pytest.FixtureRequest) -> Iterator[StartEngine]:
    """Starts engines for one test alone, each with options for dockerd; gone with the test."""
    if missing := missing_for_a_private_engine():
        _without(NoEngineError(f"it needs one for itself, and that needs {', '.join(missing)}"))
    archive = request.getfixturevalue("archive")
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        started = []

        def start(*options: str, furnished: bool = True) -> EngineAtHand:
            own = Path(folder) / str(next(numbers))
            context = private_engine(own, *NO_FILTER, *options)
            started.append((own, context))
            engine = EngineAtHand(url=context.__enter__())
            return _furnished(engine, archive) if furnished else engine

        try:
            yield start
        except NoEngineError as error:
            _without(error)
        finally:
            for own, context in started:
                context.__exit__(None, None, None)
                wait_for_the_end(own)


@pytest.fixture(scope="session")
def host_context(shared_folder: Path) -> Path:
    """What the host's image is built from, with the inner runner as it is now."""
    folder = shared_folder / "host-image"
    with alone(shared_folder / "host-image.lock"):
        if not folder.exists():
            making = folder.with_suffix(".new")
            done = subprocess.run(
                [str(BUILD), "--context", str(making)],
                env={**os.environ, "PYTHON": sys.executable},
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                _without(NoEngineError(f"{BUILD.name} failed: {done.stderr}"))
            making.rename(folder)
    return folder


@pytest.fixture(scope="session")
def host_image(engine: EngineAtHand, host_context: Path) -> str:
    """The image of a host, on the shared engine."""
    return engine.build_folder("paas-runner-test/host", host_context, BASE=engine.base)


def _furnished(engine: EngineAtHand, archive: Path) -> EngineAtHand:
    engine.take(archive)
    return engine


def _without(error: NoEngineError) -> NoReturn:
    text = f"no Docker engine for this test: {error}"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)
