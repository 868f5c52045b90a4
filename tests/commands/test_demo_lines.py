"""What `paas-runner demo` says of jobs as they end, and for how long it shows its page."""

import asyncio
import os
import select

import pytest

from paas_runner.commands.demo import Lines
from paas_runner.demo import JobStory
from paas_runner.demo.page import enter


def test_a_job_that_has_no_log_is_not_said_to_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().finished(JobStory(job_id=1, name="deploy", stage="deploy", status="skipped"), b"")
    assert capsys.readouterr().out.endswith(" deploy: skipped\n")


def test_the_log_of_a_job_follows_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().finished(JobStory(job_id=1, name="build", stage="build", status="success"), b"one\ntwo\n")
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith(" build: success; its log:")
    assert [line.strip() for line in lines] == ["│ one", "│ two"]


async def test_what_was_typed_while_jobs_ran_does_not_take_the_page_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keyboard, terminal = os.openpty()
    with os.fdopen(keyboard, "w") as typed, os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        print(file=typed, flush=True)
        select.select([stdin], [], [])
        looking = asyncio.ensure_future(enter())
        await asyncio.sleep(0.05)
        assert not looking.done()
        print(file=typed, flush=True)
        await asyncio.wait_for(looking, 10)
