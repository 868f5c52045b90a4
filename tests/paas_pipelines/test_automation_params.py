"""Params are checked before a run is there; what people write never becomes text of a script."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.definitions.parameter import (
    MOST_BYTES,
    Parameter,
    ParameterKind,
    ParametersError,
    checked,
    from_text,
    reasons,
    to_text,
)
from paas_pipelines.runs.engine import ScheduleRefusedError
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.tasks.place import order_of
from paas_pipelines.tasks.script import rendered

from tests.paas_pipelines.worlds.engine_by_hand import ByHand, defined
from tests.support import local_tasks
from tests.support.often import often
from tests.support.pipeline_pages import visiting
from tests.support.served_pipelines import authorization, definition, served, serving

NUMBER, BOOLEAN = ParameterKind.NUMBER, ParameterKind.BOOLEAN
LIST, OBJECT = ParameterKind.LIST, ParameterKind.OBJECT
PARAMS = (
    Parameter(name="ref", required=True, pattern="refs/.*"),
    Parameter(name="stage", choices=("test", "live"), default="test"),
    Parameter(name="count", kind=NUMBER, least=1, most=3, default=2),
    Parameter(name="level", kind=NUMBER, choices=(1, 2.5), default=1),
    Parameter(name="dry", kind=BOOLEAN, default=False),
    Parameter(name="names", kind=LIST, least=1, default=["a"]),
    Parameter(name="more", kind=OBJECT, default={}),
    Parameter(name="note", least=2, most=3, default="abc"),
)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, 'param "ref": is required'),
        ({"ref": None}, 'param "ref": is required'),
        ({"ref": "x"}, 'param "ref": does not match refs/.*'),
        ({"ref": "refs/a\nb"}, 'param "ref": does not match refs/.*'),
        ({"ref": 1}, 'param "ref": must be a string'),
        ({"stage": "moon"}, 'param "stage": must be one of test, live'),
        ({"count": "1"}, 'param "count": must be a number'),
        ({"count": True}, 'param "count": must be a number'),
        ({"count": float("nan")}, 'param "count": must be a number'),
        ({"count": 0.5}, 'param "count": must be at least 1'),
        ({"count": 4}, 'param "count": must be at most 3'),
        ({"level": 2}, 'param "level": must be one of 1, 2.5'),
        ({"level": True}, 'param "level": must be a number'),
        ({"note": "a\0b"}, 'param "note": must have no zero byte'),
        ({"level": 10**400}, 'param "level": must be a number'),
        ({"dry": 1}, 'param "dry": must be a boolean'),
        ({"names": "a"}, 'param "names": must be a list'),
        ({"names": []}, 'param "names": must have at least 1 items'),
        ({"more": []}, 'param "more": must be an object'),
        ({"note": "a"}, 'param "note": must have at least 2 characters'),
        ({"note": "abcd"}, 'param "note": must have at most 3 characters'),
        ({"nix": 1}, 'param "nix": is unknown'),
        ({"ref": 1, "x": 2}, 'param "x": is unknown; param "ref": must be a string'),
        ({"more": {"a": "x" * MOST_BYTES}}, f"the params have more than {MOST_BYTES} bytes"),
    ],
)
def test_a_wrong_start_has_every_reason(given, wrong):
    values = given if "ref" in given or given == {} else {"ref": "refs/x", **given}
    with pytest.raises(ParametersError) as error:
        checked(PARAMS, values)
    assert str(error.value) == wrong


def test_defaults_are_filled_in_and_numbers_are_of_any_kind():
    found = checked(PARAMS, {"ref": "refs/x", "level": 1.0})
    assert found == {
        "ref": "refs/x",
        "stage": "test",
        "count": 2,
        "level": 1.0,
        "dry": False,
        "names": ["a"],
        "more": {},
        "note": "abc",
    }


VALUES: dict[ParameterKind, st.SearchStrategy[Any]] = {
    ParameterKind.STRING: st.text(),
    NUMBER: st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    BOOLEAN: st.booleans(),
    LIST: st.lists(st.text() | st.integers(), max_size=4),
    OBJECT: st.dictionaries(st.text(), st.text() | st.integers(), max_size=3),
}


@settings(max_examples=often(50), deadline=None)
@given(st.sampled_from(ParameterKind).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_what_a_form_shows_is_read_back_the_same(pair):
    kind, value = pair
    parameter = Parameter(name="x", kind=kind)
    assert list(reasons(parameter, value)) == []
    assert from_text(parameter, to_text(parameter, value)) == value


def test_the_engine_refuses_wrong_params_and_keeps_no_run():
    by_hand = ByHand(defined(params=PARAMS, params_are_checked=True))
    with pytest.raises(ScheduleRefusedError) as error:
        by_hand.engine.schedule("p", variables={"count": 9, "x": 1})
    assert str(error.value) == (
        'param "x": is unknown; param "ref": is required; param "count": must be at most 3'
    )
    assert len(by_hand.engine.book) == 0
    run = by_hand.engine.schedule("p", variables={"ref": "refs/x"})
    assert run.variables["stage"] == "test"
    assert run.params == PARAMS


def test_params_of_start_forms_alone_refuse_nothing():
    by_hand = ByHand(defined(params=PARAMS))
    assert by_hand.engine.schedule("p", variables={"x": 1}).variables == {"x": 1}


async def test_the_api_answers_with_the_reasons(tmp_path):
    release = definition(params=PARAMS, params_are_checked=True)
    async with serving(served(tmp_path, release)) as world:
        body = {"pipeline": "release_it", "variables": {"ref": "x"}}
        answer = await world.client.post("/pipelines/schedule", json=body, headers=authorization())
        assert answer.status_code == 400
        wrong = 'Error scheduling pipeline: param "ref": does not match refs/.*'
        assert answer.json() == {"error": wrong}


def order(*script, args=None, told=None, params=PARAMS, **variables):
    task = Task(name="t", definition=TaskDefinition(script=script, args=args or {}))
    run = Run(
        run_id="1",
        number=1,
        pipeline="p",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        variables=variables,
        tasks=(task,),
        params=params,
    )
    return order_of(run, task, told)


def test_templates_see_what_is_safe_and_nothing_else():
    given = {"ref": "refs/$(x)", "stage": "live", "count": 3, "dry": True, "names": ["`x`"]}
    script = rendered(order("{{ .stage }} {{ .count }} {{ .dry }} {{ .args.a }}", args={"a": "b"}, **given))
    assert script.entries == ("live 3 true b",)
    for entry in ("{{ .ref }}", "{{ .names }}", '{{ index . "ref" }}x', "{{ . }}"):
        found = rendered(order(entry, **given))
        assert "$(x)" not in str(found)
        assert "`x`" not in str(found)
    told = {"failedTaskName": "a", "failedTaskExitCode": 1, "failedTaskStdout": "$(x)"}
    assert rendered(order("{{ .failedTaskName }} {{ .failedTaskExitCode }}", told=told)).entries == ("a 1",)
    assert rendered(order("{{ .failedTaskStdout }}", told=told)).error


def test_scripts_have_params_and_args_as_variables():
    given = {"ref": "a\0b", "count": 1.5, "dry": False, "names": ["ä", 1], "more": {"a": None}}
    env = order("x", args={"account": "project1", "n": 1}, **given).env
    assert {key: value for key, value in env.items() if key.startswith(("PARAM_", "ARG_"))} == {
        "PARAM_REF": "ab",
        "PARAM_COUNT": "1.5",
        "PARAM_DRY": "false",
        "PARAM_NAMES": '["ä", 1]',
        "PARAM_MORE": '{"a": null}',
        "ARG_ACCOUNT": "project1",
        "ARG_N": "1",
    }


async def test_a_param_is_no_command_whatever_it_says(tmp_path):
    hostile = "$(touch made); touch made #`touch made`\n' \" {{ .x }}"
    where = local_tasks.place(tmp_path)
    given = order('printf "%s" "$PARAM_REF"; printf "%s" $PARAM_REF >/dev/null', ref=hostile)
    ended = await local_tasks.ran(where, given)
    assert (ended.end.exit_code, ended.out) == (0, hostile)
    assert not (tmp_path / "made").exists()


FORM = definition(params=PARAMS, params_are_checked=True)


async def test_the_start_form_has_fields_of_all_types(tmp_path):
    async with visiting(served(tmp_path, FORM)) as visited:
        page = await visited.read("/pipeline?name=release_it")
        assert [each["name"] for each in page.all("textarea")] == ["v.names", "v.more"]
        assert [each["name"] for each in page.all("select")] == ["v.stage", "v.level"]
        answer = await visited.submit(
            "/pipeline?name=release_it",
            **{"v.ref": "refs/x", "v.names": "a b\r\nc", "v.more": '{"a": [1]}', "v.level": "2.5"},
        )
        assert answer.status_code == 303, answer.text
        run = visited.world.engine.book.run(answer.headers["location"].removeprefix("run?id="))
        assert run.variables == {
            "ref": "refs/x",
            "stage": "test",
            "count": 2,
            "level": 2.5,
            "dry": False,
            "names": ["a b", "c"],
            "more": {"a": [1]},
            "note": "abc",
        }


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"v.ref": ""}, "A value is needed."),
        ({"v.ref": "x"}, "It does not match refs/.*."),
        ({"v.count": "many"}, "It must be a number."),
        ({"v.count": "7"}, "It must be at most 3."),
        ({"v.stage": "moon"}, "It must be one of test, live."),
        ({"v.more": "[1]"}, "It must be an object of JSON."),
        ({"v.more": "{"}, "It must be an object of JSON."),
    ],
)
async def test_what_is_wrong_in_the_form_stands_at_its_field(tmp_path, changes, wrong):
    async with visiting(served(tmp_path, FORM)) as visited:
        answer = await visited.submit("/pipeline?name=release_it", **{"v.ref": "refs/x", **changes})
        assert answer.status_code == 400
        assert wrong in answer.text
        assert len(visited.world.engine.book) == 0


def test_labels_and_descriptions_are_shown_and_options_are_of_their_type():
    assert from_text(PARAMS[3], "2.5") == 2.5
    with pytest.raises(ValueError, match="must be one of 1"):
        from_text(PARAMS[3], "3")
    assert json.loads(to_text(PARAMS[6], {"a": 1})) == {"a": 1}
