"""`paas-runner costs`."""

import argparse

from paas_runner.commands.command import Command, add_config

_EPILOG = """\
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


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
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


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.costs import run

    return run(
        arguments.config,
        since=arguments.since,
        until=arguments.until,
        by=arguments.by,
        form=arguments.form,
    )


COMMAND = Command(
    name="costs",
    help="how long hosts were there, and what that has cost, by tenant, runner, flavor, job or day",
    description=(
        "Add up the time of all hosts, and what it has cost where the provider told a price.\n"
        "The numbers come from the service's own ledger; the service may run meanwhile."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
