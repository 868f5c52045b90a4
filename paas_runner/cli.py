"""Arguments and commands.

`heptapod-paas-runner CONFIG` is the service, as in the program that we replace; `paas-runner` has commands.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import attrs

from paas_runner import __version__
from paas_runner.exit_codes import Exit


def service(arguments: Sequence[str] | None = None) -> int:
    """`heptapod-paas-runner`."""
    parser = argparse.ArgumentParser(
        prog="heptapod-paas-runner",
        description="Run CI jobs of GitLab or Heptapod on hosts that exist only while a job needs them.",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run_arguments(parser)
    return _run(parser.parse_args(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    """`paas-runner`."""
    parser = argparse.ArgumentParser(
        prog="paas-runner",
        description="Run CI jobs of GitLab or Heptapod on hosts that exist only while a job needs them.",
        epilog="Each command has its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"paas-runner {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="the service, in the foreground",
        description="The service, in the foreground: the same as heptapod-paas-runner.",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run_arguments(run)
    run.set_defaults(call=_run)
    orphans = commands.add_parser(
        "orphans",
        help="the hosts at the provider that no job needs, and why",
        description=(
            "Compare the provider's hosts with the records, and show each of ours: age, verdict and why.\n"
            "A host is an orphan only after two looks some seconds apart. The service may run meanwhile."
        ),
        epilog=_ORPHANS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    orphans.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file (TOML)")
    orphans.add_argument("--delete", action="store_true", help="remove the orphans, as the service would")
    orphans.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    orphans.set_defaults(call=_orphans)
    costs = commands.add_parser(
        "costs",
        help="how long hosts were there, and what that has cost, by tenant, runner, flavor, job or day",
        description=(
            "Add up the time of all hosts, and what it has cost where the provider told a price.\n"
            "The numbers come from the service's own ledger; the service may run meanwhile."
        ),
        epilog=_COSTS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_costs_arguments(costs)
    costs.set_defaults(call=_costs)
    demo = commands.add_parser(
        "demo",
        help="see real jobs run by the real service, without an account anywhere",
        description=(
            "Start a sandbox on loopback (a coordinator, a cloud, hosts that run scripts on this machine), "
            "start the service on it, submit a pipeline, restart the service in the middle, and account for "
            "every job and every host."
        ),
        epilog="Exit codes: 0 all jobs and hosts are accounted for; 1 they are not, the reason is printed.",
    )
    _add_demo_arguments(demo)
    demo.set_defaults(call=_demo)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.call(chosen))
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED


_RUN_EPILOG = """\
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


_ORPHANS_EPILOG = """\
exit codes:
  0   no orphans, or all of them removed
  1   orphans remain, or the provider could not be asked
  2   wrong arguments
  74  the store or the state file cannot be read
  78  the configuration is wrong, or cannot be served on this machine
"""


_COSTS_EPILOG = """\
WHEN:
  2026-03-01           a date: its midnight
  2026-03-01T08:00     a date and time, in UTC unless it says otherwise (...+01:00)
  90m, 24h, 7d, 4w     so long before now

examples:
  paas-runner costs CONFIG                                           this month, by tenant
  paas-runner costs CONFIG --since 7d --by day
  paas-runner costs CONFIG --since 2026-02-01 --until 2026-03-01     February, and so is
  paas-runner costs CONFIG --until 2026-03-01
  paas-runner costs CONFIG --since 24h --by job --csv                one line for each host

what is counted:
  A host counts from its creation (or from when it was found again after an interruption) until the service
  knows that it is gone; here only the part between --since and --until. The cost is that time at the price
  in the provider's catalogue, in the provider's own unit, which is not interpreted. It is an upper estimate
  and no bill: Clever Cloud, for one, counts only while the job's machine runs. Not counted are orphans, and
  hosts left in place as configured, from then on. Days are days in UTC.

fields of --json (in "rows" and "total") and columns of --csv, which has no total:
  tenant                                the row, with --by tenant; empty where all pay alike
  runner, name                          with --by runner: the token's short form, the configured name
  flavor                                with --by flavor
  runner, job, tenant, flavor, host     with --by job; host is the provider's id
  day                                   with --by day, such as 2026-03-01
  jobs                                  jobs that had a host in that time
  running                               of these, jobs whose host is still there, counted until now
  host_seconds                          seconds, not rounded
  estimated_cost                        units, not rounded; null or empty when no host has a price
  unpriced_jobs                         jobs whose host has no known price: in host_seconds alone
  --json says in "since", "until" and "by", too, what was asked for.

exit codes:
  0   the answer is printed, even if it is that there were no hosts
  2   wrong arguments
  74  the store cannot be read
  78  the configuration is wrong
"""


def _add_costs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file (TOML)")
    parser.add_argument(
        "--since", metavar="WHEN", help="count from then on; by default since the month of --until began"
    )
    parser.add_argument("--until", metavar="WHEN", help="count what was before; by default now")
    parser.add_argument(
        "--by",
        choices=("tenant", "runner", "flavor", "job", "day"),
        default="tenant",
        help="what a row stands for (default: %(default)s)",
    )
    forms = parser.add_mutually_exclusive_group()
    for form in ("json", "csv"):
        forms.add_argument(
            f"--{form}",
            dest="form",
            action="store_const",
            const=form,
            default="text",
            help=f"print {form.upper()}, nothing else",
        )


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
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


def _add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pipeline", type=Path, metavar="FILE", help="a .gitlab-ci.yml of your own to run")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document at the end, nothing else"
    )


def _run(arguments: argparse.Namespace) -> int:
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


def _orphans(arguments: argparse.Namespace) -> int:
    from paas_runner.orphans import run

    return run(arguments.config, delete=arguments.delete, as_json=arguments.json)


def _costs(arguments: argparse.Namespace) -> int:
    from paas_runner.costs import run

    return run(
        arguments.config,
        since=arguments.since,
        until=arguments.until,
        by=arguments.by,
        form=arguments.form,
    )


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from paas_runner.demo import run
    except ModuleNotFoundError as error:
        print(
            f"paas-runner demo needs more packages ({error.name}): pip install 'paas-runner[demo]'",
            file=sys.stderr,
        )
        return Exit.FAILED
    return run(pipeline=arguments.pipeline, as_json=arguments.json)
