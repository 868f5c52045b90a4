"""prunner's `data.json` becomes runs, all or none, once; the file and the logs stay (P108, P110 to P112)."""

import json
from datetime import UTC, datetime

import pytest
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.run import Run, Task, TaskStatus
from paas_pipelines.store.disk import DiskJournal
from paas_pipelines.store.imported import runs_in
from paas_pipelines.store.logs import Stream
from paas_pipelines.store.opening import opened

from paas_runner.store.protocol import StoreError

ID = "52a5cb7f-0b04-4d5d-9d58-4f3d3a8d3d4a"
OTHER = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
CREATED = datetime(2025, 8, 15, 10, 0, 0, 123456, tzinfo=UTC)
FINISHED = {
    "ID": ID,
    "Pipeline": "release_it",
    "Completed": True,
    "Created": "2025-08-15T12:00:00.123456789+02:00",
    "Start": "2025-08-15T10:00:01Z",
    "End": "2025-08-15T10:00:02.5Z",
    "Variables": {"Tag": "v1", "Nested": {"Key": None, "List": [1, 2.5]}},
    "User": "ada",
    "Tasks": [
        {
            "Name": "build",
            "Script": ["make"],
            "AllowFailure": True,
            "Status": "done",
            "Start": "2025-08-15T10:00:01Z",
            "End": "2025-08-15T10:00:02Z",
            "ExitCode": -1,
        },
        {
            "Name": "deploy",
            "DependsOn": ["build"],
            "Status": "error",
            "ExitCode": 3,
            "Errored": True,
            "Error": "exit status 3",
        },
        {"Name": "later", "Status": "skipped", "Skipped": True},
    ],
}


@pytest.fixture
def imported(tmp_path):
    def read(*jobs, **whole):
        path = tmp_path / "data.json"
        path.write_text(json.dumps({"Jobs": list(jobs), **whole}))
        return runs_in(path)

    return read


def test_a_finished_run_is_taken_over_with_all_that_prunner_keeps_of_it(imported):
    [run] = imported(FINISHED)
    assert run == Run(
        run_id=ID,
        number=1,
        pipeline="release_it",
        created=CREATED,
        variables={"Tag": "v1", "Nested": {"Key": None, "List": [1, 2.5]}},
        user="ada",
        start=datetime(2025, 8, 15, 10, 0, 1, tzinfo=UTC),
        end=datetime(2025, 8, 15, 10, 0, 2, 500_000, tzinfo=UTC),
        completed=True,
        first_failed="deploy",
        last_error="exit status 3",
        tasks=(
            Task(
                name="build",
                definition=TaskDefinition(script=("make",), allow_failure=True),
                status=TaskStatus.DONE,
                start=datetime(2025, 8, 15, 10, 0, 1, tzinfo=UTC),
                end=datetime(2025, 8, 15, 10, 0, 2, tzinfo=UTC),
            ),
            Task(
                name="deploy",
                definition=TaskDefinition(depends_on=("build",)),
                status=TaskStatus.ERROR,
                exit_code=3,
                errored=True,
                error="exit status 3",
            ),
            Task(name="later", status=TaskStatus.SKIPPED),
        ),
    )


@pytest.mark.parametrize("start", [None, "2025-08-15T10:00:01Z"])
def test_what_waited_or_ran_is_canceled_and_never_resumed(imported, start):
    """P111, and the last two rows of §3.1."""
    tasks = [{"Name": name, "Status": name} for name in ("waiting", "running", "done", "canceled", "error")]
    [run] = imported(
        {"ID": ID, "Pipeline": "p", "Created": "2025-08-15T10:00:00Z", "Start": start, "Tasks": tasks}
    )
    assert (run.canceled, run.completed, run.end, run.last_error) == (True, False, None, "")
    assert (run.start is not None) == (start is not None)
    assert not run.waiting
    assert not run.active
    assert [task.status for task in run.tasks] == ["canceled", "canceled", "done", "canceled", "error"]


def test_absent_and_null_keys_have_gos_zero_values_and_their_case_does_not_matter(imported):
    """P112: what prunner does not keep is not there."""
    [run] = imported(
        {
            "id": ID.upper(),
            "PIPELINE": "p",
            "created": "2025-08-15T10:00:00.123456Z",
            "Completed": True,
            "Start": "0001-01-01T00:00:00Z",
            "Tasks": None,
            "Invented": {"later": 1},
        },
        Invented=1,
    )
    assert run == Run(run_id=ID, number=1, pipeline="p", created=CREATED, completed=True)


def test_they_come_in_the_order_of_their_creation(imported):
    later = {**FINISHED, "ID": OTHER, "Created": "2025-08-15T12:00:01+03:00"}
    assert [(run.run_id, run.number) for run in imported(FINISHED, later)] == [(OTHER, 1), (ID, 2)]


def test_without_jobs_there_are_none(imported, tmp_path):
    assert list(imported()) == []
    (tmp_path / "data.json").write_text("{}")
    assert list(runs_in(tmp_path / "data.json")) == []
    assert list(runs_in(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ID": "s3cret"}, "jobs[1].id is not"),
        ({"Created": None}, "jobs[1].created is missing"),
        ({"Created": "s3cret"}, "jobs[1].created is not"),
        ({"Completed": "s3cret"}, "jobs[1].completed is not"),
        ({"Variables": ["s3cret"]}, "jobs[1].variables is not"),
        ({"Tasks": [{"Name": "a", "Status": "s3cret"}]}, "jobs[1].tasks[0].status is not"),
        ({"Tasks": [{"Name": "a"}, {"Name": "b", "ExitCode": "s3cret"}]}, "jobs[1].tasks[1].exitcode is not"),
        ({"Tasks": ["s3cret"]}, "jobs[1].tasks[0]"),
        ({"ID": ID}, "two jobs with one ID"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(imported, change, told):
    with pytest.raises(StoreError) as refused:
        imported(FINISHED, {**FINISHED, "ID": OTHER, **change})
    assert told in str(refused.value)
    assert "Nothing was imported" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no JSON (line 1)"),
        ('{"Jobs":\n [', "is no JSON (line 2)"),
        ("[]", "no object at its top"),
        ('{"Jobs": "many"}', "jobs[0]"),
        ("[" * 100_000, "is no JSON"),
        ("\xff", "is no JSON"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, told):
    (tmp_path / "data.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError) as refused:
        runs_in(tmp_path / "data.json")
    assert told in str(refused.value)
    (tmp_path / "data.json").unlink()
    (tmp_path / "data.json").mkdir()
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        runs_in(tmp_path / "data.json")


# --- the first start in a folder of prunner's ---------------------------------------------------------------


async def ids(folder):
    async with opened(folder, most_log_bytes=1000) as store:
        return [run.run_id for run in store.runs.runs()]


async def test_a_first_start_takes_it_over_once_and_leaves_file_and_logs_as_they_are(tmp_path):
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"Jobs": [FINISHED]}))
    before = path.read_bytes()
    (tmp_path / "logs" / ID).mkdir(parents=True)
    (tmp_path / "logs" / ID / "build-stdout.log").write_bytes(b"said")
    async with opened(tmp_path, most_log_bytes=1000) as store:
        [run] = store.runs.runs()
        assert store.logs.read(run.run_id, "build", Stream.STDOUT) == b"said"
        store.runs.remove(run.run_id)
    assert await ids(tmp_path) == []
    assert path.read_bytes() == before


async def test_a_file_that_comes_later_is_not_looked_at(tmp_path):
    assert await ids(tmp_path) == []
    (tmp_path / "data.json").write_text("broken")
    assert await ids(tmp_path) == []


async def test_a_broken_file_stops_the_start_and_the_next_one_tries_again(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps({"Jobs": [FINISHED, {}]}))
    with pytest.raises(StoreError, match="missing"):
        await ids(tmp_path)
    (tmp_path / "data.json").write_text(json.dumps({"Jobs": [FINISHED]}))
    assert await ids(tmp_path) == [ID]


async def test_a_start_that_died_before_it_was_done_is_made_up_for(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps({"Jobs": [FINISHED]}))
    await (await DiskJournal.open(tmp_path)).aclose()
    assert await ids(tmp_path) == [ID]
