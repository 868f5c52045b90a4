"""A server that is killed, restarted, replaced, frozen, full, or out of reach: told soon, and got over.

What is written is written once, in its order, whatever answer was lost.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import attrs
import pytest

from paas_runner.database_url import database_url
from paas_runner.job import events as ev
from paas_runner.job.lease import Word
from paas_runner.job.lifecycle import apply
from paas_runner.store import StoreError, StoreUnreachableError
from paas_runner.store.opening import open_store
from paas_runner.store.postgres.examining import examine
from paas_runner.store.snapshot import past_jobs
from tests.store.test_store import charge
from tests.support.postgres.line import Line
from tests.support.postgres.server import PASSWORD
from tests.support.records import NOW, job
from tests.support.requirements import missing_here, need
from tests.support.stores import charges_in, close_store, open_to_write

pytestmark = pytest.mark.long

SOON = 7.5
"""Seconds within which a write has failed, on a busy machine: five, and some."""


@pytest.fixture
def server(start_postgres):
    return start_postgres()


@pytest.fixture
async def store(server):
    opened = await open_to_write(server.url())
    yield opened
    server.ready()
    await close_store(opened)


@pytest.fixture
async def line(postgres):
    async with Line(postgres.port) as begun:
        yield begun


@pytest.fixture
async def far_store(line, database):
    opened = await open_to_write(over(line, database))
    yield opened
    line.silent = line.answers_lost = False
    await close_store(opened)


def over(line, place):
    url = place.url.reveal()
    host = url.partition("@")[2].partition("/")[0]
    return database_url(url.replace(host, f"127.0.0.1:{line.port}"))


async def refused(call, match="."):
    """Seconds until it was."""
    begun = time.monotonic()
    with pytest.raises(StoreError, match=match) as caught:
        await call
    assert PASSWORD not in str(caught.value)
    return time.monotonic() - begun


async def written(call):
    """As a job loop does it: until it works."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except StoreUnreachableError:
                await asyncio.sleep(0.2)


async def written_for_ever(store):
    while True:
        await store.save(job(2))


async def ids(store):
    return [kept.key.job_id for kept in await store.jobs()]


async def test_a_restart_of_the_server_between_two_writes_is_not_noticed(server, store):
    await store.save(job(1))
    server.restart()
    await store.save(job(2))
    await store.leases.confirm("abc123xyz")
    assert await ids(store) == [1, 2]


async def test_a_server_that_was_killed_is_missed_at_once_and_found_again(server, store):
    await store.save(job(1))
    server.send(signal.SIGKILL)
    calls = [refused(store.save(job(number)), "refused") for number in range(2, 30)]
    calls += [refused(store.charge(charge(1), keep_from=NOW)), refused(store.tell(Word.CHANGED))]
    assert max(await asyncio.gather(*calls)) < SOON
    server.start()
    await written(lambda: store.save(job(30)))
    assert await ids(store) == [1, 30]


async def test_what_was_acknowledged_is_there_after_the_server_was_killed(server, store):
    acknowledged = set()

    async def write(number):
        await store.save(job(number))
        acknowledged.add(number)

    writes = [asyncio.create_task(write(number)) for number in range(1, 2001)]
    while len(acknowledged) < 50:
        await asyncio.sleep(0.001)
    server.send(signal.SIGKILL)
    await asyncio.gather(*writes, return_exceptions=True)
    server.start()
    assert acknowledged <= set(await written(lambda: ids(store)))


async def test_a_server_that_stands_still_is_told_within_seconds_and_comes_with_nothing_afterwards(
    server, store
):
    begun = apply(job(1), ev.ProvisionIntended(), NOW)
    await store.save(job(1))
    server.send(signal.SIGSTOP)
    asked = (
        refused(store.leases.confirm("abc123xyz")),
        refused(store.save(begun), "does not answer in time"),
    )
    assert max(await asyncio.gather(*asked)) < SOON
    assert await refused(store.save(begun)) < SOON
    server.send(signal.SIGCONT)
    await written(lambda: store.forget(job(1).key, ended=True))
    await asyncio.sleep(0.5)
    assert await ids(store) == []


async def test_a_server_that_takes_no_writes_any_more_is_said_to_be_a_replica(server, store):
    await store.save(job(1))
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    async with asyncio.timeout(20):
        await refused(written_for_ever(store), "read-only")
    assert await refused(open_store(server.url()), "read-only") < SOON
    server.sql("SET default_transaction_read_only = off", "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    await written(lambda: store.save(job(3)))
    assert 3 in await ids(store)


async def followed(replica, primary):
    """Until all that is written by now is there, the tables, too."""
    [(written_to,)] = primary.sql("SELECT pg_current_wal_lsn()::text")
    async with asyncio.timeout(60):
        while replica.sql(f"SELECT pg_last_wal_replay_lsn() >= '{written_to}'") != [(True,)]:
            await asyncio.sleep(0.05)


async def test_after_a_fail_over_the_replica_that_was_made_the_primary_is_written_to(server, start_postgres):
    server.sql("ALTER SYSTEM SET synchronous_commit = on")
    replica = start_postgres.replica_of(server)
    hosts = f"127.0.0.1:{replica.port},127.0.0.1:{server.port}"
    place = database_url(f"postgresql://postgres:{PASSWORD}@{hosts}/postgres")
    store = await open_to_write(place)
    await store.save(job(1))
    assert server.sql("SELECT count(*) FROM paas_runner.job") == [(1,)]
    found = await asyncio.to_thread(examine, place.url)
    assert not found.read_only, "commands, too, look at the one that takes records"
    await followed(replica, server)
    server.send(signal.SIGKILL)
    assert await refused(store.save(job(2)), "read-only") < SOON
    replica.sql("SELECT pg_promote()")
    await written(lambda: store.save(job(3)))
    await store.leases.confirm("abc123xyz")
    assert await ids(store) == [1, 3]
    await close_store(store)


@pytest.fixture
def small_disk(server):
    """A folder of the server's on a disk of its own."""
    need("mount", "umount", root=True)
    folder = server.folder / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=False)
    if mounted.returncode:
        missing_here("this container may not mount a tmpfs")
    (folder / "space").mkdir()
    shutil.chown(folder / "space", server.user)
    yield folder
    server.stop()
    subprocess.run(["umount", "--lazy", folder], check=False)


def fill(disk):
    """All of it."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_is_told_and_nothing_is_half_written_and_room_is_all_it_takes(server, small_disk):
    server.sql(f"CREATE TABLESPACE small LOCATION '{small_disk / 'space'}'")
    server.sql("CREATE DATABASE full_one TABLESPACE small")
    store = await open_to_write(server.url("full_one"))
    await store.save(job(1))
    fill(small_disk)
    big = attrs.evolve(job(2), trouble=os.urandom(200_000).hex())
    assert await refused(store.save(big), "No space left on device.*Make room on the server") < SOON
    assert await ids(store) == [1]
    (small_disk / "ballast").unlink()
    await store.save(big)
    assert await ids(store) == [1, 2]
    await close_store(store)


# --- the line ----------------------------------------------------------------------------------------------


async def test_a_line_that_was_cut_while_nothing_happened_costs_no_write(line, far_store):
    await far_store.save(job(1))
    line.cut()
    await far_store.save(job(2))
    assert await ids(far_store) == [1, 2]


async def test_a_commit_whose_answer_was_lost_is_done_once(line, far_store, database):
    await far_store.save(job(1))
    line.answers_lost = True
    await far_store.save(apply(job(1), ev.ProvisionIntended(), NOW))
    line.answers_lost = True
    await far_store.charge(charge(1), keep_from=NOW)
    line.answers_lost = True
    await far_store.forget(job(1).key, ended=True, history=job(1).history)
    line.answers_lost = True
    assert await far_store.merge([job(5)], source="a file") in {True, False}
    assert await ids(far_store) == [5]
    assert [past.key for past in past_jobs(database, most=9)] == [job(1).key]
    assert len(charges_in(database)) == 1
    assert await far_store.ended() == {job(1).key}


async def test_a_partition_without_a_word_is_noticed_within_seconds(line, far_store):
    await far_store.save(job(1))
    line.silent = True
    assert await refused(far_store.save(job(2)), "does not answer in time") < SOON
    assert await refused(far_store.save(job(2))) < SOON
    line.silent = False
    await written(lambda: far_store.save(job(3)))
    assert 3 in await ids(far_store)


async def test_a_write_that_arrives_late_never_goes_over_what_came_after_it(line, far_store, database):
    begun = apply(job(1), ev.ProvisionIntended(), NOW)
    await far_store.save(job(1))
    line.silent = True
    await refused(far_store.save(begun))
    line.silent = False
    await written(lambda: far_store.forget(job(1).key, ended=True))
    await asyncio.sleep(0.5)
    assert await ids(far_store) == []


async def test_whoever_listens_is_told_to_look_after_an_outage(line, far_store, database):
    words = far_store.leases.told()
    async with asyncio.timeout(20):
        assert await anext(words) is Word.ANEW
        line.cut()
        assert await anext(words) is Word.ANEW
        other = await open_to_write(database)
        await other.leases.tell(Word.DRAIN)
        while await anext(words) is not Word.DRAIN:
            pass
    await words.aclose()
    await close_store(other)


async def test_a_server_that_is_not_there_yet_keeps_nobody_who_starts_for_long(server):
    server.stop()
    assert await refused(open_store(server.url()), "refused") < SOON
    unroutable = database_url("postgresql://postgres@127.0.0.1:9,127.0.0.1:10/x")
    assert await refused(open_store(unroutable)) < SOON


async def test_an_encrypted_line_carries_everything_and_a_server_of_another_authority_is_refused(
    server, certificates, tmp_path
):
    files = {}
    for setting, name in (("ssl_cert_file", "server-cert.pem"), ("ssl_key_file", "server-key.pem")):
        shutil.copy(certificates / name, server.folder)
        shutil.chown(server.folder / name, server.user)
        (server.folder / name).chmod(0o600)
        files[setting] = str(server.folder / name)
    server.restart(ssl="on", **files)
    store = await open_to_write(
        server.url(query=f"?sslmode=verify-full&sslrootcert={certificates / 'ca.pem'}")
    )
    [[encrypted]] = await store._database.read("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert encrypted
    words = store.leases.told()
    async with asyncio.timeout(20):
        assert await anext(words) is Word.ANEW
        other = await open_store(server.url(query="?sslmode=require"))
        await asyncio.gather(*(other.leases.tell(Word.RELOAD) for _ in range(20)))
        assert [await anext(words) for _ in range(20)] == [Word.RELOAD] * 20
        await store.save(attrs.evolve(job(1), trouble="long " * 100_000))
        assert await ids(other) == [1]
    await words.aclose()
    shutil.copy(certificates / "cert.pem", tmp_path / "another.pem")
    strange = server.url(query=f"?sslmode=verify-full&sslrootcert={tmp_path / 'another.pem'}")
    await refused(open_store(strange), "certificate verify failed")
    await other.aclose()
    await close_store(store)
