"""From what the cloud lists to a verdict, or to the likeliest explanation; and the end of a log. Pure."""

import pytest

from executors.clever.causes import Case, in_the_light_of_its_log, standstill, verdict
from executors.clever.deployments import Deployment, Machine, Sighting
from executors.clever.watch import SHOWN_LINES, tail


def row(state, number=1, action="DEPLOY", cause="Git"):
    return Deployment(number=number, uuid=f"deployment_{number}", state=state, action=action, cause=cause)


def seen(*rows, machines=(), state=""):
    found = [Machine(deployment=uuid, state=machine) for uuid, machine in machines]
    return Sighting(rows=rows, machines=found, state=state)


OURS, LATER = "deployment_1", "deployment_2"
UNREACHABLE = row("WIP", 2, cause="Monitoring/Unreachable")


@pytest.mark.parametrize(
    "sighting",
    [
        Sighting(),
        Sighting(state="SHOULD_BE_DOWN"),
        Sighting(state="SOMETHING_NEW"),
        seen(row("WIP")),
        seen(row("TASK_RUNNING")),
        seen(row("SOMETHING_NEW")),
        seen(row("")),
        Sighting(rows=[row("OK")]),
        seen(row("OK"), machines=[(OURS, "TASK_IN_PROGRESS")]),
        seen(row("OK"), machines=[(OURS, "STOPPING")]),
        seen(row("OK"), machines=[(OURS, "SOMETHING_NEW")]),
        seen(row("OK"), machines=[("", "UP")]),
        seen(row("OK", action="UNDEPLOY")),
        seen(UNREACHABLE, row("WIP"), machines=[(LATER, "BOOTING"), (OURS, "TASK_IN_PROGRESS")]),
        seen(row("OK", 2, action="CANCEL"), row("WIP"), machines=[(OURS, "TASK_IN_PROGRESS")]),
        seen(row("WIP", 2, cause="Console"), row("FAIL")),
    ],
    ids=str,
)
def test_no_job_is_ended_on_a_guess(sighting):
    assert verdict(sighting) is None


@pytest.mark.parametrize(
    ("sighting", "case"),
    [
        (Sighting(removed=True), Case.REMOVED),
        (Sighting(state="MODERATED"), Case.MODERATED),
        (Sighting(state="DEFAULT_OF_PAYMENT"), Case.UNPAID),
        (seen(row("FAIL")), Case.FAILED),
        (seen(UNREACHABLE, row("FAIL")), Case.LOST),
        (seen(row("CANCELLED")), Case.CANCELED),
        (seen(row("OK", 2, action="CANCEL"), row("CANCELLED")), Case.CANCELED),
        (seen(row("OK")), Case.STOPPED),
        (seen(row("OK"), machines=[(OURS, "DELETED"), (OURS, "GHOST")]), Case.STOPPED),
        (seen(UNREACHABLE, row("WIP"), machines=[(LATER, "BOOTING")]), Case.LOST),
        (seen(row("OK", 2, action="UNDEPLOY", cause=""), row("WIP")), Case.CANCELED),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_what_the_cloud_says_in_so_many_words_ends_the_job(sighting, case):
    assert verdict(sighting) is case
    assert standstill(sighting) is case, "a host that is given up may have got a verdict meanwhile"


@pytest.mark.parametrize(
    ("sighting", "case"),
    [
        (Sighting(state="WANTS_TO_BE_UP"), Case.ABSENT),
        (seen(row("OK", action="UNDEPLOY")), Case.ABSENT),
        (seen(row("WIP"), state="MODERATED"), Case.MODERATED),
        (seen(row("WIP"), state="DEFAULT_OF_PAYMENT"), Case.UNPAID),
        (seen(row("WIP")), Case.NO_ROOM),
        (seen(row("WIP"), machines=[(OURS, "DELETED")]), Case.NO_ROOM),
        (seen(row("WIP"), machines=[(OURS, "BOOTING")]), Case.NO_ROOM),
        (seen(row("WIP"), machines=[(OURS, "STARTING")]), Case.STARTING),
        (seen(row("WIP"), machines=[("", "DEPLOYING")]), Case.DEPLOYING),
        (seen(row("WIP"), machines=[(OURS, "TASK_IN_PROGRESS")]), Case.RUNNING),
        (seen(row("OK"), machines=[(OURS, "UP")]), Case.RUNNING),
        (seen(row("TASK_RUNNING")), Case.RUNNING),
        (seen(row("WIP"), machines=[(OURS, "SOMETHING_NEW")]), Case.UNKNOWN),
        (Sighting(rows=[row("WIP")]), Case.UNKNOWN),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_a_silent_host_is_explained_by_how_far_it_has_come(sighting, case):
    assert standstill(sighting) is case
    assert verdict(sighting) is None


@pytest.mark.parametrize(
    ("case", "lines", "description"),
    [
        (Case.FAILED, [], Case.NEVER_UP),
        (Case.FAILED, None, Case.FAILED),
        (Case.FAILED, ["building"], Case.FAILED),
        (Case.CANCELED, [], Case.CANCELED),
    ],
)
def test_a_failure_without_a_word_is_that_of_a_machine_that_never_came_up(case, lines, description):
    assert in_the_light_of_its_log(case, lines) is description


def stream(*messages, end="\n"):
    events = [
        f'id: {n}{end}event: APPLICATION_LOG{end}data: {{"message": {message}}}{end}{end}'
        for n, message in enumerate(messages)
    ]
    heartbeat = f"event: HEARTBEAT{end}data: {{}}{end}{end}"
    return (heartbeat.join(events) + f"event: END_OF_STREAM{end}data: {{}}{end}{end}").encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_last_lines_are_kept(end):
    messages = [f'"line {n}"' for n in range(50)]
    assert tail(stream(*messages, end=end)) == [f"line {n}" for n in range(50 - SHOWN_LINES, 50)]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (r'"\u001b[31;1mred\u001b[0m"', ["red"]),
        (r'"\u001b]0;title\u0007text"', ["text"]),
        (r'" 1 %\r50 %\rdone\r"', ["done"]),
        (r'"a\tb"', ["a b"]),
        (r'"one\ntwo\r\nthree"', ["one", "two", "three"]),
        (r'"bell\u0007 null\u0000 \u202egnitirw"', ["bell null gnitirw"]),
        ('"one\u2028line"', ["oneline"]),
        ('"é ✓"', ["é ✓"]),
        ('"  "', []),
        ('"\\u001b"', []),
        ("null", []),
        ("}", []),
    ],
)
def test_a_line_is_shown_as_a_terminal_would_leave_it_and_harmless(message, shown):
    assert tail(stream(message)) == shown


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"<html>", b"event: APPLICATION_LOG\n\n", b"data: [1]\n\n"]
)
def test_a_stream_that_is_none_says_nothing_about_the_log(body):
    assert tail(body) is None


def test_an_empty_log_is_known_to_be_empty():
    assert tail(stream()) == []
