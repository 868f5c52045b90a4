"""Lines of a container: each once, wherever the stream is cut."""

import re

import pytest

from paas_runner.errors import Rejected, Transient
from paas_runner.kubernetes.answers import AbsentError
from paas_runner.kubernetes.logs import lines
from tests.support.scripted_cluster import Pieces, ScriptedCluster, cluster_of, status

LINES = [
    b"2026-01-01T00:00:01.5Z one",
    b"2026-01-01T00:00:01.5Z one",
    b"2026-01-01T00:00:01.700000001Z two words",
    b"2026-01-01T02:00:02.100000000+02:00 ",
    b"2026-01-01T00:00:02.1Z four",
]
TEXTS = [b"one", b"one", b"two words", b"", b"four"]
WHOLE = b"".join(line + b"\n" for line in LINES)
RUNNING, ENDED = {"running": {}}, {"terminated": {"exitCode": 0}}


def pod(state, phase="Running"):
    return {"status": {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]}}


def since(asked) -> bytes:
    """What a cluster tells from `sinceTime` on, a second's beginning."""
    start = asked.params.get("sinceTime", "")
    second = {1: LINES, 2: LINES[3:]}[int(start[17:19]) if start else 1]
    return b"".join(line + b"\n" for line in second)


async def read(scripted: ScriptedCluster, **options) -> list[bytes]:
    async with cluster_of(scripted) as cluster:
        return [line async for line in lines(cluster, "p", "c", pause=0.0, **options)]


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_a_stream_that_is_cut_at_any_byte_costs_no_line_and_repeats_none(whole):
    for cut in range(len(WHOLE) + 1):
        replies = iter([lambda asked, cut=cut: Pieces([since(asked)[:cut]], whole=whole), since])
        states = iter([RUNNING, ENDED])

        def answer(asked, replies=replies, states=states):
            if asked.path.endswith("/log"):
                return next(replies)(asked)
            return pod(next(states))

        assert await read(ScriptedCluster(answer)) == TEXTS, cut


async def test_a_container_that_has_not_started_is_waited_for():
    states = iter([{}, {"waiting": {"reason": "ContainerCreating"}}, RUNNING, ENDED])
    scripted = ScriptedCluster(lambda asked: since(asked) if "log" in asked.path else pod(next(states)))
    assert await read(scripted) == TEXTS


async def test_a_stream_that_ends_while_the_container_runs_is_opened_again():
    states = iter([RUNNING, RUNNING, ENDED])
    scripted = ScriptedCluster(lambda asked: since(asked) if "log" in asked.path else pod(next(states)))
    assert await read(scripted) == TEXTS
    asked = [each.params.get("sinceTime") for each in scripted.asked if "log" in each.path]
    assert asked == [None, "2026-01-01T00:00:02Z", "2026-01-01T00:00:02Z"]


async def test_a_stream_that_goes_silent_is_opened_again():
    replies = iter([Pieces([WHOLE], whole=False, held=True)])
    states = iter([RUNNING, ENDED])
    scripted = ScriptedCluster(
        lambda asked: next(replies, since(asked)) if "log" in asked.path else pod(next(states))
    )
    assert await read(scripted, silence=0.05) == TEXTS


async def test_a_last_line_without_an_end_is_told_once():
    states = iter([RUNNING, ENDED])
    scripted = ScriptedCluster(lambda asked: since(asked)[:-1] if "log" in asked.path else pod(next(states)))
    assert await read(scripted) == TEXTS


async def test_a_line_without_a_moment_is_told_as_it_is():
    scripted = ScriptedCluster(lambda asked: b"unable to retrieve\n" if "log" in asked.path else pod(ENDED))
    assert await read(scripted) == [b"unable to retrieve"]


async def test_a_container_that_never_was_has_no_lines():
    waiting = status(400, "BadRequest", 'container "c" in pod "p" is waiting to start')
    scripted = ScriptedCluster(lambda asked: waiting if "log" in asked.path else pod({}, "Failed"))
    assert await read(scripted) == []


async def test_a_pod_that_is_gone_and_a_log_that_may_not_be_read_are_errors():
    with pytest.raises(AbsentError):
        await read(ScriptedCluster(lambda _: status(404, "NotFound", "gone")))
    forbidden = status(403, "Forbidden", "pods/log")
    with pytest.raises(Rejected, match="pods/log"):
        await read(ScriptedCluster(lambda asked: forbidden if "log" in asked.path else pod(ENDED)))


async def test_a_log_that_is_lost_with_its_node_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr("paas_runner.kubernetes.logs.LONGEST_PAUSE_SECONDS", 0.0)
    lost = status(500, "InternalError", "dial tcp: no route to host")
    scripted = ScriptedCluster(lambda asked: lost if "log" in asked.path else pod(ENDED))
    with pytest.raises(Transient, match=re.escape("no route to host")):
        await read(scripted)
