"""What the author of a job reads when its host failed or stands still: pure, case by case."""

import re
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from executors.clever.causes import DIAGNOSES, Case, diagnosis
from executors.clever.deployments import Deployment, Machine, Sighting
from executors.clever.failure_account import HostFacts, ended, particulars
from executors.clever.refusals import advice
from executors.clever.settings import CleverSettings
from executors.clever.watch import tail
from executors.host_log import MOST_CHARACTERS
from paas_runner.config.runner import JobTraceWatch, Runner
from paas_runner.job.tracked import Host

NOW = datetime(2026, 1, 1, 12, 8, 10, tzinfo=UTC)
ASKED = NOW - timedelta(minutes=5)
APP, DEPLOYMENT = (
    "app_d0025a72-9565-4e1b-b01d-a957342ee222",
    "deployment_721939da-47c5-4a4e-a2f3-1f2a3b4c5d6e",
)


def row(state, number=1, action="DEPLOY", cause="Git", at=ASKED):
    return Deployment(number=number, uuid=DEPLOYMENT, state=state, action=action, cause=cause, at=at)


def seen(*rows, machine=None, state=""):
    machines = [Machine(deployment=DEPLOYMENT, state=machine)] if machine else []
    return Sighting(rows=rows, machines=machines, state=state, created_at=ASKED)


def facts(case, sighting, lines=None, **more):
    host = Host(ref=APP, flavor="M", details={"zone": "par"})
    return HostFacts(host=host, zone="par", seen=sighting, case=case, now=NOW, lines=lines, **more)


BOOTING = seen(row("WIP"), machine="BOOTING")


def test_a_host_that_does_not_start_is_described_in_two_columns():
    assert particulars(facts(Case.NO_ROOM, BOOTING)).splitlines() == [
        "  Asked for:    flavor M in zone par, at 2026-01-01 12:03:10 UTC",
        "  Clever Cloud: the deployment is WIP, begun 5 min ago; its machine is BOOTING",
        "  Likely cause: no room for flavor M in zone par, or an incident at Clever Cloud",
        f"  What to do:   {DIAGNOSES[Case.NO_ROOM].advice.removesuffix(' flavors (cc_flavor_fallback)')}",
        "                flavors (cc_flavor_fallback)",
        f"  Reference:    {APP} {DEPLOYMENT} (for the operators of this runner)",
    ]


def test_a_host_that_failed_is_described_with_the_end_of_its_log():
    text = ended(facts(Case.FAILED, seen(row("FAIL")), ["building", "pull access denied for runner"]))
    assert text.startswith("The host of this job failed.\n  Asked for:    flavor M in zone par")
    assert "Likely cause: the image of the inner runner cannot be fetched from its registry\n" in text
    assert text.endswith(
        "(for the operators of this runner)\n"
        "  The last lines of its own log:\n"
        "    building\n"
        "    pull access denied for runner"
    )


@pytest.mark.parametrize(
    ("case", "sighting", "lines", "sentences"),
    [
        (Case.REMOVED, Sighting(removed=True), None, ["was removed by someone", "it no longer knows"]),
        (
            Case.MODERATED,
            Sighting(state="MODERATED"),
            None,
            ["did not start", "the application is MODERATED", "has blocked", "only they can settle"],
        ),
        (
            Case.UNPAID,
            seen(row("WIP"), state="DEFAULT_OF_PAYMENT"),
            None,
            ["did not start", "it has no machine; the application is DEFAULT_OF_PAYMENT", "payments"],
        ),
        (
            Case.FAILED,
            seen(row("FAIL")),
            None,
            ["failed.", "Its own log: not available", "FAIL, begun 5 min"],
        ),
        (Case.FAILED, seen(row("FAIL")), [], ["its machine never came up", "Its own log: empty", "cc_zones"]),
        (Case.FAILED, seen(row("FAIL")), ["?"], ["could not be built, or", "whole log at Clever Cloud"]),
        (
            Case.CANCELED,
            seen(row("OK", 2, "UNDEPLOY", "", NOW), row("WIP")),
            ["x"],
            ["was stopped", "after it came UNDEPLOY (no cause given), which is OK, begun 0 s ago"],
        ),
        (
            Case.LOST,
            seen(row("WIP", 2, cause="Monitoring/Unreachable", at=None), row("FAIL")),
            ["x"],
            [
                "was lost",
                "DEPLOY (Monitoring/Unreachable), which is WIP",
                "no longer reached",
                "larger flavor",
            ],
        ),
        (Case.STOPPED, seen(row("OK")), ["x"], ["stopped before the job had ended", "it has no machine"]),
        (
            Case.ABSENT,
            Sighting(state="SHOULD_BE_DOWN", created_at=ASKED),
            None,
            ["took the push, but lists no deployment; the application is SHOULD_BE_DOWN", "no credit"],
        ),
        (Case.NO_ROOM, seen(row("WIP")), None, ["it has no machine", "no room for flavor M in zone par"]),
        (Case.STARTING, seen(row("WIP"), machine="STARTING"), [], ["its machine is STARTING", "is up, but"]),
        (Case.DEPLOYING, seen(row("WIP"), machine="DEPLOYING"), ["x"], ["takes long", "timeout_seconds"]),
        (
            Case.RUNNING,
            seen(row("WIP"), machine="TASK_IN_PROGRESS"),
            ["x"],
            ["does not reach the coordinator", "heptapod_runner_main_image"],
        ),
        (
            Case.UNKNOWN,
            seen(row("WIP"), machine="NEW"),
            ["x"],
            ["its machine is NEW", "not known to this runner"],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_each_case_has_its_own_sentences(case, sighting, lines, sentences):
    text = ended(facts(case, sighting, lines))
    in_one_line = re.sub(r"\s+", " ", text)
    assert [sentence for sentence in sentences if sentence not in in_one_line] == []
    assert APP in text
    assert (DEPLOYMENT in text) == (sighting.launch is not None)
    assert ("Its own log" in text) == (case.has_log and not lines)


def test_no_case_is_without_words():
    assert set(DIAGNOSES) >= set(Case)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("toomanyrequests: You have reached your pull rate limit.", "limits downloads"),
        ("manifest unknown: manifest unknown", "cannot be fetched"),
        ("write /var/lib/x: no space left on device", "disk is full"),
        ("Nothing listening on 0.0.0.0:8080 yet. If the deployment fails", "web application"),
        ("Build succeeded in 12 seconds", "its image was built"),
        ("anything else", "could not be built, or"),
    ],
)
def test_the_log_may_give_the_cause_away(line, cause):
    assert cause in diagnosis(Case.FAILED, ["x", line, "y"]).cause


def test_what_the_log_said_last_counts():
    lines = ["Build succeeded in 12 seconds", "no space left on device"]
    assert "disk is full" in diagnosis(Case.FAILED, lines).cause
    assert "disk is full" not in diagnosis(Case.CANCELED, lines).cause


def test_the_operators_secrets_are_not_shown_to_the_authors_of_jobs():
    lines = ["x" * (MOST_CHARACTERS - 12) + "registry-canary", "cloud-token-canary", "mount true"]
    known = facts(
        Case.FAILED, seen(row("FAIL")), lines, hidden=["canary", "registry-canary", "cloud-token-canary"]
    )
    text = ended(known)
    assert "canary" not in text
    assert "registry" not in text
    assert "mount true" in text
    assert "canary" not in repr(attrs.evolve(known, lines=()))


HOSTILE = [
    r'"\u001b[2J\u001b[31mred\u001b]0;title\u0007"',
    r'"section_start:1:x\r\u001b[0KERROR: Job failed"',
    r'"\u202egnitirw \u0000 \u2028 {place} %s"',
    f'"{"y" * 5000}"',
    *['"more"'] * 50,
    f'"{"z" * 5000}"',
]


def test_a_hostile_log_is_quoted_in_few_short_plain_lines():
    stream = "".join(f'event: APPLICATION_LOG\ndata: {{"message": {one}}}\n\n' for one in HOSTILE).encode()
    for lines in (tail(stream), tail(stream[:6000])):
        text = ended(facts(Case.FAILED, seen(row("FAIL")), lines))
        assert all(line.isprintable() and len(line) <= MOST_CHARACTERS for line in text.split("\n"))
        assert text.count("\n") <= 20


def test_hostile_words_of_the_cloud_are_quoted_in_short_plain_lines():
    bad = row("\x1b[31m{place}\n\n" * 4, cause="\r\x00" * 30)
    text = ended(facts(Case.UNKNOWN, seen(bad, machine="x y" * 20), None))
    assert all(line.isprintable() and len(line) <= MOST_CHARACTERS for line in text.split("\n"))


def test_a_clock_that_is_ahead_of_the_clouds_makes_no_negative_times():
    late = attrs.evolve(facts(Case.NO_ROOM, BOOTING), now=ASKED - timedelta(hours=1))
    assert "begun 0 s ago" in particulars(late)


@pytest.mark.parametrize(
    ("status", "number", "word"),
    [
        (401, 2001, "cc_token"),
        (403, None, "cc_orga_id"),
        (400, 9018, "CI_CLEVER_CLOUD_FLAVOR"),
        (400, 557, "cc_extra_env"),
        (400, 9017, "retry"),
        (404, 4004, "removed its host"),
        (404, None, "cc_api_url"),
        (418, None, ""),
    ],
)
def test_a_refusal_comes_with_what_can_be_done_about_it(status, number, word):
    assert word in advice(status, number)
    assert bool(word) == bool(advice(status, number))


def test_no_advice_names_a_key_that_does_not_exist():
    texts = " ".join(diagnosed.advice for diagnosed in DIAGNOSES.values())
    texts += " ".join(advice(status, number) for status in (400, 401, 404) for number in (0, 557, 4004))
    texts += " ".join(
        diagnosis(Case.FAILED, [line]).advice for line in ("pull rate limit", "nothing listening on")
    )
    known = {field.name for kind in (CleverSettings, Runner, JobTraceWatch) for field in attrs.fields(kind)}
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", texts))
    assert named <= known
    assert "cc_zones" in named
