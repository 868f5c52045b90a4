"""Whoever drives a container dies, or the way to its engine does: it runs once, and all of it is read."""

import contextlib
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

from paas_runner.docker.engine import UNBOUNDED, Address, Engine
from paas_runner.docker.place import DockerPlace
from tests.docker.conftest import line

ROOT = Path(__file__).parents[2]
STEPS = ("created", "given", "started", "half read", "read", "ended")


def driven(world, folder):
    command = [sys.executable, "-m", "tests.docker.driver"]
    arguments = [world.engine.url, world.image, f"{world.id}-one", str(folder)]
    return subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def test_a_driver_killed_after_any_verb_is_followed_by_one_that_ends_it(world, tmp_path):
    for step in STEPS:
        folder = tmp_path / step
        folder.mkdir()
        with driven(world, folder) as killed:
            while not killed.stdout.readline().startswith(step):
                assert killed.poll() is None
            killed.kill()
        with driven(world, folder) as process:
            said = process.stdout.read().splitlines()
        total = 120_000 + sum(range(501))
        assert said[-3:] == [f"read 502 120000 {total}", "ended 3", "removed"]
        assert (folder / "runs").read_text() == "run\n", step
        assert not world.left()


@contextlib.contextmanager
def cutting(url: str, folder: Path, after: int):
    """An engine whose logs break off after so many bytes, the next time after twice as many, and so on."""
    cuts = []

    def connected(ours):
        with ours, socket.socket(socket.AF_UNIX) as theirs:
            theirs.connect(url.removeprefix("unix://"))
            head = ours.recv(65536)
            theirs.sendall(head)
            left = after * (len(cuts) + 1) if b"/logs?" in head else sys.maxsize
            while left > 0:
                for ready in select.select([ours, theirs], [], [])[0]:
                    data = ready.recv(min(left, 65536))
                    if not data:
                        return
                    left -= len(data)
                    (theirs if ready is ours else ours).sendall(data)
            cuts.append(head)

    def listen():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=connected, args=[server.accept()[0]], daemon=True).start()

    path = folder / "cut"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=listen, daemon=True).start()
        yield f"unix://{path}", cuts
        server.shutdown(socket.SHUT_RDWR)


async def test_a_log_that_breaks_off_is_read_once_all_the_same(world, tmp_path):
    do = "for n in $(seq 3000); do echo line $n of many; [ $((n % 1000)) -gt 0 ] || sleep 1.1; done"
    name = await world.started(do)
    with cutting(world.engine.url, tmp_path, after=50_000) as (url, cuts):
        engine = Engine(Address(url=url), calls_at_once=UNBOUNDED)
        lines = [each.text async for each in DockerPlace(engine).lines(name)]
        await engine.aclose()
    assert lines == [b"line %d of many" % n for n in range(1, 3001)]
    assert len(cuts) >= 2


async def test_an_abandoned_stream_ends_with_the_container(world):
    name = await world.started("echo here; sleep 600")
    lines = world.place.lines(name)
    assert await anext(lines) == line("here")
    await lines.aclose()
    await world.place.remove(name)
