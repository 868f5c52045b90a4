"""Pure parts: result lines by bytes, ids, exit codes, and events that cannot happen."""

import json
import random
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_workflows.definition.workflow_file import ExitMode
from paas_workflows.machine.context import as_json
from paas_workflows.machine.deciding import exit_code, next_intent
from paas_workflows.machine.execution import Began, Concluded, Ended, Removed, Started, Status, apply, begun
from paas_workflows.machine.ids import DIGITS, Ids, container_name
from paas_workflows.machine.result import MOST_LINE_BYTES, MalformedResultError, StepResult, result_in

from tests.paas_workflows.executions import file_of

FILE = file_of("name: n\nworkflows: {run: {start: {action: a}}}\nactions: {a: {image: i}}\n")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | WORDS
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(WORDS, SCALARS, max_size=2)


@settings(max_examples=40)
@given(
    st.sampled_from(ExitMode), st.integers(-(10**6), 10**6), WORDS, st.dictionaries(WORDS, VALUES, max_size=3)
)
def test_a_result_is_read_as_it_was_meant(mode, rc, message, context):
    """K044, K046, K047, K051."""
    found = {"result": mode, "rc": rc, "message": message, "context": context, "more": 1}
    line = b"KOG:" + json.dumps(found).encode()
    wanted = StepResult(result=mode, rc=rc, message=message, context=context)
    assert result_in(line) == result_in(line + b" \r") == wanted
    assert result_in(b"KOG:[{}," + line[4:] + b"]") == wanted


@given(st.binary(max_size=80))
def test_any_bytes_are_a_line_a_result_or_malformed(rest):
    if not rest.startswith(b"KOG:"):
        assert result_in(rest) is None
    try:
        result_in(b"KOG:" + rest)
    except MalformedResultError:
        return


@pytest.mark.parametrize(
    ("line", "result", "rc", "message"),
    [
        ('{"result":"success"}', "success", 0, ""),
        ('{"result":"abort"}', "abort", 1, ""),
        ('{"result":"failure","rc":null,"message":null,"context":null}', "failure", 1, ""),
        ('{"result":"odd","message":"m","rc":4}', "failure", 4, 'the unknown result "odd": m'),
    ],
)
def test_what_is_absent_has_its_default(line, result, rc, message):
    """K047, K084."""
    assert result_in(b"KOG:" + line.encode()) == StepResult(result=ExitMode(result), rc=rc, message=message)


@pytest.mark.parametrize(
    "rest",
    [
        *(
            "",
            "{",
            "1",
            "[]",
            "{}",
            '{"result":1}',
            "[" * 2000,
            '{"result":"success"}' + " " * MOST_LINE_BYTES,
        ),
        *('{"result":"success","rc":"0"}', '{"result":"success","rc":true}'),
        *('{"result":"success","context":[]}', '{"result":"success","message":{}}'),
    ],
)
def test_what_is_no_result_is_malformed(rest):
    """K084."""
    with pytest.raises(MalformedResultError):
        result_in(b"KOG:" + rest.encode())


@pytest.mark.parametrize("line", ["kog:{}", " KOG:{}", "xKOG:{}", "KOG", ""])
def test_the_prefix_is_exact_and_at_the_beginning(line):
    """K046."""
    assert result_in(line.encode()) is None


@given(st.lists(st.integers(0, 5), min_size=2, max_size=50), st.integers())
def test_ids_sort_by_when_they_were_made(pauses, seed):
    """K042."""
    moments = iter([NOW + timedelta(milliseconds=sum(pauses[:n])) for n in range(len(pauses))])
    ids = Ids(lambda: next(moments), random.Random(seed))
    found = [ids.fresh() for _ in pauses]
    assert found == sorted(set(found))
    assert all(len(each) == 12 and set(each) <= set(DIGITS) for each in found)


def test_an_id_of_a_later_process_is_greater():
    first, second = (
        Ids(lambda moment=moment: moment, random.Random(1)).fresh()
        for moment in (NOW, NOW + timedelta(milliseconds=1))
    )
    assert first < second


def test_the_name_of_a_container_is_one_in_kubernetes_too():
    assert len(container_name("2" * 12, "z" * 12)) <= 63


@pytest.mark.parametrize(
    ("status", "rc", "code"),
    [
        ("success", 0, 0),
        ("success", 9, 0),
        ("failure", 0, 1),
        ("failure", 7, 7),
        ("failure", 124, 124),
        ("failure", 125, 1),
        ("failure", -1, 1),
        ("abort", 0, 15),
        ("abort", 7, 7),
        ("abort", 125, 15),
        ("timeout", 7, 124),
        ("running", 0, 2),
    ],
)
def test_the_exit_code_is_that_of_the_status(status, rc, code):
    """K072, K073, K079."""
    end = attrs.evolve(begun(id="x", file=FILE, moment=NOW), status=Status(status), rc=rc)
    assert exit_code(end) == code
    assert exit_code(end, use_job_rc=False) == (2 if status == "running" else 0)


@pytest.mark.parametrize(
    "event",
    [Started(), Removed(), Concluded(moment=NOW, notify_status="", notify_message="")],
)
def test_what_cannot_happen_is_a_bug(event):
    with pytest.raises(ValueError, match="cannot happen to x now"):
        apply(begun(id="x", file=FILE, moment=NOW), event)


def test_nothing_is_left_to_do_after_the_end():
    execution = begun(id="x", file=FILE, moment=NOW)
    ended = Ended(result=StepResult(result=ExitMode.SUCCESS, rc=0), moment=NOW)
    concluded = Concluded(moment=NOW, notify_status="", notify_message="")
    for event in (Began(run_id="y", moment=NOW), Started(), ended, Removed(), concluded):
        assert next_intent(execution) is not None
        execution = apply(execution, event)
    assert next_intent(execution) is None
    assert execution.status == "success"


def test_half_a_character_in_a_context_is_in_nobodys_way():
    assert as_json({"a": "\ud83d"}) == b'{"a":"?"}'
