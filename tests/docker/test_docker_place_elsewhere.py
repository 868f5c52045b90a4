"""Images of registries, and an engine that wants TLS, where no connection can be closed by halves."""

import base64
import json
import socket

import pytest

from paas_runner.docker.engine import UNBOUNDED, Address, Engine
from paas_runner.docker.place import DockerPlace
from paas_runner.docker.registries import PullPolicy
from paas_runner.errors import Rejected
from tests.docker.conftest import docker_world, doing_on
from tests.support.engine.certificates import tls_options
from tests.support.image_registry import serving

LOGIN = "someone:pass-word-1"


@pytest.fixture
def registry(engine):
    with serving(LOGIN) as registry:
        yield registry
        with engine.client() as client:
            for image in client.images(name=f"{registry.host}/group/tool"):
                for tag in image["RepoTags"]:
                    client.remove_image(tag, force=True)


@pytest.fixture
def own_config(tmp_path, monkeypatch):
    """Docker's own configuration, with the login of a registry."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write(host, login=LOGIN):
        auths = {host: {"auth": base64.b64encode(login.encode()).decode()}}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))

    return write


@pytest.mark.parametrize(("policy", "asked"), [(PullPolicy.ALWAYS, 2), (PullPolicy.IF_NOT_PRESENT, 1)])
async def test_an_image_is_fetched_by_the_policy_as_docker_is_logged_in(
    engine, registry, own_config, policy, asked
):
    own_config(registry.host)
    async with docker_world(engine, registry.image, policy=policy) as world:
        for _ in range(2):
            assert (await world.place.prepare(world.wanted())).environment is not None
    assert registry.asked == asked


@pytest.mark.parametrize("login", ["", "someone:else"])
async def test_who_is_not_logged_in_is_rejected_without_the_password(engine, registry, own_config, login):
    own_config(registry.host if login else "elsewhere", login or LOGIN)
    async with docker_world(engine, registry.image, policy=PullPolicy.IF_NOT_PRESENT) as world:
        with pytest.raises(Rejected) as caught:
            await world.place.prepare(world.wanted())
    assert "pass-word-1" not in str(caught.value)
    assert "someone" not in str(caught.value)


async def test_a_configuration_that_cannot_be_read_is_told_without_what_it_has(
    engine, registry, tmp_path, own_config
):
    (tmp_path / "config.json").write_text('{"auths": {"x": "pass-word-1"}')
    async with docker_world(engine, registry.image, policy=PullPolicy.ALWAYS) as world:
        with pytest.raises(Rejected) as caught:
            await world.place.prepare(world.wanted())
    assert "pass-word-1" not in str(caught.value)


async def test_input_ends_and_output_is_read_by_tls(start_engine, certificates):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    own = start_engine("-H", url, *tls_options(certificates))
    engine = Engine(Address(url=url, certificates=certificates), calls_at_once=UNBOUNDED)
    async with docker_world(own, doing_on(own)) as world:
        world.place = DockerPlace(engine, policy=PullPolicy.NEVER)
        for size in (0, 100_000, 5_000_000):
            found = await world.ran("wc -c; seq 1000", b"x" * size, takes_input=True, name=f"of-{size}")
            assert found == ([b"%d" % size, *(b"%d" % n for n in range(1, 1001))], 0)
        await engine.aclose()
