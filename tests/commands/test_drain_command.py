"""`paas-runner drain`: what goes on, what is left, and how it ends."""

import io
import json
import sys

import pytest

from paas_runner import cli
from paas_runner.commands import drain
from tests.support.terminal_screen import Screen, Terminal

PROGRESS = [
    {"progress": {"jobs": 2, "phases": {"running": 1, "launching": 1}}},
    {"progress": {"jobs": 1, "phases": {}}},
]
CLEAN = {"drained": True, "left_hosts": [], "left_jobs": [], "unknown": []}
LEFT = {
    "drained": False,
    "left_hosts": [{"name": "hpd-job-a-1", "host": "app_1", "runner": "a"}],
    "left_jobs": [{"job": 1, "runner": "a", "phase": "decommissioning", "host": None}],
    "unknown": ["a: no answer"],
}


@pytest.fixture
def drained(monkeypatch):
    """Exit code, answer and messages of the command where the service answers so."""

    def call(*parts, options=("--wait",), terminal=False):
        asked = []

        def answer(request, config, *, timeout):
            asked.append((request, timeout))
            return iter(parts)

        out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(drain, "answer", answer)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        code = cli.main(["drain", "config.toml", *options])
        assert asked == [({"ask": "drain", "wait": bool(options)}, None)]
        return code, out.getvalue(), err.getvalue()

    return call


def test_in_a_pipe_there_is_a_line_for_each_change(drained):
    code, answer, messages = drained(*PROGRESS, {"certificate": CLEAN})
    assert (code, answer) == (0, "drained: nothing is left\n")
    assert messages.splitlines() == [
        "2 jobs left: 1 running, 1 launching",
        "1 jobs left: what is still in flight is waited for",
    ]


def test_it_is_told_when_only_jobs_of_other_processes_are_waited_for(drained):
    others = {"progress": {"jobs": 0, "phases": {}, "elsewhere": True}}
    _, _, messages = drained(others, {"certificate": CLEAN})
    assert messages.splitlines() == ["no jobs left here: those of other processes are waited for"]


def test_hosts_of_another_installation_are_named_and_the_rest_is_certified(drained):
    host = {"name": "hpd-job-a-7", "host": "app_7", "runner": "a", "installation": "the-one-before"}
    code, answer, _ = drained({"certificate": CLEAN | {"foreign_hosts": [host]}})
    assert code == 0
    assert answer.splitlines() == [
        "drained: nothing of this installation is left:",
        "  of another installation, the-one-before: host hpd-job-a-7 (app_7)",
    ]


def test_on_a_terminal_a_line_changes_and_goes_away(drained):
    code, answer, messages = drained(*PROGRESS, {"certificate": CLEAN}, terminal=True)
    assert (code, answer) == (0, "drained: nothing is left\n")
    assert "2 jobs left: 1 running, 1 launching" in messages
    assert Screen(messages).lines == []
    assert not Screen(messages).cursor_hidden


def test_what_is_left_is_named_and_ends_with_3(drained):
    code, answer, _ = drained({"certificate": LEFT})
    assert code == 3
    assert answer.splitlines() == [
        "drained, but not all is gone:",
        "  host hpd-job-a-1 (app_1) of a",
        "  job 1 of a: decommissioning, host none",
        "  not known: a: no answer",
    ]


def test_programs_get_the_certificate(drained):
    code, answer, _ = drained(*PROGRESS, {"certificate": LEFT}, options=("--json",))
    assert (code, json.loads(answer)) == (3, LEFT)


def test_without_waiting_draining_has_begun(drained):
    assert drained(options=()) == (0, "draining: no new jobs; the service ends after the last\n", "")
