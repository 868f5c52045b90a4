"""`paas-runner status`."""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paas_runner.commands import asking, output, progress
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit

if TYPE_CHECKING:
    from paas_runner.status.report import StatusReport

SECONDS_BETWEEN_REPORTS = 2.0

_EPILOG = """\
fields of --json:
  at            when this was so; all times are in UTC
  service       state (running, draining, stopping or down), version, pid, since, state_file, trouble (why
                its records cannot be written; empty when they can)
  capacity      concurrent, provisioning and quota (null without a rule), each with used and limit
                (null while it is unknown); standby_weight, which hosts on standby weigh beside that
  runners       name, runner (its short token), state (polling, no room, paused, backing off, draining,
                elsewhere or down), why, until (the end of a pause of its own), jobs
  jobs          job, runner, runner_name, phase, age_seconds, phase_seconds, tenant, host_name, host,
                flavor, weight, and
    last        what happened last: at, phase, what, why; if it happened more than once in this phase,
                times, last, and until, before which it is not tried again
    next        what will be done: what, at, why; null if nothing will, then blocked says why not

  sharing       null where the store is this process's alone, else how several share it: store, role (holder,
                standby or cut off), mode, holder (the id of this process) and member (its name),
                renewed_at, trouble and silent_since (while the store does not answer), may_use (its part
                of the bounds: jobs, provisioning, weight), counters, and
    sections    runner, name, holder, member, here, since, until, stage, jobs (their number in the store)
    members     holder, name, version, mode, here, alive, since, renewed_at, runners, may_use
  standby       hosts that wait for another job: job (which has left it), runner, runner_name, tenant,
                host_name, host, flavor, weight, seconds_left, cost_so_far (of the wait), next, blocked

--watch looks every 2 seconds. On a terminal the page is drawn again; elsewhere there is a line for each
change. With --json it is one document a line.

The service answers over a socket beside its state file, which only its own user may open. While it is not
running its store is read instead, and the first line says so; where several processes share the store it
says who works, and where.

exit codes:
  0   the service is running; with --watch, interrupted
  1   the service is not running on this machine, or cannot be asked
  2   wrong arguments
  74  the store of a service that is not running cannot be read
  78  the configuration is wrong
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    parser.add_argument("--watch", action="store_true", help="look again and again, until interrupted")


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.status.report import ServiceState, to_data
    from paas_runner.status.views import page

    try:
        if arguments.watch:
            _watch(_reports(arguments.config), as_json=arguments.json)
        found = asking.report(arguments.config)
    except KeyboardInterrupt:
        return Exit.OK
    if arguments.json:
        output.show_json(to_data(found))
    else:
        output.show(page(found))
    return Exit.FAILED if found.service.state is ServiceState.DOWN else Exit.OK


def _reports(config: Path) -> "Iterator[StatusReport]":
    while True:
        yield asking.report(config)
        time.sleep(SECONDS_BETWEEN_REPORTS)


def _watch(reports: "Iterator[StatusReport]", *, as_json: bool) -> None:
    """A page that is drawn again on a terminal, a line for each change elsewhere, all in a line as JSON."""
    from paas_runner.status.report import to_data
    from paas_runner.status.views import changes, page

    before = None
    for found in reports:
        if as_json:
            output.show_json(to_data(found), indent=None)
        elif output.is_terminal(sys.stdout):
            progress.redraw(f"{found.at:%H:%M:%S} UTC  {page(found)}")
        else:
            for line in changes(before, found):
                output.show(line)
        before = found


COMMAND = Command(
    name="status",
    help="how the service is: runners, room, and every job with what was last and what is next",
    description="Ask the running service how it is; while it is not running, read its store.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
