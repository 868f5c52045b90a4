"""Calls of an engine, without one: what a canceled one means, how many there are, how errors are worded."""

import asyncio
import threading
from pathlib import Path

import pytest

from paas_runner.docker.engine import STANDARD_URL, Address, Engine, address_from
from paas_runner.docker.errors import SettingNames
from paas_runner.errors import Rejected, Transient


class Slow:
    """A request that goes on until it may end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.ended = threading.Event()

    def __call__(self, client: object) -> str:
        self.begun.release()
        assert self.may_end.wait(20)
        self.ended.set()
        return "made"

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=20)


@pytest.fixture
def slow():
    request = Slow()
    yield request
    request.may_end.set()


def connected(**options) -> Engine:
    engine = Engine(Address(), **options)
    engine._client = object()  # requests here ask nothing of it
    return engine


async def test_a_canceled_call_leaves_its_request_to_itself(slow) -> None:
    call = asyncio.create_task(connected().call("wait", slow))
    await slow.has_begun()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not slow.ended.is_set()


async def test_a_canceled_shielded_call_ends_when_its_request_has(slow) -> None:
    call = asyncio.create_task(connected().shielded_call("make", slow))
    await slow.has_begun()
    call.cancel()
    done, _ = await asyncio.wait({call}, timeout=0)
    assert not done
    slow.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert slow.ended.is_set()


async def test_requests_that_no_one_waits_for_count_among_those_at_once(slow) -> None:
    engine = connected(calls_at_once=2)
    abandoned = asyncio.create_task(engine.call("wait", slow))
    await slow.has_begun()
    abandoned.cancel()
    await asyncio.gather(abandoned, return_exceptions=True)
    calls = [asyncio.create_task(engine.call("wait", slow)) for _ in range(3)]
    await slow.has_begun()
    assert engine._turns.locked()
    slow.may_end.set()
    assert await asyncio.gather(*calls) == ["made"] * 3


async def test_an_absent_engine_is_described_in_the_words_of_the_readers_settings(
    tmp_path: Path,
) -> None:
    names = SettingNames(host="there", certificates="keys", verify="checked")
    engine = Engine(Address(url=f"unix://{tmp_path}/none", names=names))
    with pytest.raises(Transient, match="start Docker, or set `there` to where it is") as caught:
        await engine.call("look", lambda client: client.ping())
    assert (caught.value.op, caught.value.service) == ("look", f"Docker engine at unix://{tmp_path}/none")


def test_a_program_without_an_event_loop_gets_the_same_errors(tmp_path: Path) -> None:
    with pytest.raises(Transient, match=r"set `\$DOCKER_HOST` to where it is"):
        Engine(Address(url=f"unix://{tmp_path}/none")).call_here("look", lambda client: client.ping())


async def test_errors_of_ours_pass_through_as_they_are() -> None:
    refused = Rejected("not today", service="it", op="ask")

    def refuse(client: object) -> None:
        raise refused

    with pytest.raises(Rejected) as caught:
        await connected().call("look", refuse)
    assert caught.value is refused


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Address(url=STANDARD_URL, verify=False)),
        ({"DOCKER_HOST": ""}, Address(url=STANDARD_URL, verify=False)),
        ({"DOCKER_HOST": "tcp://ci:2375"}, Address(url="tcp://ci:2375", verify=False)),
        (
            {"DOCKER_HOST": "tcp://ci:2376", "DOCKER_CERT_PATH": "/keys", "DOCKER_TLS_VERIFY": "1"},
            Address(url="tcp://ci:2376", certificates=Path("/keys"), verify=True),
        ),
        (
            {"DOCKER_HOST": "tcp://ci:2376", "DOCKER_CERT_PATH": "/keys", "DOCKER_TLS_VERIFY": ""},
            Address(url="tcp://ci:2376", certificates=Path("/keys"), verify=False),
        ),
        (
            {"DOCKER_HOST": "tcp://ci:2376", "DOCKER_TLS_VERIFY": "1"},
            Address(url="tcp://ci:2376", certificates=Path.home() / ".docker", verify=True),
        ),
    ],
)
def test_the_environment_is_read_as_the_sdk_reads_it(environ, expected) -> None:
    assert address_from(environ) == expected
