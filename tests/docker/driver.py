"""Runs one container as whoever drives a place does, and says after each verb that it has been done.

python -m tests.docker.driver URL IMAGE NAME VOLUME
"""

import asyncio
import sys
from datetime import timedelta

from paas_runner.container import Wanted
from paas_runner.docker.engine import UNBOUNDED, Address, Engine
from paas_runner.docker.place import DockerPlace
from paas_runner.docker.registries import PullPolicy
from paas_runner.secret import Secret

DO = "echo run >> /out/runs; wc -c; seq 200; sleep 0.3; seq 201 500; echo errors >&2; exit 3"
DATA = b"x" * 120_000


async def main(url: str, image: str, name: str, volume: str) -> None:
    engine = Engine(Address(url=url), calls_at_once=UNBOUNDED)
    place = DockerPlace(engine, policy=PullPolicy.NEVER)
    wanted = Wanted(
        name=name,
        image=image,
        environment={"DO": Secret(DO)},
        labels={"paas-runner.owner": name.removesuffix("-one")},
        volumes=[f"{volume}:/out"],
        takes_input=True,
    )
    said("begun")
    await place.prepare(wanted)
    said("prepared")
    await place.create(wanted)
    said("created")
    await place._give("give", name, DATA)
    said("given")
    await place.start(name, DATA)
    said("started")
    lines = []
    async for line in place.lines(name):
        lines.append(line)
        if len(lines) == 200:
            said("half read")
    numbers = [int(each.text) for each in lines if each.text.isdigit()]
    said(f"read {len(lines)} {numbers[0]} {sum(numbers)}")
    ended = await place.wait(name, timedelta(minutes=1))
    said(f"ended {ended.code}")
    await place.remove(name)
    said("removed")
    await engine.aclose()


def said(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
