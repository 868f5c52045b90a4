"""The control socket, over real sockets: one line asks, lines answer, and nobody else may listen."""

import asyncio
import json
import os
import socket
import stat

import pytest
from structlog.testing import capture_logs

from paas_runner.control import ControlError, ControlServer, NotRunningError, RefusedError, ask, control_path
from paas_runner.control.server import LONGEST_ADDRESS_BYTES
from paas_runner.errors import RunnerError
from paas_runner.logs import redactor
from paas_runner.secret import Secret


async def count(request):
    for number in range(request["to"]):
        yield {"number": number}


async def refuse(_request):
    yield {"number": 0}
    raise RunnerError("not today")


async def break_down(_request):
    raise KeyError("what nobody has thought of")
    yield {}


async def quote(request):
    yield {"said": request["say"]}


async def show(_request):
    yield {"what": object()}


ANSWERS = {"show": show, "count": count, "refuse": refuse, "break down": break_down, "quote": quote}


@pytest.fixture
def path(tmp_path):
    return control_path(tmp_path / "state.json")


@pytest.fixture
async def server(path):
    async with ControlServer(path, ANSWERS) as server:
        yield server


async def asked(path, request, **more):
    return await asyncio.to_thread(lambda: list(ask(path, request, **more)))


async def raw(path, line):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    if not line.endswith(b"\n"):
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return [json.loads(line) for line in answer.splitlines()]


async def test_the_parts_of_an_answer_come_in_their_order(path, server):
    assert await asked(path, {"ask": "count", "to": 3}) == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert await asked(path, {"ask": "count", "to": 0}) == []


async def test_an_answer_ends_with_done_or_with_an_error(path, server):
    assert await raw(path, b'{"ask": "count", "to": 1}\n') == [{"number": 0}, {"done": True}]
    assert await raw(path, b'{"ask": "refuse"}\n') == [{"number": 0}, {"error": "not today"}]


async def test_what_the_service_refuses_is_an_error_with_its_words(path, server):
    with pytest.raises(RefusedError, match=r"^not today$"):
        await asked(path, {"ask": "refuse"})


async def test_an_unknown_question_is_answered_with_the_known_ones(path, server):
    with pytest.raises(
        RefusedError, match='no question "sing"; it knows: break down, count, quote, refuse, show'
    ):
        await asked(path, {"ask": "sing"})


async def test_a_bug_in_an_answer_ends_neither_the_service_nor_the_conversation(path, server):
    with pytest.raises(RefusedError, match="unexpected error"):
        await asked(path, {"ask": "break down"})
    with pytest.raises(ControlError):
        await asked(path, {"ask": "show"})
    assert await asked(path, {"ask": "count", "to": 1}) == [{"number": 0}]


@pytest.mark.parametrize(
    "line",
    [b"hello\n", b"[1]\n", b"\n", b"", b'{"ask": "count"', b"x" * 200_000 + b"\n", b"[" * 60_000 + b"\n"],
)
async def test_what_is_no_question_is_told_so(path, server, line):
    [answer] = await raw(path, line)
    assert answer == {"error": 'a question is one line with a JSON object: {"ask": ...}'}


async def test_nobody_waits_for_ever_for_a_question(path, server, monkeypatch):
    monkeypatch.setattr("paas_runner.control.server.REQUEST_WITHIN_SECONDS", 0.05)
    reader, writer = await asyncio.open_unix_connection(path)
    assert b"nothing was asked within 0.05 seconds" in await reader.read()
    writer.close()


async def test_who_goes_away_in_the_middle_disturbs_nobody(path, server):
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"ask": "count", "to": 100000}\n')
    writer.transport.abort()
    assert await asked(path, {"ask": "count", "to": 1}) == [{"number": 0}]


async def test_only_the_services_own_user_may_open_the_socket(path, server):
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_socket_of_a_killed_service_is_replaced(path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with pytest.raises(NotRunningError, match="the service is not running"):
        await asked(path, {"ask": "count", "to": 1})
    async with ControlServer(path, ANSWERS):
        assert await asked(path, {"ask": "count", "to": 1}) == [{"number": 0}]


async def test_a_file_of_another_kind_is_left_alone_and_the_service_does_without(path):
    path.write_text("precious")
    with capture_logs() as logs:
        async with ControlServer(path, ANSWERS):
            pass
    assert path.read_text() == "precious"
    assert [event["reason"] for event in logs] == ["Address already in use"]


async def test_after_the_end_nothing_is_left_and_who_asks_is_told(path):
    async with ControlServer(path, ANSWERS):
        pass
    assert not path.exists()
    with pytest.raises(NotRunningError, match=r"state\.control\.sock: the service is not running"):
        await asked(path, {"ask": "count", "to": 1})


async def test_an_answer_under_way_comes_to_its_end_when_the_service_stops(path):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request):
        begun.set()
        yield {"part": 1}
        await go_on.wait()
        yield {"part": 2}

    server = await ControlServer(path, {"slow": slow}).__aenter__()
    asking = asyncio.ensure_future(asked(path, {"ask": "slow"}))
    await begun.wait()
    stopping = asyncio.ensure_future(server.__aexit__(None, None, None))
    while path.exists():
        await asyncio.sleep(0)
    go_on.set()
    assert await asking == [{"part": 1}, {"part": 2}]
    await stopping


async def test_an_answer_without_end_is_cut_off_at_the_stop(path, monkeypatch):
    monkeypatch.setattr("paas_runner.control.server.ANSWERS_END_WITHIN_SECONDS", 0.05)

    begun = asyncio.Event()

    async def endless(_request):
        begun.set()
        yield {"part": 1}
        await asyncio.Event().wait()

    async with ControlServer(path, {"endless": endless}):
        asking = asyncio.ensure_future(asked(path, {"ask": "endless"}))
        await begun.wait()
    with pytest.raises(NotRunningError, match="stopped before it had answered"):
        await asking


async def test_a_service_that_hangs_is_not_waited_for_for_ever(path):
    given_up = asyncio.Event()

    async def hang(_request):
        await given_up.wait()
        yield {}

    async with ControlServer(path, {"hang": hang}):
        with pytest.raises(ControlError, match=r"has not answered for 0\.05 seconds: is it suspended\?"):
            await asked(path, {"ask": "hang"}, timeout=0.05)
        given_up.set()


async def test_a_path_longer_than_an_address_works_all_the_same(tmp_path):
    folder = tmp_path / ("long " * 20) / ("longer " * 20)
    folder.mkdir(parents=True)
    path = control_path(folder / "state.json")
    assert len(os.fsencode(path)) > 2 * LONGEST_ADDRESS_BYTES
    async with ControlServer(path, ANSWERS):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asked(path, {"ask": "count", "to": 1}) == [{"number": 0}]
    assert not path.exists()
    with pytest.raises(NotRunningError):
        await asked(path, {"ask": "count", "to": 1})


async def test_a_name_longer_than_an_address_is_an_error_in_the_log_and_in_the_command(tmp_path):
    path = control_path(tmp_path / f"{'n' * 120}.json")
    with capture_logs() as logs:
        async with ControlServer(path, ANSWERS):
            pass
    assert [event["log_level"] for event in logs] == ["error"]
    with pytest.raises(ControlError, match=r"control\.sock: the service cannot be asked"):
        await asked(path, {"ask": "count", "to": 1})


async def test_no_registered_secret_leaves_the_service(path, server):
    redactor.add([Secret("control-socket-canary")])
    [answer] = await asked(path, {"ask": "quote", "say": "it is control-socket-canary"})
    assert answer == {"said": "it is [secret]"}


async def test_half_a_character_arrives_as_it_is(path, server):
    assert await asked(path, {"ask": "quote", "say": "half \ud83d"}) == [{"said": "half \ud83d"}]


async def test_nothing_wakes_up_while_nobody_asks(path, server):
    before = asyncio.all_tasks()
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before
    assert not [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]
