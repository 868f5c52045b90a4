"""`paas-runner run`, which is `heptapod-paas-runner`, too."""

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

import attrs

from paas_runner.commands.command import Command
from paas_runner.exit_codes import Exit

_EPILOG = """\
signals:
  SIGTERM, SIGINT  acquire no more jobs, finish the calls in flight, write all tracked jobs to
                   state_file and exit; the jobs go on running on their hosts. A second one exits at once.

exit codes:
  0   stopped by a signal, everything recorded
  1   unexpected error; the records are in the store, a restart goes on from there
  2   wrong arguments
  74  the store or the state file cannot be read or written
  75  another process works on the same state
  78  the configuration is wrong: every complaint is printed with its file and line
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file (TOML)")
    parser.add_argument(
        "-l",
        "--logging-level",
        metavar="LEVEL",
        type=str.lower,
        help="log at this level, whatever log_level says",
    )
    parser.add_argument(
        "--poll-interval",
        type=float,
        metavar="SECONDS",
        help="deprecated: set check_interval instead",
    )
    parser.add_argument(
        "--job-progress-poll-interval",
        type=float,
        metavar="SECONDS",
        help="deprecated: set job_progress_poll_interval instead",
    )


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.config import ConfigError, load
    from paas_runner.executor import installed
    from paas_runner.observe.logs import LEVELS, configure, redactor
    from paas_runner.service import run

    level = arguments.logging_level
    if level is not None and level not in LEVELS:
        print(f"heptapod-paas-runner: no such level: {level}; choices: {', '.join(LEVELS)}", file=sys.stderr)
        return Exit.USAGE
    try:
        config = load(arguments.config, environ=os.environ, executors=installed())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    if arguments.poll_interval:
        config = attrs.evolve(config, check_interval=timedelta(seconds=arguments.poll_interval))
    if arguments.job_progress_poll_interval:
        interval = timedelta(seconds=arguments.job_progress_poll_interval)
        config = attrs.evolve(config, job_progress_poll_interval=interval)
    configure(level=level or config.log_level, form=config.log_format)
    redactor.add(config.secrets)
    return run(config)


COMMAND = Command(
    name="run",
    help="the service, in the foreground",
    description="The service, in the foreground: the same as heptapod-paas-runner.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
