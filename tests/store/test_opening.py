"""A store on a server is waited for at a start, and says in words what is missing."""

import asyncio
import socket
import sys

import pytest
from structlog.testing import capture_logs

from paas_runner.database_url import database_url
from paas_runner.errors import Exit
from paas_runner.store import StoreUnreachableError, opening
from paas_runner.store.opening import MissingLibraryError, open_patiently, open_store
from tests.support.missing_packages import take_away


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(opening, "SECONDS_BETWEEN_TRIES", 0.05)


@pytest.fixture
def place():
    """A port on which nobody listens."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.setblocking(False)
        yield place


@pytest.fixture
def nowhere(place):
    return database_url(f"postgresql://paas:canary@127.0.0.1:{place.getsockname()[1]}/paas")


async def test_a_database_that_never_answers_is_given_up_with_one_line(nowhere):
    with capture_logs() as logs, pytest.raises(StoreUnreachableError, match="Connection refused") as given_up:
        await open_patiently(nowhere, asyncio.Event())
    assert given_up.value.exit_code is Exit.STATE
    [line] = [each for each in logs if each["event"] == "store_awaited"]
    assert line["seconds"] == 0.5
    assert "canary" not in f"{line} {given_up.value}"


async def test_a_stop_ends_the_waiting(nowhere):
    stopping = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stopping.set)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(StoreUnreachableError):
        await open_patiently(nowhere, stopping)
    assert asyncio.get_running_loop().time() - begun < 0.4


async def test_a_database_that_comes_up_meanwhile_is_used(place, database, monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 20.0)
    there = int(str(database).rpartition(":")[2].partition("/")[0])
    url = database_url(database.url.reveal().replace(f":{there}/", f":{place.getsockname()[1]}/"))
    waiting = asyncio.create_task(open_patiently(url, asyncio.Event()))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    through = []

    async def forward(reader, writer):
        through.append(asyncio.current_task())
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", there)
        await asyncio.gather(_pumped(reader, there_writer), _pumped(there_reader, writer))

    forwarding = await asyncio.start_server(forward, sock=place)
    store = await waiting
    assert await store.installation()
    await store.aclose()
    forwarding.close()
    await asyncio.gather(*through)


async def _pumped(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
    await writer.wait_closed()


async def test_without_the_library_below_it_one_line_says_what_to_install(nowhere, monkeypatch):
    take_away(monkeypatch, "psycopg", "paas_runner.store.postgres")

    class NoLibrary:
        def find_spec(self, name, *_):
            if name == "psycopg":
                raise ImportError("no pq wrapper available.\nAttempts made:\n- canary")

    monkeypatch.delitem(sys.modules, "psycopg")
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(MissingLibraryError, match="libpq5") as missing:
        await open_store(nowhere)
    assert "canary" not in str(missing.value)
