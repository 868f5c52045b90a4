"""Stores copied from one place to another: all or nothing, verified, and only while nobody works on them."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Phase
from paas_runner.job.use import Use
from paas_runner.store import StoreError
from paas_runner.store.copying import NotEmptyError, StateFile, copy, source, target
from paas_runner.store.copying.content import TABLES
from paas_runner.store.database import StoreInUseError
from paas_runner.store.snapshot import accounts, histories, pending_notices, take
from paas_runner.store.sqlite import SqliteStore
from tests.support.records import HOST, NOW, job

HOUR = timedelta(hours=1)
SEEN = job(7).history[0]


async def fill(store):
    """Something of everything, of most more than one."""
    await store.save_installation("installation-1")
    await store.save_runners(
        [KnownRunner(key="abc123xyz", tokens=("abc123xyz",), name="one", url="https://g")]
    )
    for number in range(1, 4):
        await store.save(job(number))
    await store.save(attrs.evolve(job(9), tenant="acmé", phase=Phase.RUNNING))
    for number in range(20, 25):
        await store.forget(job(number).key, ended=True, history=(SEEN,))
    gone = Charge(
        key=job(20).key,
        tenant="acmé",
        host=HOST.ref,
        flavor="M",
        since=NOW - HOUR,
        until=NOW,
        price=0.1 + 0.2,
        project="group/project",
        job_name="\udc80 half a character",
        memory_bytes=4096,
        cpus=1.5,
        use=Use(memory_bytes=1, cpu_seconds=2.5, wall_seconds=3.0),
    )
    await store.charge(gone, keep_from=NOW - HOUR)
    await store.charge(attrs.evolve(gone, host="app_2", price=None, use=None), keep_from=NOW - HOUR)
    await store.keep_notices("pager", "the book", {"1": "one", "2": "two"})


@pytest.fixture
def filled(tmp_path):
    async def fill_it():
        store = await SqliteStore.open(tmp_path / "filled.db")
        await fill(store)
        await store.aclose()

    asyncio.run(fill_it())
    return tmp_path / "filled.db"


def copied(old, new, progress=lambda *_: None):
    with source(old) as content, target(new) as made:
        return copy(content, made, progress)


def everything(path):
    with closing(sqlite3.connect(path)) as db:
        return {table.name: sorted(map(repr, db.execute(f"SELECT * FROM {table.name}"))) for table in TABLES}


def test_a_copy_has_everything(filled, tmp_path):
    told = []
    done = copied(filled, tmp_path / "copy.db", lambda *sign: told.append(sign))
    assert everything(tmp_path / "copy.db") == everything(filled)
    assert done.rows == {
        "fact": 2,
        "job": 4,
        "ended": 5,
        "history": 5,
        "charge": 2,
        "notice": 2,
        "notice_book": 1,
    }
    assert not done.left
    assert not done.was_there
    assert ("job", 0, 4) in told
    assert ("charge, read back", 0, 2) in told
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {
        name + suffix for name in ("filled.db", "copy.db") for suffix in ("", ".lock")
    }


def test_a_service_goes_on_from_the_copy(filled, tmp_path):
    copied(filled, tmp_path / "copy.db")
    before, after = take(filled), take(tmp_path / "copy.db")
    assert before == after
    assert accounts(filled, NOW - HOUR, NOW) == accounts(tmp_path / "copy.db", NOW - HOUR, NOW)
    assert histories(tmp_path / "copy.db", 20) == {job(20).key: (SEEN,)}
    assert pending_notices(tmp_path / "copy.db")["pager"].pending == {"1": "one", "2": "two"}

    async def go_on():
        store = await SqliteStore.open(tmp_path / "copy.db")
        await store.forget(job(1).key, ended=True)
        await store.aclose()

    asyncio.run(go_on())
    assert job(1).key in take(tmp_path / "copy.db").ended


def test_a_second_time_it_is_there_already(filled, tmp_path):
    copied(filled, tmp_path / "copy.db")
    assert copied(filled, tmp_path / "copy.db").was_there


@pytest.mark.parametrize("name", ["copy.db", "copy.json"])
def test_a_target_with_other_records_is_refused_and_stays(filled, tmp_path, name):
    place = tmp_path / name if name.endswith("db") else StateFile(path=tmp_path / name, names={})
    copied(filled, place)
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute("DELETE FROM job WHERE job_id = 1")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(NotEmptyError, match="is not empty, and no copy of"):
        copied(filled, place)
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("in_use", ["filled.db", "copy.db"])
async def test_a_store_on_which_a_service_works_is_refused(tmp_path, in_use):
    stores = {name: await SqliteStore.open(tmp_path / name) for name in ("filled.db", "copy.db")}
    for name, store in stores.items():
        if name != in_use:
            await store.aclose()
    with pytest.raises(StoreInUseError, match="another paas-runner works on this state"):
        copied(tmp_path / "filled.db", tmp_path / "copy.db")
    await stores[in_use].aclose()


async def test_no_service_starts_on_a_store_that_is_being_copied(filled, tmp_path):
    with source(filled), target(tmp_path / "copy.db"):
        for name in ("filled.db", "copy.db"):
            with pytest.raises(StoreInUseError):
                await SqliteStore.open(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "at"), [*(("copy.db", at) for at in range(0, 14, 3)), *(("copy.json", at) for at in range(4))]
)
def test_what_was_interrupted_leaves_nothing_and_may_be_done_again(filled, tmp_path, name, at):
    """`at` is the sign of progress at which it ends; a process that is killed leaves no more than that."""
    place = tmp_path / name if name.endswith("db") else StateFile(path=tmp_path / name, names={})
    signs = iter(range(100))

    def end(*_):
        if next(signs) == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copied(filled, place, end)
    assert not (tmp_path / name).exists()
    assert not copied(filled, place).was_there


def test_what_a_killed_copy_left_is_written_anew(filled, tmp_path):
    (tmp_path / "copy.db.copying").write_bytes(b"half of it")
    (tmp_path / "copy.db.copying-wal").write_bytes(b"and more")
    copied(filled, tmp_path / "copy.db")
    assert everything(tmp_path / "copy.db") == everything(filled)
    assert not [*tmp_path.glob("*copying*")]


def test_the_journal_of_a_file_that_is_gone_is_not_made_that_of_the_copy(filled, tmp_path):
    (tmp_path / "copy.db-wal").write_bytes(b"of another file")
    with pytest.raises(StoreError, match=r"copy\.db: is missing, but its -wal is there"):
        copied(filled, tmp_path / "copy.db")
    assert (tmp_path / "copy.db-wal").read_bytes() == b"of another file"


def test_a_copy_that_reads_back_otherwise_is_not_kept(filled, tmp_path):
    class Losing:
        """A target that loses a row."""

        def __init__(self, target):
            self._target = target

        def __getattr__(self, name):
            return getattr(self._target, name)

        def put(self, table, rows):
            self._target.put(table, [*rows][:-1] if table.name == "charge" else rows)

    def copy_it():
        with source(filled) as old, target(tmp_path / "copy.db") as new:
            copy(old, Losing(new), lambda *_: None)

    with pytest.raises(StoreError, match=r"what is read back is not what .* has \(charge\)"):
        copy_it()
    assert not (tmp_path / "copy.db").exists()


def test_a_source_that_is_not_there_is_told(tmp_path):
    for place in (tmp_path / "a.db", StateFile(path=tmp_path / "a.json", names={})):
        with pytest.raises(StoreError, match=r"a\.(db: there is no store|json: there is no such file)"):
            copied(place, tmp_path / "copy.db")
    assert not (tmp_path / "a.db.lock").exists()


def test_a_newer_schema_is_refused_on_both_sides(filled, tmp_path):
    copied(filled, tmp_path / "newer.db")
    with closing(sqlite3.connect(tmp_path / "newer.db")) as db, db:
        db.execute("PRAGMA user_version = 99")
    for old, new in (("filled.db", "newer.db"), ("newer.db", "else.db")):
        with pytest.raises(StoreError, match=r"newer\.db: was written by a newer version"):
            copied(tmp_path / old, tmp_path / new)
    assert not (tmp_path / "else.db").exists()


def test_what_an_older_schema_lacks_is_filled_in(filled, tmp_path):
    """A store in which no service was started since the upgrade."""
    with closing(sqlite3.connect(filled)) as db, db:
        db.executescript(
            "DROP TABLE notice; DROP TABLE notice_book; ALTER TABLE charge DROP COLUMN project;"
            "ALTER TABLE charge DROP COLUMN cpus; PRAGMA user_version = 3;"
        )
    done = copied(filled, tmp_path / "copy.db")
    assert (done.rows["charge"], done.rows["notice"]) == (2, 0)
    [one, _] = accounts(tmp_path / "copy.db", NOW - HOUR, NOW).charges
    assert (one.project, one.cpus, one.memory_bytes) == ("", None, 4096)


# --- state files -------------------------------------------------------------------------------------------


def test_a_state_file_takes_the_jobs_and_the_id_and_names_what_it_leaves(filled, tmp_path):
    file = StateFile(path=tmp_path / "jobs.json", names={"abc123xyz": "peer-name"})
    done = copied(filled, file)
    assert done.rows == dict.fromkeys(done.rows, 0) | {"job": 4, "fact": 1}
    assert done.left == {"fact": 1, "ended": 5, "history": 5, "charge": 2, "notice": 2, "notice_book": 1}
    assert (tmp_path / "jobs.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "jobs.json").read_text())["paas_runner"]["installation"] == "installation-1"
    copied(file, tmp_path / "back.db")
    assert take(tmp_path / "back.db").jobs == take(filled).jobs
    assert take(tmp_path / "back.db").installation == "installation-1"


def test_a_damaged_record_is_named_and_nothing_of_it_shown(filled, tmp_path):
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute("UPDATE job SET record = '{\"canary' WHERE job_id = 1")
    with pytest.raises(StoreError, match="the record of job abc123xyz/1 is damaged") as refused:
        copied(filled, StateFile(path=tmp_path / "jobs.json", names={}))
    assert "canary" not in str(refused.value)
    assert not Path(tmp_path / "jobs.json").exists()
