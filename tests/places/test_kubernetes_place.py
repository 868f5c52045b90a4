"""What is particular about containers on a cluster."""

import asyncio
import base64
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.container import Ended
from paas_runner.errors import Rejected
from paas_runner.sandbox.kubernetes import JOBS, PODS, SECRETS
from tests.places.conftest import SECOND, cluster_world


@pytest.fixture
async def where(tmp_path):
    async with cluster_world(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"volumes": ["/a:/b"]}, "a cluster has no volumes as Docker has: /a:/b"),
        ({"takes_input": True}, "has no standard input: use its environment"),
        ({"name": "x" * 64}, "is no name of a Job"),
        ({"environment": {"a b": ""}}, "the variable 'a b' has a name that no Secret can have"),
    ],
)
async def test_what_a_cluster_cannot_do_is_told_before_it_is_asked(where, more, why):
    with pytest.raises(Rejected, match=why):
        await where.place.prepare(where.wanted(**more))
    assert not where.server.cluster.ledger.requests


async def test_what_the_cluster_refuses_is_told_before_anything_exists(where):
    with pytest.raises(Rejected, match="Too long"):
        await where.place.prepare(where.wanted(env={"BIG": "x" * 1_100_000}))
    assert not where.left()


async def test_values_are_in_a_secret_that_goes_with_the_job(where):
    await where.started("sleep 600", env={"TOKEN": "canary-1"})
    cluster = where.server.cluster
    [secret], [job], [pod] = (cluster.objects(kind) for kind in (SECRETS, JOBS, PODS))
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert "canary-1" not in str((job, pod))
    await where.place.remove(where.name)
    assert not where.left()


async def test_a_value_that_is_no_utf_8_comes_as_the_bytes_that_it_is(where):
    await where.started("sleep 600", env={"BYTES": os.fsdecode(b"a\xffb")})
    [secret] = where.server.cluster.objects(SECRETS)
    assert base64.b64decode(secret["data"]["BYTES"]) == b"a\xffb"


async def test_labels_are_made_valid_and_their_originals_are_annotations(where):
    given = {"paas-runner.owner": "me", "a step": "Über alles", "long": "x" * 80, "empty": ""}
    await where.started("true", labels=given)
    [job] = where.server.cluster.objects(JOBS)
    labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
    assert labels["paas-runner.owner"] == notes["paas-runner.owner"] == "me"
    assert labels["empty"] == ""
    assert {"Über alles", "x" * 80, "me"} <= set(notes.values())
    assert len(labels) == len(given) + 1


async def test_what_comes_before_its_start_does_not_count(tmp_path):
    async with cluster_world(tmp_path, pull_delay=2 * SECOND) as where:
        await where.started("echo here; sleep 600")
        began = time.monotonic()
        assert await where.place.wait(where.name, SECOND) is None
        assert time.monotonic() - began > 2


@pytest.mark.parametrize(
    ("ahead", "does", "limit", "ended"),
    [
        (timedelta(hours=1), "sleep 1", timedelta(minutes=5), Ended(code=0)),
        (-timedelta(hours=1), "sleep 600", SECOND, None),
    ],
    ids=["ahead", "behind"],
)
async def test_another_clock_than_the_nodes_makes_no_limit_shorter_or_longer(
    where, ahead, does, limit, ended
):
    where.place._clock = lambda: datetime.now(UTC) + ahead
    await where.started(does)
    async with asyncio.timeout(60):
        assert await where.place.wait(where.name, limit) == ended


async def test_who_is_evicted_has_ended_with_the_clusters_word(where):
    await where.started("echo here; sleep 600")
    await where.first_line()
    [pod] = where.server.cluster.objects(PODS)
    where.server.cluster.kubelet.evict(pod)
    ended = await where.place.wait(where.name)
    assert ended.code > 0
    assert "The node was low on resource: memory." in ended.cause


async def test_the_cluster_itself_ends_one_in_time(where):
    await where.started("exec sleep 600", ends_after=-2 * SECOND)
    ended = await where.place.wait(where.name)
    assert ended.code > 0
    assert "longer than" in ended.cause or "SIG" in ended.cause


async def test_one_that_was_created_by_a_process_that_died_is_started_by_the_next(where):
    wanted = where.wanted("echo $A", env={"A": "there"})
    await where.place.create(wanted)
    where.restart()
    with pytest.raises(Rejected, match="create it again"):
        await where.place.start(where.name)
    await where.place.create(wanted)
    await where.place.start(where.name)
    assert await where.all_lines() == [b"there"]
    where.restart()
    await where.place.start(where.name)
    assert await where.place.wait(where.name) == Ended(code=0)


async def test_a_cluster_that_is_away_for_a_moment_loses_nothing(where):
    await where.started("for n in $(seq 20); do echo $n; sleep 0.05; done")
    lines = where.place.lines(where.name)
    found = [(await anext(lines)).text]
    await where.server.restart(0.2)
    found += [each.text async for each in lines]
    assert found == [b"%d" % n for n in range(1, 21)]
