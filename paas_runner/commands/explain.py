"""`paas-runner explain`."""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from paas_runner.commands import asking, output
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit, RunnerError, UsageError

if TYPE_CHECKING:
    from paas_runner.job.tracked import Entry, JobKey
    from paas_runner.status.views import JobExplanation

_JOB = re.compile(r"(?:(?P<runner>[^/]+)/|hpd-job-(?P<host_of>.+)-)?(?P<job>\d{1,18})")

_EPILOG = """\
examples:
  paas-runner explain CONFIG 42                       the job's id, as its page in the coordinator shows it
  paas-runner explain CONFIG abc123xyz/42             where several runners have a job of that id
  paas-runner explain CONFIG hpd-job-abc123xyz-42     by the name of its host

What happened more than once in a phase is one line, with the number of times and the newest reason. Jobs
that are gone are remembered, the last 2,000 of them.

fields of --json, a list with an object for each job that is meant:
  at        when this was so
  key       runner (its short token) and job_id
  job       as in `paas-runner status --json`; null when the job is gone
  history   at, phase, what, why, times, last and until of each line

exit codes:
  0   the answer is printed
  1   nothing is known of that job, or the service cannot be asked
  2   wrong arguments
  74  the store cannot be read
  78  the configuration is wrong
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("job", metavar="JOB", help="a job's id, RUNNER/ID, or the name of its host")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


@attrs.frozen(kw_only=True)
class WantedJob:
    """Which job: its id, and its runner's short token if that was given."""

    job_id: int
    runner: str | None


def wanted_job(text: str) -> WantedJob:
    """The job that `42`, `abc123xyz/42` or `hpd-job-abc123xyz-42` means; raises `UsageError`."""
    found = _JOB.fullmatch(text)
    if found is None:
        raise UsageError(f'"{text}" is no job: 42, RUNNER/42 or hpd-job-RUNNER-42 is')
    return WantedJob(job_id=int(found["job"]), runner=found["runner"] or found["host_of"])


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.status.report import to_data
    from paas_runner.status.views import format_explanation

    found = _explanations(arguments.config, wanted_job(arguments.job))
    if not found:
        raise RunnerError(f"nothing is known of job {arguments.job}: it was never here, or long ago")
    if arguments.json:
        output.show_json([to_data(explanation) for explanation in found])
    else:
        output.show("\n\n".join(map(format_explanation, found)))
    return Exit.OK


def _explanations(config: Path, job: WantedJob) -> "Sequence[JobExplanation]":
    """Tracked jobs as the service knows them, or its store when it is down; then those that are gone."""
    from paas_runner.config import ConfigError
    from paas_runner.config.load import store_place
    from paas_runner.executor.contract import installed
    from paas_runner.job.wording import describe_history
    from paas_runner.status.views import JobExplanation
    from paas_runner.store import StoreError
    from paas_runner.store.snapshot import histories

    tracked = asking.explanations(config, job.job_id)
    now = datetime.now(UTC)
    gone: Mapping[JobKey, Sequence[Entry]] = {}
    try:
        gone = histories(store_place(config, os.environ, installed()), job.job_id)
    except (ConfigError, StoreError) as error:
        if not tracked:
            raise
        output.note(f"paas-runner explain: jobs of that id which are gone are not known: {error}")
    found = [
        *tracked,
        *(
            JobExplanation(at=now, key=key, job=None, history=describe_history(entries))
            for key, entries in gone.items()
        ),
    ]
    return [explanation for explanation in found if job.runner in {None, explanation.key.runner}]


COMMAND = Command(
    name="explain",
    help="what happened to one job, why, and what will be done about it next",
    description="Show the whole chain of decisions for one job, with the reason of each.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
