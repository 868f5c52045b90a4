"""The engine that tests get is real, and nothing of it stays."""

import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from tests.support.engine.private import NoEngineError, wait_for_the_end
from tests.support.engine.users import users_engine


def test_an_engine_runs_a_container_of_the_base_image(engine):
    with engine.client() as client:
        created = client.create_container(engine.base, ["git", "--version"])
        client.start(created)
        assert client.wait(created)["StatusCode"] == 0
        assert client.logs(created).startswith(b"git version")
        client.remove_container(created)


def test_an_engine_of_ones_own_has_nothing_of_the_shared_one(engine, start_engine):
    own = start_engine()
    assert own.url != engine.url
    with engine.client() as client:
        created = client.create_container(engine.base, ["true"])
        assert ("container", created["Id"]) not in own.everything()
        client.remove_container(created)


def test_networks_of_an_engine_have_names_for_their_containers(engine):
    with engine.client() as client:
        name = f"names-{uuid.uuid4().hex}"
        network = client.create_network(name)
        config = client.create_networking_config({name: client.create_endpoint_config(aliases=["db"])})
        server = client.create_container(
            engine.base, ["python3", "-m", "http.server", "8000"], networking_config=config
        )
        client.start(server)
        asking = "import urllib.request as u, time; time.sleep(1); u.urlopen('http://db:8000')"
        one = client.create_container(
            engine.base,
            ["python3", "-c", asking],
            host_config=client.create_host_config(network_mode=name),
        )
        client.start(one)
        assert client.wait(one)["StatusCode"] == 0, client.logs(one)
        for container in (server, one):
            client.remove_container(container, force=True)
        client.remove_network(network["Id"])


def test_nothing_of_an_engine_outlives_the_process_that_needed_it(start_engine):
    """As when pytest is killed: no teardown is run."""
    program = (
        "import os, pathlib, sys; from tests.support.engine.plugin import NO_FILTER; "
        "from tests.support.engine.private import private_engine; "
        "context = private_engine(pathlib.Path(sys.argv[1]), *NO_FILTER); context.__enter__(); "
        "os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:  # an engine's path may not be long
        subprocess.run([sys.executable, "-c", program, folder], cwd=root, check=False)
        wait_for_the_end(Path(folder))
        assert sorted(path.name for path in Path(folder).iterdir()) == ["log", "starting", "users"]
        assert folder not in Path("/proc/mounts").read_text()


def test_an_engine_that_was_ended_is_there_again_with_what_it_had(start_engine):
    engine = start_engine()
    before = engine.everything()
    engine.restart()
    assert engine.everything() == before


def test_a_users_engine_is_the_one_at_docker_host(engine):
    found = users_engine({"DOCKER_HOST": engine.url}, instead_of=["root's rights"])
    assert (found.url, found.has(found.base)) == (engine.url, True)


@pytest.mark.parametrize("url", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9"])
def test_without_any_engine_it_is_said_what_is_missing(url):
    with pytest.raises(NoEngineError, match=r"a private engine needs dockerd, and .*(DOCKER_HOST|nowhere)"):
        users_engine({"DOCKER_HOST": url}, instead_of=["dockerd"])
