"""What is said of a host that ended, stands still or is gone."""

import pytest

from executors.host_log import MOST_CHARACTERS
from executors.local_docker.account import Facts, ended, particulars


def facts(lines=(), **state):
    return Facts(state=state, lines=lines, reference="0123abc")


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ({"ExitCode": 1}, "the inner runner on it ended with an error"),
        ({"ExitCode": 69}, "could not reach the coordinator any more"),
        ({"ExitCode": 78}, "cannot use its configuration"),
        ({"ExitCode": 137}, "the container was killed, or the engine was restarted"),
        ({"ExitCode": 137, "OOMKilled": True}, "needs more memory"),
    ],
)
def test_the_likely_cause_follows_from_how_the_container_ended(state, cause):
    assert cause in " ".join(ended(facts(Status="exited", **state)).split())


def test_what_the_engine_itself_says_is_quoted():
    description = ended(facts(Status="exited", ExitCode=127, Error="no such file"))
    assert "the container ended with exit code 127, no such file" in description


@pytest.mark.parametrize(("lines", "log_state"), [(None, "not available to this runner"), ((), "empty")])
def test_a_log_that_cannot_be_read_is_told_from_an_empty_one(lines, log_state):
    assert f"Its own log:  {log_state}" in particulars(facts(lines, Status="running"))


def test_a_host_that_is_gone_has_no_log_and_a_cause():
    description = ended(Facts(state={}, reference="0123abc"))
    assert description.startswith("The host of this job was removed by someone else.\n")
    assert "removed the container from the engine" in description
    assert "Its own log" not in description


def test_long_lines_are_cut():
    assert (
        max(map(len, ended(facts(["x" * 999], Status="exited", ExitCode=1)).splitlines())) == MOST_CHARACTERS
    )


def test_what_is_hidden_is_masked_before_a_line_is_cut():
    line = "x" * (MOST_CHARACTERS - 12) + "a-masked-value and the rest"
    said = ended(Facts(state={"Status": "exited"}, lines=[line], reference="r", hidden=["a-masked-value"]))
    assert "a-mas" not in said
    assert "[MASK" in said
