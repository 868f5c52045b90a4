"""From what the cloud lists to a verdict, and to an account for the job's author: pure, case by case."""

import pytest

from executors.clever.deployments import Machine, Row, Sighting, verdict
from executors.clever.log_tail import MOST_LINES, tail
from executors.clever.settings import CleverSettings
from executors.clever.watch import MOST_CHARACTERS, account
from paas_runner.job.tracked import Host
from paas_runner.secret import Secret

TOKEN = Secret("cloud-token-canary")


def row(state, number=1, action="DEPLOY", cause="Git"):
    return Row(number=number, uuid=f"deployment_{number}", state=state, action=action, cause=cause)


def seen(*rows, machines=()):
    return Sighting(rows=rows, machines=[Machine(deployment=uuid, state=state) for uuid, state in machines])


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
    ("sighting", "words"),
    [
        (Sighting(removed=True), "removed by somebody else"),
        (Sighting(state="MODERATED"), "MODERATED"),
        (Sighting(state="DEFAULT_OF_PAYMENT"), "DEFAULT_OF_PAYMENT"),
        (seen(row("FAIL")), "ended with FAIL"),
        (seen(UNREACHABLE, row("FAIL")), "ended with FAIL"),
        (seen(row("CANCELLED")), "CANCELLED"),
        (seen(row("OK", 2, action="CANCEL"), row("CANCELLED")), "CANCELLED"),
        (seen(row("OK")), "ended with OK and has no machine left"),
        (seen(row("OK"), machines=[(OURS, "DELETED"), (OURS, "GHOST")]), "no machine left"),
        (seen(UNREACHABLE, row("WIP"), machines=[(LATER, "BOOTING")]), "DEPLOY (Monitoring/Unreachable)"),
        (seen(row("OK", 2, action="UNDEPLOY", cause=""), row("WIP")), "UNDEPLOY (no cause given)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_cloud_says_in_so_many_words_ends_the_job(sighting, words):
    assert words in verdict(sighting).text


SETTINGS = CleverSettings(
    cc_orga_id="orga_1",
    cc_token=Secret("cloud-token-canary"),
    cc_extra_env={"CC_DOCKER_LOGIN_PASSWORD": "registry-canary", "CC_MOUNT_DOCKER_SOCKET": "true"},
)
HOST = Host(ref="app_1", flavor="M", details={"zone": "par"})


def test_the_account_says_what_was_asked_what_became_of_it_and_where_to_look():
    failed = verdict(seen(row("FAIL")))
    assert account(failed, HOST, SETTINGS, TOKEN, ["building", "no such image"]) == (
        "The host of this job (flavor M, zone par) failed: its deployment ended with FAIL. "
        "The last lines of its own log:\n"
        "    building\n"
        "    no such image\n"
        "Reference for the operators of this runner: app_1 deployment_1"
    )


def test_an_account_without_log_says_so_and_one_without_deployment_has_no_log():
    assert "Its own log is not available." in account(verdict(seen(row("FAIL"))), HOST, SETTINGS, TOKEN, ())
    removed = account(verdict(Sighting(removed=True)), Host(ref="app_1"), SETTINGS, TOKEN, ())
    assert removed == (
        "The host of this job (zone par) was removed by somebody else: Clever Cloud no longer knows its "
        "application. Reference for the operators of this runner: app_1"
    )


def test_the_operators_secrets_are_not_shown_to_the_authors_of_jobs():
    lines = ["x" * (MOST_CHARACTERS - 8) + "registry-canary", "cloud-token-canary", "mount true"]
    text = account(verdict(seen(row("FAIL"))), HOST, SETTINGS, TOKEN, lines)
    assert "canary" not in text
    assert "registry" not in text
    assert "mount true" in text


def test_a_long_line_is_cut():
    text = account(verdict(seen(row("FAIL"))), HOST, SETTINGS, TOKEN, ["y" * 5000])
    assert text.count("y") < MOST_CHARACTERS + 20


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
    assert tail(stream(*messages, end=end)) == [f"line {n}" for n in range(50 - MOST_LINES, 50)]


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
def test_a_stream_that_is_none_has_no_lines(body):
    assert tail(body) == []
