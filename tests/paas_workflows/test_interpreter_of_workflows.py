"""Workflows run: who comes after whom, what each step is given, and how it is cleaned up."""

import json

import pytest
from paas_workflows.machine.deciding import exit_code, job_object, job_result
from structlog.testing import capture_logs

from paas_runner.container import Line, Stream
from tests.paas_workflows.executions import World, path_of
from tests.support.logged_events import events_in
from tests.support.memory_place import MemoryPlace, Program, says, unreachable
from tests.support.site_program import ROOT

EXAMPLE = (ROOT / "workflows" / "examples" / "abort.yaml").read_text()


def one(step="{action: a}", image="image", **more):
    more = "".join(f"{key}: {json.dumps(value)}\n" for key, value in more.items())
    return f"name: one\nworkflows: {{run: {{start: {step}}}}}\nactions: {{a: {{image: {image}}}}}\n{more}"


TWO = """\
name: two
context: {given: 1}
workflows:
  run:
    start: {action: first, success: next}
    next: {action: second}
actions:
  first: {image: first, env: {NAME: own, OTHER: own}}
  second: {image: second, version: 2}
"""


def test_the_example_of_kog_goes_as_its_author_says():
    """K028, K030, K038, K080: step2 lacks TEST, finalize has no action; neither has a container."""
    place = MemoryPlace(**{"quay.io/f5-pwe/auto-result": Program(lines=says(rc=0, message="auto success"))})
    world = World(place, EXAMPLE)
    end = world.run()
    assert path_of(end) == [
        ("start", "success", 0),
        ("step2", "abort", 0),
        ("notify", "success", 0),
        ("finalize", "abort", 0),
    ]
    assert end.results[1].message == (
        "`auto-abort` requires what is not there: the variable TEST, build.product.version in the context"
    )
    assert "`auto-remediatesuccess` is not defined" in end.results[3].message
    assert (end.status, exit_code(end)) == ("abort", 15)
    assert [each.context["step_name"] for each in place.history] == ["start", "notify"]
    assert place.containers == {}
    assert [job["current_step"] for job in world.told] == ["start", "step2", "notify", "finalize", "finalize"]


def test_what_the_first_adds_to_the_context_the_second_has():
    """K039, K041, K043, K050, K069, K074."""
    place = MemoryPlace(
        first=Program(lines=says(context=lambda given: {**given, "made": "é", "log": "theirs"})),
        second=Program(lines=says(message="done")),
    )
    world = World(place, TWO, log={"format": "logfmt"})
    end = world.run()
    first, second = place.history
    assert first.context == {
        "given": 1,
        "task_name": "two",
        "step_name": "start",
        "action_name": "first",
        "correlation_id": end.id,
        "run_id": end.results[0].run_id,
        "log": {"format": "logfmt"},
    }
    assert second.context == {
        **first.context,
        "made": "é",
        "step_name": "next",
        "action_name": "second",
        "run_id": end.results[1].run_id,
    }
    assert end.results[0].run_id < end.results[1].run_id
    assert end.id < end.results[0].run_id
    assert [job["status"] for job in world.told] == ["running", "running", "success"]
    assert job_result(end) == {
        "correlation_id": end.id,
        "task_name": "two",
        "status": "success",
        "message": "done",
        "notify_status": "sent",
        "notify_message": "",
    }
    assert exit_code(end) == 0


def test_a_context_that_is_returned_takes_the_place_of_the_one_before_and_none_keeps_it():
    place = MemoryPlace(first=Program(lines=says(context={"only": 1})), second=Program(lines=says()))
    end = World(place, TWO).run()
    assert end.context == {"only": 1}
    assert "given" not in place.history[1].context


def test_containers_have_image_environment_labels_and_a_bound():
    """K016, K017, K018, K032, K033."""
    place = MemoryPlace(first=Program(lines=says()), second=Program(lines=says()))
    end = World(place, TWO, above={"OTHER": "above"}).run()
    wanted = place.history[0].wanted
    assert wanted.image == "first:latest"
    assert place.history[1].wanted.image == "second:2"
    given = {name: value.reveal() for name, value in wanted.environment.items()}
    assert {name: given[name] for name in ("NAME", "OTHER")} == {"NAME": "own", "OTHER": "above"}
    assert wanted.labels == {
        "paas-runner.workflow": "two",
        "paas-runner.step": "start",
        "paas-runner.action": "first",
        "paas-runner.correlation-id": end.id,
        "paas-runner.run-id": end.results[0].run_id,
    }
    assert wanted.ends_after is None
    place = MemoryPlace(image=Program(lines=says()))
    World(place, one("{action: a, duration: 90s}")).run()
    assert place.history[0].wanted.ends_after.total_seconds() == 150


@pytest.mark.parametrize("mode", ["success", "failure", "abort", "timeout"])
def test_each_exit_mode_goes_to_its_own_target(mode):
    """K027, K051."""
    others = "".join(f"    to_{each}: {{action: b}}\n" for each in ("success", "failure", "abort", "timeout"))
    text = (
        "name: n\nworkflows:\n  run:\n    start: {action: a, success: to_success, failure: to_failure, "
        f"abort: to_abort, timeout: to_timeout}}\n{others}actions: {{a: {{image: a}}, b: {{image: b}}}}\n"
    )
    end = World(MemoryPlace(a=Program(lines=says(mode)), b=Program(lines=says())), text).run()
    assert [each.step for each in end.results] == ["start", f"to_{mode}"]
    assert end.status == mode


def test_a_jump_backwards_ends_by_a_changed_context():
    """K030."""

    def lines(container):
        left = container.context["left"]
        context = {**container.context, "left": left - 1}
        return says("failure" if left == 1 else "success", context=context)(container)

    step = "{action: a, success: start, failure: end}, end: {action: b}"
    end = World(
        MemoryPlace(image=Program(lines=lines), b=Program(lines=says())),
        one(step, context={"left": 3}).replace("actions: {", "actions: {b: {image: b}, "),
    ).run()
    assert [each.step for each in end.results] == ["start", "start", "start", "end"]


def test_a_circle_is_cut_after_so_many_steps():
    place = MemoryPlace(image=Program(lines=says()))
    end = World(place, one("{action: a, success: start}"), most_steps=5).run()
    assert len(end.results) == 5
    assert (end.status, exit_code(end)) == ("abort", 15)
    assert "more than 5 steps" in end.message
    assert place.containers == {}


def test_stop_on_failure_ends_after_the_step_that_fails():
    """K023."""
    place = MemoryPlace(image=Program(lines=says("failure", rc=7, message="no")))
    end = World(place, one("{action: a, failure: start}", stop_on_failure=True)).run()
    assert path_of(end) == [("start", "failure", 7)]
    assert (end.message, exit_code(end)) == ("no", 7)


def test_an_older_image_has_the_same_context_on_its_standard_input():
    """K045, K048, K049."""
    new = MemoryPlace(image=Program(lines=says()))
    old = MemoryPlace(image=Program(lines=says(), environment={"PATH": "/bin"}))
    for place, takes_input in ((new, False), (old, True)):
        World(place, one(context={"ä": "😀"})).run()
        (container,) = place.history
        assert container.wanted.takes_input is takes_input
        assert (json.loads(container.data) if container.data else None) == (
            container.context if takes_input else None
        )


def test_where_nobody_can_look_into_an_image_the_environment_is_all():
    """K045."""
    place = MemoryPlace(image=Program(lines=says(), environment=None))
    World(place, one()).run()
    assert place.history[0].data is None


def test_a_step_that_takes_too_long_is_stopped_whatever_it_has_said():
    """K029, K081."""
    program = Program(lines=lambda c: [*says()(c), b"x"], pause=40.0)
    place = MemoryPlace(image=program)
    end = World(place, one("{action: a, duration: 90s}")).run()
    assert path_of(end) == [("start", "timeout", 124)]
    assert place.history[0].stopped == pytest.approx(place.history[0].started + 90, abs=0.1)
    assert place.containers == {}
    assert exit_code(end) == 124


def test_a_container_without_a_word_has_failed():
    """K084."""
    for code, rc, message in ((0, 1, "no result"), (3, 3, "no result, and the container ended with 3")):
        end = World(MemoryPlace(image=Program(lines=lambda _: [b"x"], code=code)), one()).run()
        assert (path_of(end), end.message) == ([("start", "failure", rc)], message)


def test_the_last_good_line_counts_and_a_broken_one_is_told_and_ignored():
    """K046, K052, K084."""
    lines = [
        b'KOG:{"result":"failure"}',
        b'KOG:{"result":"success","message":"this one"}',
        b"KOG:{broken",
        Line(b'KOG:{"result":"abort"}', Stream.ERRORS),
        b" KOG:{}",
    ]
    with capture_logs() as logged:
        end = World(MemoryPlace(image=Program(lines=lambda _: lines, code=4)), one()).run()
    assert (end.status, end.message) == ("success", "this one")
    assert [event["reason"] for event in events_in(logged, "result_malformed")] == ["no JSON"]
    assert [(event["stream"], event["line"]) for event in events_in(logged, "step_output")] == [
        ("stderr", 'KOG:{"result":"abort"}'),
        ("stdout", " KOG:{}"),
    ]


def test_what_the_engine_refuses_is_an_abort_with_its_cause():
    end = World(MemoryPlace(), one()).run()
    assert path_of(end) == [("start", "abort", 125)]
    assert "no such image: image:latest" in end.message
    assert exit_code(end) == 15


def test_a_short_outage_of_the_engine_is_waited_out_and_a_long_one_is_an_abort():
    place = MemoryPlace(image=Program(lines=says(), pause=600.0))
    place.failing = {name: [unreachable()] * 3 for name in ("prepare", "create", "start", "wait", "remove")}
    assert World(place, one()).run().status == "success"
    place = MemoryPlace(image=Program(lines=says()))
    place.failing = {"create": [unreachable()] * 100}
    end = World(place, one()).run()
    assert path_of(end) == [("start", "abort", 125)]


def test_a_container_that_cannot_be_removed_is_told_and_remembered():
    place = MemoryPlace(image=Program(lines=says()))
    place.failing = {"remove": [unreachable()] * 100}
    with capture_logs() as logged:
        end = World(place, one()).run()
    assert end.status == "success"
    assert end.left == tuple(place.containers)
    assert [event["container"] for event in events_in(logged, "container_left")] == list(end.left)


def test_whoever_cancels_has_the_container_stopped_and_removed():
    place = MemoryPlace(image=Program(lines=says(), pause=600.0))
    world = World(place, one("{action: a, abort: start}"))
    world.cancel_after = 30.0
    end = world.run()
    assert path_of(end) == [("start", "abort", 0)]
    assert (end.status, end.message, exit_code(end)) == ("abort", "canceled by SIGTERM", 15)
    assert place.history[0].stopped == pytest.approx(30, abs=0.1)
    assert place.containers == {}


def test_a_context_that_no_environment_can_hold_is_an_abort():
    place = MemoryPlace(image=Program(lines=says()))
    end = World(place, one(context={"large": "x" * 128 * 1024})).run()
    assert (end.status, place.history) == ("abort", [])
    assert "larger than 128 KiB" in end.message


def test_who_is_told_gets_the_job_as_it_is_without_values_of_variables():
    """K070, K085."""
    place = MemoryPlace(first=Program(lines=says(message="m")), second=Program(lines=says()))
    world = World(place, TWO)
    end = world.run()
    job = json.loads(json.dumps(world.told[1]))
    assert job == {
        "name": "two",
        "description": "",
        "current_workflow": "run",
        "current_step": "next",
        "stop_on_failure": False,
        "workflows": {"run": {"start": {"action": "first", "success": "next"}, "next": {"action": "second"}}},
        "actions": {
            "first": {
                "image": "first",
                "version": "latest",
                "env": {"NAME": "[masked]", "OTHER": "[masked]"},
                "requirements": {"env": [], "context_paths": []},
                "output": {"context": {}},
            },
            "second": {
                "image": "second",
                "version": "2",
                "env": {},
                "requirements": {"env": [], "context_paths": []},
                "output": {"context": {}},
            },
        },
        "context": {"given": 1},
        "id": end.id,
        "status": "running",
        "results": [
            {
                "step_name": "start",
                "result": "success",
                "rc": 0,
                "message": "m",
                "run_id": end.results[0].run_id,
                "started": "2026-01-01T00:00:00+00:00",
                "ended": job["results"][0]["ended"],
            }
        ],
    }
    assert job_object(end)["status"] == "success"
