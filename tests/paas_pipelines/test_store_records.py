"""A run is the same after the disk, also where another version wrote it; errors name, and show nothing."""

import gc
import json
import time
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.definitions.definition import Definition, OnError, Restart, TaskDefinition
from paas_pipelines.runs import stepping
from paas_pipelines.runs.run import Run, Task, TaskEnd, TaskStatus, scheduled
from paas_pipelines.store.codec import records, to_text

from paas_runner.store.protocol import StoreError

NOW = datetime(2026, 11, 29, 12, 0, 0, 123456, tzinfo=UTC)
DEFINITION = Definition(
    name="release_it",
    source="pipelines.yml",
    start_delay=timedelta(seconds=1.5),
    env={"A": "b"},
    continue_running_tasks_after_failure=True,
    on_error=OnError(script=("echo {{ .failedTaskName }}",), env={"C": "d"}),
    tasks={
        "build": TaskDefinition(script=("make", "make test"), restart=Restart.RETRY),
        "deploy": TaskDefinition(
            script=("x",), depends_on=("build",), runner="big", image="debian", timeout=timedelta(hours=1)
        ),
    },
)


def new(**changes):
    run = scheduled(
        DEFINITION,
        run_id="a-1",
        number=7,
        now=NOW,
        variables={"text": "é\ud800", "list": [1, 2.5, None, {"deep": True}]},
        user="ada",
        partition="tenant",
    )
    return attrs.evolve(run, **changes)


def back(text):
    [run] = records({"a-1": text}, Run, "run")
    return run


def test_a_run_is_the_same_in_every_state():
    run = new()
    seen = [run, stepping.canceled(run, NOW), run := stepping.started(run, NOW)]
    seen.append(run := stepping.task_ended(run, "build", TaskEnd(), NOW))
    seen.append(run := stepping.submitted(run, "deploy", 4711))
    seen.append(run := stepping.task_ended(run, "deploy", TaskEnd(exit_code=3), NOW))
    seen.append(stepping.task_ended(run, "on_error", TaskEnd(error="no template"), NOW))
    assert [back(to_text(each)) for each in seen] == seen


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), VALUES), st.text(), st.text())
def test_whatever_a_client_has_sent_comes_back(variables, user, partition):
    run = new(variables=variables, user=user, partition=partition)
    text = to_text(run)
    assert text.isascii()
    assert back(text) == run


def test_what_has_its_default_is_not_written():
    plain = Run(run_id="a", number=1, pipeline="p", created=NOW, tasks=(Task(name="t"),))
    assert json.loads(to_text(plain)) == {
        "run_id": "a",
        "number": 1,
        "pipeline": "p",
        "created": NOW.isoformat(),
        "tasks": [{"name": "t"}],
    }


def test_a_newer_versions_fields_are_ignored_and_an_older_ones_are_completed():
    record = json.loads(to_text(new()))
    record["invented"] = {"later": 1}
    record["tasks"][0]["invented"] = 1
    record["tasks"][0]["definition"]["invented"] = 1
    assert back(json.dumps(record)) == new()
    del record["env"], record["on_error"], record["goes_on_after_failure"]
    assert back(json.dumps(record)) == new(env={}, on_error=None, goes_on_after_failure=False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda record: record.pop("pipeline"), "pipeline"),
        (lambda record: record.update(created="s3cret"), "created"),
        (lambda record: record.update(tasks="s3cret"), "tasks"),
        (lambda record: record["tasks"][1].update(status="s3cret"), "status"),
        (lambda record: record["tasks"][1].pop("name"), "name"),
        (lambda record: record.update(number="s3cret"), "number"),
    ],
)
def test_a_broken_record_is_named_with_what_is_wrong_and_never_a_value(change, told):
    record = json.loads(to_text(new()))
    change(record)
    with pytest.raises(StoreError, match=f"run a-1.*{told}") as refused:
        back(json.dumps(record))
    assert "s3cret" not in str(refused.value)
    with pytest.raises(StoreError, match="run a-1: is no JSON"):
        back(json.dumps(record)[:-1])


def test_ten_thousand_runs_are_read_in_a_moment():
    """About two seconds of a busy core; the bound is for a machine with much else to do."""
    run = new()
    for name in ("build", "deploy"):
        run = run.with_task(attrs.evolve(run.task(name), status=TaskStatus.DONE, start=NOW, end=NOW))
    texts = {str(number): to_text(attrs.evolve(run, number=number)) for number in range(10_000)}
    gc.collect()
    start = time.process_time()
    assert sum(1 for _ in records(texts, Run, "run")) == len(texts)
    assert time.process_time() - start < 8
