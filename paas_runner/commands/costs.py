"""`paas-runner costs`."""

import argparse
import csv
import io
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from paas_runner.commands import output
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit, UsageError

if TYPE_CHECKING:
    from paas_runner.config import Config
    from paas_runner.job.cost import Charge, Total
    from paas_runner.job.cost_report import Report, Window

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
  paas-runner costs CONFIG --since 4w --rightsize                    which jobs have too large hosts

what is counted:
  A host counts from its creation (or from when it was found again after an interruption) until the service
  knows that it is gone; here only the part between --since and --until. The cost is that time at the price
  in the provider's catalogue, in the provider's own unit, which is not interpreted. It is an upper estimate
  and no bill: Clever Cloud, for one, counts only while the job's machine runs. Of a host that is used again
  each job pays from when it got it until the next one does, its time on standby included. Not counted are
  orphans, and hosts left in place as configured, from then on. Days are days in UTC.

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

--rightsize:
  For each project and job name: what its runs used, and the smallest flavor on offer that has a quarter more
  memory than 19 of 20 runs took (and 256 MiB for the host itself), and as many CPUs as they kept busy on
  average. It is never dearer than the largest flavor that the job had, nor larger, unless that is no longer
  on offer. Flavors are asked of the provider
  (of the public catalogue, without a token); with --offline, or where none answers, they are those that the
  runner's jobs had in that time. A job is measured by paas-runner's own inner runner, where its host's log
  can be read. Confidence is high with 20 runs or more that differ little, low with less than 5.
  Fields of the rows of --json: runner, name, project, job, runs, measured_runs, memory_bytes and cpus (each
  with p50 and p95), flavors, would_do (null: unknown), confidence, saved_per_month (null: no price known).

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
        help="what a row stands for (default: tenant)",
    )
    parser.add_argument(
        "--rightsize",
        action="store_true",
        help="show instead what jobs used of their hosts, and which flavor would do",
    )
    parser.add_argument(
        "--offline", action="store_true", help="with --rightsize: do not ask the provider for its flavors"
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
    from paas_runner.config import load
    from paas_runner.executor.contract import installed
    from paas_runner.job.cost_report import document, report, window
    from paas_runner.store.snapshot import accounts

    if arguments.rightsize and arguments.form == "csv":
        raise UsageError("--rightsize has no --csv: use --json")
    if arguments.rightsize and arguments.by:
        raise UsageError("--rightsize has no --by: its rows are projects and job names")
    now = datetime.now(UTC)
    wanted = window(arguments.since, arguments.until, now)
    config = load(arguments.config, environ=os.environ, executors=installed())
    found = accounts(config.store, wanted.since, wanted.until)
    config, _ = config.recognised(found.runners)
    names = {runner.short_token: runner.name for runner in config.runners}
    if arguments.rightsize:
        _rightsize(found.charges, config, attrs.evolve(wanted, until=min(wanted.until, now)), arguments)
        return Exit.OK
    answer = report(found.charges, found.jobs, wanted, arguments.by or "tenant", names=names, now=now)
    match arguments.form:
        case "json":
            output.show_json(document(answer))
        case "csv":
            output.show_data(_sheet(answer))
        case _:
            output.show(*_page(answer))
    return Exit.OK


def _rightsize(
    charges: "Sequence[Charge]", config: "Config", window: "Window", arguments: argparse.Namespace
) -> None:
    from paas_runner.commands import rightsizing
    from paas_runner.job.rightsize import advise

    offers = {} if arguments.offline else rightsizing.offers(config)
    advice = advise(charges, offers, window)
    if arguments.form == "json":
        names = {runner.short_token: runner.name for runner in config.runners}
        output.show_json(rightsizing.document(advice, window, names))
    else:
        output.show(*rightsizing.page(advice, window))


def _page(report: "Report") -> Iterator[output.Line | output.Table]:
    """A table, a line with the sum, and what has to be known of the numbers at hand."""
    window = report.window
    title = f"{window.since:%F %R} to {window.until:%F %R} UTC, by {report.by}"
    if not report.rows:
        yield f"{title}: no hosts"
        return
    rows = [[*(str(value) or "-" for value in group), *_cells(total)] for group, total in report.rows]
    sum_line = ["total", *[""] * (len(report.columns) - 1), *_cells(report.total)]
    yield title
    yield ""
    yield output.Table(
        head=[*map(str.upper, report.columns), "JOBS", "RUNNING", "TIME", "COST "],
        rows=[*rows, [output.Painted(cell, "bold") for cell in sum_line]],
        left=len(report.columns),
    )
    yield ""
    yield "TIME in hours:minutes:seconds; COST is an upper estimate in the provider's own unit."
    if report.total.running:
        yield "RUNNING hosts are counted until now."
    if report.total.unpriced and report.total.cost is not None:
        yield f"+ and what {report.total.unpriced} jobs cost on hosts without a known price."


def _cells(total: "Total") -> Sequence[str]:
    """The time to the nearest second: most jobs are short."""
    minutes, seconds = divmod(round(total.time / timedelta(seconds=1)), 60)
    hours, minutes = divmod(minutes, 60)
    cost = "- " if total.cost is None else f"{total.cost:.4f}{'+' if total.unpriced else ' '}"
    return str(total.jobs), str(total.running or ""), f"{hours}:{minutes:02}:{seconds:02}", cost


def _sheet(report: "Report") -> str:
    """CSV with a header and without a sum; an unknown cost is empty."""
    from paas_runner.job.cost_report import NUMBERS, numbers

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*report.columns, *NUMBERS])
    writer.writerows([*group, *numbers(total).values()] for group, total in report.rows)
    return text.getvalue().rstrip("\n")


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
