"""`Idempotency-Key` at a start: one run, however often it is asked for within a day."""

import asyncio
from datetime import timedelta

from paas_runner.store.protocol import StoreError
from tests.support.memory_journal import MemoryJournal
from tests.support.served_pipelines import authorization, now, served, serving

BODY = {"pipeline": "release_it", "variables": {"a": 1}}


async def started(client, key=None, body=BODY, **headers):
    given = {**headers, **({} if key is None else {"Idempotency-Key": key})}
    answer = await client.post("/pipelines/schedule", json=body, headers=given)
    return answer.status_code, answer.json().get("jobId") or answer.json()["error"]


async def test_the_same_key_has_the_same_run_and_another_body_is_422(tmp_path):
    async with serving(served(tmp_path)) as world:
        first = await started(world.client, "k")
        assert first[0] == 202
        assert await started(world.client, "k") == first
        assert await started(world.client, "k", {"pipeline": "release_it"}) == (
            422,
            "Idempotency-Key was used with another body",
        )
        assert len({await started(world.client), await started(world.client), first}) == 3
        other = authorization({"sub": "somebody else"})
        assert (await started(world.client, "k", **other))[1] != first[1]
        assert (await started(world.client, "x" * 256))[0] == 400


async def test_two_at_once_are_one(tmp_path):
    async with serving(served(tmp_path)) as world:
        answers = await asyncio.gather(*(started(world.client, "k") for _ in range(8)))
        assert len(set(answers)) == len(world.engine.book) == 1


async def test_a_refused_start_keeps_no_key(tmp_path):
    async with serving(served(tmp_path)) as world:
        assert (await started(world.client, "k", {"pipeline": "none"}))[0] == 400
        assert (await started(world.client, "k"))[0] == 202


async def test_a_key_outlives_the_server_and_is_forgotten_after_a_day(tmp_path):
    journal, moment = MemoryJournal(), [now()]
    parts = {"journal": journal, "clock": lambda: moment[0]}
    token = authorization({})  # of no certain time
    async with serving(served(tmp_path, **parts)) as world:
        first = await started(world.client, "k", **token)
    async with serving(served(tmp_path, **parts)) as world:
        assert await started(world.client, "k", **token) == first
        moment[0] += timedelta(hours=24, seconds=1)
        assert (await started(world.client, "k", **token))[1] != first[1]


async def test_where_the_disk_takes_nothing_the_key_is_free_again(tmp_path):
    class Full(MemoryJournal):
        full = True

        async def flushed(self):
            if self.full:
                raise StoreError("no space left")

    journal = Full()
    async with serving(served(tmp_path, journal=journal)) as world:
        assert (await started(world.client, "k"))[0] == 503
        journal.full = False
        status, run_id = await started(world.client, "k")
        assert status == 202
        assert [run.run_id for run in world.engine.book.runs() if not run.canceled] == [run_id]
