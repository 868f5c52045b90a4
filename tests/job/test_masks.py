"""What is masked in texts about a job, before and after its definition is dropped."""

from paas_runner.job import events as ev
from paas_runner.job.lifecycle import acquired, apply
from paas_runner.job.masks import masked, masked_values
from paas_runner.job.tracked import Phase
from paas_runner.job.variables import Variable
from paas_runner.store.records import dumps, loads
from tests.support.records import NOW, payload


def variable(value, *, is_masked=True):
    return Variable(key="A", value=value, masked=is_masked)


def test_the_longest_value_goes_first():
    assert masked("abcdef abc", ["abc", "abcdef", ""]) == "[MASKED] [MASKED]"


def test_pieces_of_the_mask_itself_are_masked_once():
    pieces = ["[MASKED]"[start:end] for start in range(8) for end in range(start + 1, 9)]
    once = masked("no such FLAVOR", pieces)
    assert once == "no such FL[MASKED]VOR"
    assert masked(once, pieces) == once


def test_lines_of_a_value_are_hidden_unless_they_are_words():
    assert masked_values([variable("-----BEGIN\nyes\nabcdefgh")]) == [
        "-----BEGIN\nyes\nabcdefgh",
        "-----BEGIN",
        "abcdefgh",
    ]
    assert masked_values([variable("short"), variable("open", is_masked=False)]) == ["short"]


def test_a_launched_job_keeps_what_must_be_masked_and_nothing_else_of_its_definition():
    entries = [{"key": "A", "value": "hush-hush", "masked": True}, {"key": "B", "value": "open-value"}]
    job = acquired("abc123xyz", payload(1, variables=entries), NOW)
    assert list(job.hidden) == ["job-token-1", "hush-hush"]
    for event in (ev.ProvisionIntended(), ev.HostReady(), ev.LaunchIntended(), ev.Launched()):
        job = apply(job, event, NOW)
    assert (job.phase, job.payload) == (Phase.LAUNCHED, None)
    stored = loads(dumps(job))
    assert list(stored.hidden) == ["job-token-1", "hush-hush"]
    assert "open-value" not in dumps(job)
    assert "hush-hush" not in repr(stored)
