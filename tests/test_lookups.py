"""Names that the system's resolver is silent about."""

import asyncio
import contextlib
import socket
import threading

import pytest

from paas_runner.loop.lookups import ServiceLoop

MORE_THAN_THREADS = 100


class Resolver:
    """Answers for `here` alone; silent about all others until `give_up`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._given_up = threading.Event()

    def __call__(self, host, port, *_args):
        self.asked.append(host)
        if host != "here":
            self._given_up.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def give_up(self) -> None:
        self._given_up.set()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


def play(story):
    with asyncio.Runner(loop_factory=ServiceLoop) as runner:
        return runner.run(story)


def test_a_name_without_an_answer_keeps_no_other_waiting(resolver: Resolver) -> None:
    async def story():
        loop = asyncio.get_running_loop()
        waiting = [
            asyncio.ensure_future(loop.getaddrinfo("dead.example", 443)) for _ in range(MORE_THAN_THREADS)
        ]
        try:
            async with asyncio.timeout(5):
                [(*_, address)] = await loop.getaddrinfo("here", 80)
        finally:
            resolver.give_up()
        return address, await asyncio.gather(*waiting, return_exceptions=True)

    address, failures = play(story())
    assert address == ("127.0.0.1", 80)
    assert sorted(resolver.asked) == ["dead.example", "here"]
    assert all(isinstance(failure, socket.gaierror) for failure in failures)


def test_who_gives_up_leaves_the_look_up_to_those_that_follow(resolver: Resolver) -> None:
    async def story():
        loop = asyncio.get_running_loop()
        complaints = []
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        for _ in range(MORE_THAN_THREADS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await loop.getaddrinfo("dead.example", 443)
        resolver.give_up()
        while loop._lookups:
            await asyncio.sleep(0.001)
        return complaints

    assert play(story()) == []
    assert resolver.asked == ["dead.example"]


def test_an_answer_is_good_for_those_alone_who_waited_for_it(resolver: Resolver) -> None:
    async def story():
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.getaddrinfo("here", 80) for _ in range(3)))
        await loop.getaddrinfo("here", 80)

    play(story())
    assert resolver.asked == ["here", "here"]
