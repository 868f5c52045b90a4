"""What `paas-runner demo` says of jobs as they end."""

import pytest

from paas_runner.commands.demo import Lines
from paas_runner.demo import JobStory


def test_a_job_that_has_no_log_is_not_said_to_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().finished(JobStory(job_id=1, name="deploy", stage="deploy", status="skipped"), b"")
    assert capsys.readouterr().out.endswith(" deploy: skipped\n")


def test_the_log_of_a_job_follows_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().finished(JobStory(job_id=1, name="build", stage="build", status="success"), b"one\ntwo\n")
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith(" build: success; its log:")
    assert [line.strip() for line in lines] == ["│ one", "│ two"]
