"""Registration offers the executors of helper services, and tries what is answered: H022."""

import tomllib

import pytest

from tests.support.reference_helper import TOKEN, ReferenceHelper, served


async def test_clever_service_docker_is_asked_for_as_clever_docker_with_its_image(world):
    result = await world.register(RUNNER_EXECUTOR="clever-service-docker")
    assert result.code == 0, result
    [section] = tomllib.loads(world.config.read_text())["runners"]
    assert section["executor"] == "clever-service-docker"
    assert section["cc_orga_id"] == world.sandbox.organisation_id
    assert section["heptapod_paas_runner_helper_image"].endswith("/heptapod-paas-runner/helper:testing")


@pytest.mark.parametrize("http1", [True, False], ids=["http1", "grpc"])
async def test_service_docker_is_asked_where_the_helper_is_and_it_is_tried(world, http1):
    world.presets = ()
    async with served(ReferenceHelper(), http1=http1) as url:
        given = {
            "RUNNER_EXECUTOR": "service-docker",
            "PAAS_RUNNER_HELPER_HOST": url.partition("//")[2],
            "PAAS_RUNNER_HELPER_HTTP1": "yes" if http1 else "no",
            "PAAS_RUNNER_HELPER_TOKEN": TOKEN.reveal(),
        }
        refused = await world.register(**{**given, "PAAS_RUNNER_HELPER_TOKEN": "canary-of-a-wrong-token"})
        assert refused.code == 1
        assert "refuses our token" in refused.err
        assert "canary" not in refused.err + refused.out
        result = await world.register(**given)
    assert result.code == 0, result
    [section] = tomllib.loads(world.config.read_text())["runners"]
    assert section["executor"] == "service-docker"
    assert section["paas-runner-helper-host"] == url.partition("//")[2]
    assert section["paas-runner-helper-http1"] is http1
    assert section["paas-runner-helper-token"] == TOKEN.reveal()


async def test_a_helper_that_is_not_there_is_said_with_what_to_look_at(world):
    world.presets = ()
    result = await world.register(
        RUNNER_EXECUTOR="service-docker",
        PAAS_RUNNER_HELPER_HOST="127.0.0.1:1",
        PAAS_RUNNER_HELPER_HTTP1="yes",
        PAAS_RUNNER_HELPER_TOKEN=TOKEN.reveal(),
    )
    assert result.code == 1
    assert "is the helper service started" in result.err
