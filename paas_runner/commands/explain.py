"""`paas-runner explain`."""

import argparse

from paas_runner.commands.command import Command, add_config

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


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.inquiry import explain

    return explain(arguments.config, arguments.job, as_json=arguments.json)


COMMAND = Command(
    name="explain",
    help="what happened to one job, why, and what will be done about it next",
    description="Show the whole chain of decisions for one job, with the reason of each.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
