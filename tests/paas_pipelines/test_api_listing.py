"""`GET /pipelines/jobs` of very many runs: each is encoded once, and who reads slowly has no copy of all."""

import asyncio
import json
import uuid
from datetime import timedelta

import attrs
from paas_pipelines.api.shapes import PIECE_BYTES, Shapes, job_shape, pieces
from paas_pipelines.runs.run import scheduled

from tests.support.served_pipelines import definition, now, served, serving

MANY = 2000


def finished():
    begin = now() - timedelta(days=1)
    for number in range(1, MANY + 1):
        at = begin + timedelta(seconds=number)
        run = scheduled(
            definition(),
            run_id=str(uuid.uuid4()),
            number=number,
            now=at,
            variables={"n": number},
            user="",
            partition="",
        )
        yield attrs.evolve(run, start=at, end=at, completed=True)


async def test_very_many_runs_are_one_answer(tmp_path):
    runs = tuple(finished())
    async with serving(served(tmp_path, runs=runs)) as world:
        answer = await world.client.get("/pipelines/jobs")
        assert len(answer.content) > 4 * PIECE_BYTES
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers["content-type"] == "application/json"
        jobs = answer.json()["jobs"]
        assert [job["variables"]["n"] for job in jobs] == list(range(MANY, 0, -1))
        assert jobs[0] == json.loads(json.dumps(job_shape(runs[-1])))


async def test_what_has_not_changed_is_not_encoded_again(tmp_path):
    parts = served(tmp_path, runs=tuple(finished()))
    shapes = Shapes(parts.engine)
    first = await shapes.everything()
    new = parts.engine.schedule("release_it", variables={})
    removed = next(run for run in parts.engine.book.runs() if run is not new)
    parts.engine.book.remove(removed.run_id)
    second = await shapes.everything()
    assert (
        len({id(part) for part in second} - {id(part) for part in first}) == 2
    )  # pipelines, and the new run
    parts.engine.cancel(new.run_id)
    third = await shapes.everything()
    assert json.loads(b"".join(third))["jobs"][0]["canceled"]
    assert len(shapes._jobs) == MANY


async def test_others_have_their_turn_while_very_many_are_encoded(tmp_path):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await Shapes(served(tmp_path, runs=tuple(finished())).engine).everything()
    task.cancel()
    assert turns >= 8


def test_pieces_are_the_parts_in_less_pieces():
    parts = [b"x" * number for number in range(2000)]
    found = list(pieces(parts))
    assert b"".join(found) == b"".join(parts)
    assert len(found) == 8
    assert list(pieces([])) == [b""]
