"""One contract for every store: what a method has returned from is there after the process is not."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.cost import Charge
from paas_runner.job.lifecycle import TRANSITIONS, apply
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.job.use import Use
from paas_runner.store import StoreError
from paas_runner.store.database import StoreInUseError
from paas_runner.store.snapshot import accounts
from paas_runner.store.sqlite import SqliteStore
from tests.support.records import FAILURE, HOST, NOW, job, job_in
from tests.support.stores import ALWAYS, STORES, charges_in, close_store, open_to_write, place_of

DAY = timedelta(days=1)


def charge(job_id=1, *, days=1, **changes):
    known = {"tenant": "acme", "host": "app_1", "flavor": "M", "since": NOW, "price": 1 / 3}
    key = JobKey("abc123xyz", job_id)
    return Charge(**{"key": key, "until": NOW + days * DAY, **known, **changes})


@pytest.fixture(params=STORES)
async def reopen(request, tmp_path):
    """Open the store, again and again: the same records each time."""
    place = place_of(request, tmp_path)
    opened = []

    async def again():
        if opened:
            await close_store(opened.pop())
        opened.append(await open_to_write(place))
        return opened[0]

    again.ledger = lambda: charges_in(place)
    yield again
    await close_store(opened.pop())


async def test_a_saved_job_is_there_after_reopening(reopen):
    store = await reopen()
    first, second = job(1), job(2)
    await store.save(first)
    await store.save(second)
    await store.save(apply(second, ev.ProvisionIntended(), NOW))
    assert list(await (await reopen()).jobs()) == [first, apply(second, ev.ProvisionIntended(), NOW)]


async def test_a_forgotten_job_is_gone_and_forgetting_twice_is_fine(reopen):
    store = await reopen()
    await store.save(job(1))
    for _ in range(2):
        await store.forget(job(1).key, ended=True)
    assert not await (await reopen()).jobs()


async def test_a_host_goes_from_one_record_to_the_other_in_one(reopen):
    store = await reopen()
    left = job_in(Phase.STANDBY)
    await store.save(left)
    await store.add(job(2))
    by = JobKey("abc123xyz", 2)
    taker = apply(job(2), ev.HostReused(host=HOST, doubtful=False), NOW)
    await store.hand_on(apply(left, ev.HostTaken(by=by), NOW), taker)
    store = await reopen()
    assert await store.jobs() == [taker]
    assert left.key in await store.ended()


async def test_that_a_job_is_over_is_remembered_of_those_that_were_ours(reopen):
    store = await reopen()
    await store.forget(job(1).key, ended=True)
    await store.forget(job(2).key, ended=False)
    await store.forget(job(1).key, ended=True)
    assert await (await reopen()).ended() == {job(1).key}


async def test_only_the_last_jobs_are_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("paas_runner.store.jobs.REMEMBERED_JOBS", 3)
    store = await SqliteStore.open(tmp_path / "s.db")
    for job_id in range(1, 8):
        await store.forget(job(job_id).key, ended=True)
    assert {key.job_id for key in await store.ended()} == {5, 6, 7}
    await store.aclose()


async def test_a_source_is_merged_once_and_takes_no_record_away(reopen):
    store = await reopen()
    await store.save(job(1))
    assert await store.merge([job(2), job(3)], source="digest")
    await store.forget(job(3).key, ended=True)
    assert not await store.merge([job(2), job(3)], source="digest")
    assert [known.key.job_id for known in await (await reopen()).jobs()] == [1, 2]


async def test_the_installation_id_is_made_once(reopen):
    first = await (await reopen()).installation()
    assert first
    assert await (await reopen()).installation() == first


async def test_an_id_from_elsewhere_counts_where_the_store_has_none_or_is_told(reopen):
    store = await reopen()
    assert await store.installation(otherwise="from-a-file") == "from-a-file"
    store = await reopen()
    assert await store.installation(otherwise="another-one") == "from-a-file"
    await store.save_installation("the-operators")
    assert await (await reopen()).installation() == "the-operators"


async def test_what_receivers_were_told_and_are_to_get_outlives_the_process(reopen):
    store = await reopen()
    await store.keep_notices(
        "ops", "book", {"n2": "second", "n1": "first \ud800".encode(errors="backslashreplace").decode()}
    )
    await store.keep_notices("chat", "other", {})
    await store.keep_notices("ops", "book 2", {})
    await store.delivered("ops", "n2")
    await store.delivered("ops", "never was")
    store = await reopen()
    kept = await store.notices()
    assert {name: each.book for name, each in kept.items()} == {"ops": "book 2", "chat": "other"}
    assert list(kept["ops"].pending) == ["n1"]
    await store.forget_receivers(["ops", "never was"])
    assert set(await store.notices()) == {"chat"}


async def test_what_is_owed_to_a_coordinator_outlives_the_process(reopen):
    store = await reopen()
    assert await store.owed("abc") == ""
    await store.keep_owed("abc", "[[1, 7]]")
    await store.keep_owed("abc", "[[2, 7]]")
    store = await reopen()
    assert (await store.owed("abc"), await store.owed("other")) == ("[[2, 7]]", "")


async def test_what_was_spent_since_is_the_part_since_then_of_priced_hosts(reopen):
    store = await reopen()
    hour = timedelta(hours=1)
    await store.charge(
        charge(1, since=NOW - 4 * hour, until=NOW - hour, price=2.0, tenant="t"), keep_from=ALWAYS[0]
    )
    await store.charge(charge(2, since=NOW - 2 * hour, until=NOW, price=1.0, tenant="t"), keep_from=ALWAYS[0])
    await store.charge(charge(3, since=NOW - hour, until=NOW, price=None, tenant="t"), keep_from=ALWAYS[0])
    await store.charge(charge(4, since=NOW - 9 * hour, until=NOW - 5 * hour, price=9.0), keep_from=ALWAYS[0])
    [[(runner, tenant), cost]] = (await store.spent(NOW - 2 * hour)).items()
    assert (runner, tenant) == (charge(1).key.runner, "t")
    assert cost == pytest.approx(2.0 + 2.0, rel=1e-6)


async def test_a_charge_comes_back_from_the_ledger_equal(reopen):
    store = await reopen()
    charges = [
        charge(1),
        charge(2, price=None, since=NOW + timedelta(microseconds=1)),
        charge(3, tenant="", flavor="", since=NOW + timedelta(seconds=1), until=NOW + timedelta(seconds=1)),
        charge(4, tenant="ça coûte", since=NOW + timedelta(seconds=2.5)),
        charge(
            5,
            since=NOW + timedelta(seconds=5),
            project="acme/shop",
            job_name="test 1/2",
            memory_bytes=2**33,
            cpus=4.0,
            use=Use(memory_bytes=2**28, cpu_seconds=12.5, wall_seconds=10.0),
        ),
    ]
    for each in charges:
        assert await store.charge(each, keep_from=NOW)
    await reopen()
    assert list(reopen.ledger()) == charges


async def test_the_first_end_of_a_host_stays_in_the_ledger(reopen):
    store = await reopen()
    assert await store.charge(charge(days=1), keep_from=NOW)
    assert not await (await reopen()).charge(charge(days=2), keep_from=NOW)
    assert list(reopen.ledger()) == [charge(days=1)]


async def test_another_host_or_job_or_runner_is_another_charge(reopen):
    store = await reopen()
    for each in (charge(1), charge(2), charge(1, host="app_2"), charge(key=JobKey("other1234", 1))):
        assert await store.charge(each, keep_from=NOW)
    assert len(reopen.ledger()) == 4


async def test_charges_that_ended_long_ago_go_with_the_next_one(reopen):
    store = await reopen()
    for days in range(1, 6):
        await store.charge(charge(days, days=days), keep_from=NOW)
    await store.charge(charge(6, days=6), keep_from=NOW + 3 * DAY)
    assert sorted(each.key.job_id for each in reopen.ledger()) == [3, 4, 5, 6]


async def test_tenants_are_known_from_records_and_from_the_ledger(reopen):
    store = await reopen()
    assert await store.tenants("abc123xyz") == frozenset()
    await store.save(attrs.evolve(job(1), tenant="present"))
    await store.charge(charge(2, tenant="past"), keep_from=NOW)
    await store.charge(charge(3, tenant="past"), keep_from=NOW)
    await store.charge(charge(key=JobKey("other1234", 4), tenant="another runner's"), keep_from=NOW)
    assert await (await reopen()).tenants("abc123xyz") == {"present", "past"}


async def test_merging_records_leaves_the_ledger_alone(reopen):
    store = await reopen()
    await store.charge(charge(), keep_from=NOW)
    await store.merge([job(2)], source="digest")
    assert list(reopen.ledger()) == [charge()]


async def test_no_write_prunes_more_than_a_few_charges(tmp_path, monkeypatch):
    monkeypatch.setattr("paas_runner.store.ledger.PRUNED_AT_ONCE", 3)
    store = await SqliteStore.open(tmp_path / "s.db")
    for number in range(1, 6):
        await store.charge(charge(number), keep_from=NOW)
    left = []
    for number in range(6, 9):
        await store.charge(charge(number, days=9), keep_from=NOW + 2 * DAY)
        left.append(len(accounts(tmp_path / "s.db", *ALWAYS).charges))
    await store.aclose()
    assert left == [5 - 3 + 1, 2, 3]


async def test_half_a_character_in_a_name_hurts_no_other_writer(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await asyncio.gather(store.charge(charge(tenant="half \ud83d"), keep_from=NOW), store.save(job(1)))
    assert await store.tenants("abc123xyz") == {"", "half \\ud83d"}
    await store.aclose()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.GONE])
async def test_a_record_of_any_phase_comes_back_equal(reopen, phase):
    record = job_in(phase, failure=FAILURE, attempts=3, trouble="ça n'a pas marché", canceling_since=NOW)
    assert TRANSITIONS[phase]
    store = await reopen()
    await store.save(record)
    assert list(await (await reopen()).jobs()) == [record]


async def test_many_writers_share_one_commit(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await asyncio.gather(*(store.save(job(number)) for number in range(1, 201)))
    assert len(await store.jobs()) == 200
    await store.aclose()


async def test_store_and_companions_are_private(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.save(job(1))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    await store.aclose()
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}


async def test_a_second_process_is_refused_with_the_first_ones_number(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    with pytest.raises(StoreInUseError, match=str(os.getpid())):
        await SqliteStore.open(tmp_path / "s.db")
    await store.aclose()
    await (await SqliteStore.open(tmp_path / "s.db")).aclose()


async def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    path = tmp_path / "s.db"
    path.write_text("my shopping list, " * 100)
    with pytest.raises(StoreError, match=r"s\.db"):
        await SqliteStore.open(path)
    assert path.read_text().startswith("my shopping list")


async def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "s.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        await SqliteStore.open(path)


async def test_a_damaged_record_is_named_without_its_content(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.save(job(1))
    await store.aclose()
    db = sqlite3.connect(tmp_path / "s.db")
    db.execute("UPDATE job SET record = replace(record, '\"timeout\":', '\"timeoot\":')")
    db.commit()
    db.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    with pytest.raises(StoreError, match="abc123xyz/1") as caught:
        await store.jobs()
    assert "job-token" not in str(caught.value)
    await store.aclose()


async def test_a_store_that_turned_read_only_refuses_clearly(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store._database.transaction(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreError, match="readonly"):
        await store.save(job(1))
    await store.aclose()


async def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(StoreError, match="No such file"):
        await SqliteStore.open(tmp_path / "missing" / "s.db")


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    script = (
        "import asyncio, sys, pathlib\n"
        "from paas_runner.store.sqlite import SqliteStore\n"
        "from tests.support.records import job\n"
        "async def main():\n"
        "    store = await SqliteStore.open(pathlib.Path(sys.argv[1]))\n"
        "    for number in range(1, 100000):\n"
        "        await store.save(job(number))\n"
        "        print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "s.db")], stdout=subprocess.PIPE, text=True, cwd=root
    ) as writer:
        acknowledged = 0
        while acknowledged < 50:
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged

    async def survivors():
        store = await SqliteStore.open(tmp_path / "s.db")
        found = {known.key.job_id for known in await store.jobs()}
        await store.aclose()
        return found

    assert set(range(1, acknowledged + 1)) <= asyncio.run(survivors())


async def test_fields_of_a_newer_version_are_ignored_and_missing_ones_take_their_defaults():
    from paas_runner.store.records import from_record, to_record

    record = dict(to_record(job_in(Phase.RUNNING)))
    record["invented later"] = {"x": 1}
    del record["host_intended"]
    assert from_record(record) == attrs.evolve(job_in(Phase.RUNNING), host_intended=False)
