"""What `paas-runner check` finds out about `local-docker`, on a real engine and without one."""

import asyncio
import re
import time

import pytest

from paas_runner.executor.checks import Grade

RUNNER = """
[[runners]]
  name = "local"
  url = "{url}"
  token = "{token}"
  executor = "local-docker"
  host = "{host}"
  heptapod_runner_main_image = "{image}"
"""


@pytest.fixture
def configured(world):
    def write(host, image="paas-runner-test/none"):
        world.write(
            RUNNER.format(
                url=world.sandbox.coordinator_url,
                token=world.sandbox.runner_token.reveal(),
                host=host,
                image=image,
            )
        )
        return world

    return write


async def test_an_engine_with_the_image_of_hosts_is_fine(configured, engine):
    checked = await configured(engine.url, engine.base).checked()
    assert not checked.faults
    assert not checked.warnings
    [answer] = checked.of("engine", Grade.FINE)
    assert re.fullmatch(rf"Docker \d+\.\S+ answers at {re.escape(engine.url)}", answer.text)
    [machine] = checked.of("machine", Grade.FINE)
    assert re.fullmatch(r"CPUs: [1-9]\d*, memory: \d+\.\d GiB", machine.text)
    [image] = checked.of("image of hosts", Grade.FINE)
    assert image.text == engine.base


async def test_an_image_of_hosts_that_would_have_to_be_fetched_is_a_warning(configured, engine):
    checked = await configured(engine.url).checked()
    assert (checked.faults, checked.warnings) == ([], [("local", "image of hosts")])
    [image] = checked.of("image of hosts")
    assert "the engine has no paas-runner-test/none" in image.text
    assert "packaging/images/build" in image.advice


async def test_nothing_is_made_on_the_engine(configured, start_engine):
    engine = start_engine()
    before = engine.everything()
    await configured(engine.url).checked()
    assert engine.everything() == before


async def test_an_engine_that_is_not_there_is_a_fault_with_advice(configured, tmp_path):
    checked = await configured(f"unix://{tmp_path}/nowhere").checked()
    assert checked.faults == [("local", "engine")]
    [engine] = checked.of("engine")
    assert "there is no engine: start Docker" in engine.text
    assert f"`docker --host unix://{tmp_path}/nowhere version`" in engine.advice
    assert not checked.of("image of hosts")


async def test_an_address_that_is_none_is_a_fault(configured):
    checked = await configured("localhost").checked()
    assert checked.faults == [("local", "executor")]
    assert "`host` is no engine" in checked.all_told


async def test_an_engine_that_is_silent_does_not_hold_up_the_check(configured, tmp_path, monkeypatch):
    monkeypatch.setattr("executors.local_docker.checks.SECONDS", 0.2)

    async def listen(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(listen, tmp_path / "silent"):
        began = time.monotonic()
        checked = await configured(f"unix://{tmp_path}/silent").checked()
    assert time.monotonic() - began < 20
    assert checked.faults == [("local", "engine")]
    assert "no answer in time" in checked.all_told


async def test_offline_the_engine_is_not_asked(configured, tmp_path):
    checked = await configured(f"unix://{tmp_path}/nowhere").checked(offline=True)
    assert not checked.faults
    assert not checked.of("engine")
