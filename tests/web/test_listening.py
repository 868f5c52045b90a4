"""Listening on `listen_address`: where, who is answered, and what a client may take."""

import asyncio
import os
import socket
import stat
from contextlib import asynccontextmanager, suppress

import attrs
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from paas_runner.addresses import AddressError, ListenPlace, listen_place
from paas_runner.web import listening
from paas_runner.web.listening import ListenError, WebServer
from paas_runner.web.site import Bounded
from tests.support.requirements import missing_here


async def quick(_: Request) -> Response:
    return PlainTextResponse("ok")


async def broken(_: Request) -> Response:
    raise RuntimeError("secret-canary")


async def whence(request: Request) -> Response:
    return PlainTextResponse(request.client.host)


async def large(_: Request) -> Response:
    return PlainTextResponse("x" * 20_000_000)


APP = Bounded(
    Starlette(
        routes=[Route("/", quick), Route("/broken", broken), Route("/large", large), Route("/whence", whence)]
    )
)


@asynccontextmanager
async def opened(text="127.0.0.1:0"):
    server = await WebServer.open(listen_place(text), APP)
    try:
        yield server
    finally:
        await server.aclose()


async def asked(server, path="/", **headers):
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://{server.address}{path}", headers=headers)


def port(server):
    return int(server.address.rpartition(":")[2])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (":9253", ListenPlace(port=9253)),
        ("0.0.0.0:80", ListenPlace(host="0.0.0.0", port=80)),
        ("localhost", ListenPlace(host="localhost")),
        ("localhost:", ListenPlace(host="localhost")),
        ("[::1]:9252", ListenPlace(host="::1")),
        ("[::1]", ListenPlace(host="::1")),
        ("127.0.0.1:0", ListenPlace(host="127.0.0.1", port=0)),
        ("unix:/run/paas-runner/metrics.sock", ListenPlace(path="/run/paas-runner/metrics.sock")),
    ],
)
def test_an_address_to_listen_on_is_written_as_gitlab_runner_has_it_or_is_a_socket(text, place):
    assert listen_place(text) == place
    assert listen_place(str(place)) == place


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9252", "a port has a colon before it: :9252"),
        ("http://localhost:9252", "no scheme"),
        ("::1", "needs brackets"),
        (":70000", "no number from 1 to 65535"),
        ("unix:relative", "absolute path"),
        ("a b:1", "no name of a host"),
        ("1.2.3:9252", "looks like an IPv4 address"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text, why):
    with pytest.raises(AddressError, match=why):
        listen_place(text)


async def test_on_loopback_only_names_of_this_machine_are_answered():
    async with opened() as server:
        assert (await asked(server)).text == "ok"
        assert (await asked(server, Host=f"localhost:{port(server)}")).status_code == 200
        assert (await asked(server, Host="rebound.example")).status_code == 421


async def test_on_all_interfaces_any_name_is():
    async with opened(":0") as server, httpx.AsyncClient(trust_env=False) as client:
        for host in ("127.0.0.1", "localhost"):
            answer = await client.get(
                f"http://{host}:{port(server)}/", headers={"Host": "runner.example:9252"}
            )
            assert answer.text == "ok"


async def test_nobody_chooses_the_address_under_which_wrong_tokens_are_counted():
    async with opened() as server:
        assert (await asked(server, "/whence", **{"X-Forwarded-For": "192.0.2.7"})).text == "127.0.0.1"


async def test_a_unix_socket_is_for_its_group_and_goes_with_the_server(tmp_path):
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))  # and never removed
    async with opened(f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get("http://runner/")).text == "ok"
        with pytest.raises(ListenError, match="another program listens there"):
            await WebServer.open(listen_place(f"unix:{path}"), APP)
    assert not path.exists()


async def test_whoever_listens_on_a_socket_and_takes_nobody_is_not_waited_for(tmp_path):
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as slow, socket.socket(socket.AF_UNIX) as first:
        slow.bind(str(path))
        slow.listen(0)
        first.connect(str(path))
        with pytest.raises(ListenError, match="another program listens there"):
            await WebServer.open(listen_place(f"unix:{path}"), APP)


async def test_a_folder_with_the_setgid_bit_gives_the_socket_its_group(tmp_path):
    group = next((each for each in os.getgroups() if each != os.getegid()), None)
    if group is None and os.geteuid() != 0:
        missing_here("a second group is needed")
    folder = tmp_path / "site"
    folder.mkdir()
    os.chown(folder, -1, group or 12345)
    folder.chmod(0o2750)
    async with opened(f"unix:{folder}/web.sock"):
        assert (folder / "web.sock").stat().st_gid == (group or 12345)


async def test_an_address_that_cannot_be_had_is_told_with_what_to_do(tmp_path):
    async with opened() as server:
        with pytest.raises(ListenError, match=r"in use \(another program .*; choose another address"):
            await WebServer.open(listen_place(server.address), APP)
    with pytest.raises(ListenError, match="no interface of this machine"):
        await WebServer.open(listen_place("192.0.2.1:0"), APP)
    with pytest.raises(ListenError, match="folder of the socket does not exist"):
        await WebServer.open(listen_place(f"unix:{tmp_path}/absent/web.sock"), APP)


async def test_an_error_nobody_foresaw_is_one_answer_and_tells_nothing_of_itself():
    async with opened() as server:
        answer = await asked(server, "/broken")
        assert answer.status_code == 500
        assert "canary" not in answer.text
        assert (await asked(server)).text == "ok"


@pytest.fixture
def short(monkeypatch):
    bounds = attrs.evolve(
        listening.BOUNDS, connections=3, head_seconds=0.2, answer_seconds=0.2, idle_seconds=0
    )
    monkeypatch.setattr(listening, "BOUNDS", bounds)


async def dropped(reader):
    """Whether the other side ends the connection soon."""
    try:
        async with asyncio.timeout(5):
            while await reader.read(65536):
                pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_who_does_not_come_to_the_end_of_a_request_is_sent_away(begun):
    async with opened() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
        writer.write(begun)
        assert await dropped(reader)
        writer.close()


@pytest.mark.usefixtures("short")
async def test_who_does_not_read_the_answer_is_sent_away():
    async with opened() as server:
        with socket.create_connection(("127.0.0.1", port(server))) as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(0.6)
            assert taken_by(client) < 20_000_000


def taken_by(client):
    taken = 0
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 20):
            taken += len(piece)
    return taken


@pytest.mark.usefixtures("short")
async def test_whoever_connects_and_asks_nothing_keeps_nobody_out():
    async with opened() as server:
        held = [await asyncio.open_connection("127.0.0.1", port(server)) for _ in range(20)]
        assert (await asked(server)).text == "ok"
        for reader, writer in held:
            assert await dropped(reader)
            writer.close()
        assert (await asked(server)).text == "ok"


@pytest.mark.usefixtures("short")
async def test_more_connections_than_are_answered_at_a_time_are_closed_as_they_come(monkeypatch):
    monkeypatch.setattr(listening, "BOUNDS", attrs.evolve(listening.BOUNDS, answer_seconds=5, idle_seconds=5))
    async with opened() as server:
        busy = [socket.create_connection(("127.0.0.1", port(server))) for _ in range(3)]
        for each in busy:
            each.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
        assert await dropped(reader)
        for each in [*busy, writer]:
            each.close()
        await asyncio.sleep(0.05)
        assert (await asked(server)).text == "ok"
