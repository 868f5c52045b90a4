"""What happened to a job is remembered longer than the job, but not for ever."""

import json

import attrs

from paas_runner.job import events as ev
from paas_runner.job.lifecycle import apply
from paas_runner.job.tracked import Entry, Phase
from paas_runner.job.wording import describe_entry, describe_history
from paas_runner.store.database import Database
from paas_runner.store.records import dumps, history_as_text, history_from_text, loads
from paas_runner.store.schema import Schema
from paas_runner.store.snapshot import histories
from paas_runner.store.sqlite import SCHEMA, SqliteStore
from tests.support.records import NOW, job, job_in


def ended(job_id):
    return apply(apply(job(job_id), ev.Checked(), NOW), ev.Ended(), NOW)


async def test_the_history_of_a_forgotten_job_can_be_read_while_the_service_has_the_store_open(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    gone = ended(1)
    await store.save(gone)
    await store.forget(gone.key, ended=True, history=gone.history)
    assert histories(tmp_path / "s.db", 1) == {gone.key: gone.history}
    assert histories(tmp_path / "s.db", 2) == {}
    await store.aclose()


async def test_only_the_last_histories_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("paas_runner.store.jobs.REMEMBERED_HISTORIES", 3)
    store = await SqliteStore.open(tmp_path / "s.db")
    for job_id in range(1, 8):
        await store.forget(ended(job_id).key, ended=True, history=ended(job_id).history)
    await store.aclose()
    assert [bool(histories(tmp_path / "s.db", job_id)) for job_id in range(1, 8)] == [False] * 4 + [True] * 3


async def test_a_store_of_version_2_keeps_its_records_and_remembers_histories_from_now_on(tmp_path):
    path = tmp_path / "s.db"
    version_2 = Schema(tuple(each for each in SCHEMA.migrations if each.number <= 2))
    store = SqliteStore(await Database.open(path, version_2))
    await store.installation()
    await store.save(job(1))
    await store.aclose()
    assert histories(path, 1) == {}
    store = await SqliteStore.open(path)
    assert await store.jobs() == [job(1)]
    await store.forget(job(1).key, ended=True, history=job(1).history)
    await store.aclose()
    assert histories(path, 1) == {job(1).key: job(1).history}


def test_a_record_of_an_earlier_version_has_no_history_and_a_new_one_takes_it_along():
    record = apply(job(1), ev.Checked(), NOW)
    assert loads(dumps(record)).history == record.history
    assert record.history[0] == Entry(at=NOW, phase=Phase.ACQUIRED, event="acquired", facts={"job_name": ""})
    before = dumps(record).replace('"history"', '"something else"')
    assert loads(before).history == ()


WORDS = {"at": NOW.isoformat(), "phase": "acquired", "what": "it was got", "why": "by luck"}


def of(*entries):
    return history_from_text(json.dumps(entries))


def test_sentences_of_an_earlier_version_are_read_shown_and_written_as_they_were():
    again = {**WORDS, "times": 3, "last": NOW.isoformat(), "until": NOW.isoformat()}
    bare = {key: value for key, value in WORDS.items() if key != "why"}
    history = of(WORDS, again, bare)
    assert [(line.what, line.why, line.times) for line in describe_history(history)] == [
        ("it was got", "by luck", 1),
        ("it was got", "by luck", 3),
        ("it was got", "", 1),
    ]
    assert json.loads(history_as_text(history)) == [WORDS, again, bare]


def test_an_event_counts_where_it_is_known_and_the_sentences_beside_it_do_not():
    known, unknown = of({**WORDS, "event": "ended"}, {**WORDS, "event": "of a later version", "facts": {}})
    assert (known.event, known.facts) == ("ended", {})
    assert describe_history([unknown])[0].what == "it was got"


def test_the_sentences_of_an_event_need_not_be_there():
    [entry] = of({"at": NOW.isoformat(), "phase": "gone", "event": "decommissioned", "facts": {"seconds": 2}})
    assert describe_entry(entry).why == "after 2.0 s"


def test_a_stored_entry_can_be_read_by_the_version_before_events():
    """It needs `at`, `phase` and `what`, takes `why`, and ignores what it does not know."""
    [*_, entry] = json.loads(history_as_text(job_in(Phase.RUNNING).history))
    assert entry == {
        "at": NOW.isoformat(),
        "phase": "running",
        "what": "the job has begun",
        "why": "its log has its first bytes, after 0.0 s",
        "event": "life_seen",
        "facts": {"seconds": 0.0},
    }


def test_new_events_are_never_counted_among_the_sentences_of_an_earlier_version():
    record = attrs.evolve(job(1), history=of({**WORDS, "what": "the coordinator still wants the job"}))
    assert [entry.times for entry in apply(record, ev.Checked(), NOW).history] == [1, 1]
