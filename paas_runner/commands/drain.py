"""`paas-runner drain`."""

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from paas_runner.commands.asking import Parts, asked
from paas_runner.commands.command import Command, add_config
from paas_runner.errors import Exit

_EPILOG = """\
fields of --json:
  drained        whether nothing is left
  at             when that was looked at
  hosts          hosts of this installation that the provider still lists
  open_intents   jobs of which a host may still exist
  unreported     jobs whose end the coordinator has not been told
  left_hosts     those hosts: runner, name, host (the provider's id)
  left_jobs      all jobs that are still recorded: runner, job, phase, host
  unknown        what could not be looked at, and why

exit codes:
  0   drained: nothing is left; without --wait: draining has begun
  1   the service is not running, or was stopped before it was drained
  2   wrong arguments
  3   drained, but something is left, or nobody could tell
  78  there is no such configuration file
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--wait", action="store_true", help="wait for the end, and tell what is left")
    parser.add_argument(
        "--json", action="store_true", help="print the certificate as one JSON document; implies --wait"
    )


def _call(arguments: argparse.Namespace) -> int:
    wait = arguments.wait or arguments.json
    tell = partial(_tell, wait=wait, as_json=arguments.json)
    return asked({"ask": "drain", "wait": wait}, arguments.config, tell, patience=None)


def _tell(parts: Parts, *, wait: bool, as_json: bool) -> int:
    certificate: Mapping[str, Any] = {}
    for part in parts:
        if progress := part.get("progress"):
            _tell_progress(progress)
        certificate = part.get("certificate", certificate)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if not wait:
        print("draining: no new jobs; the service ends after the last")
        return Exit.OK
    print(json.dumps(certificate, indent=2) if as_json else _text(certificate))
    return Exit.OK if certificate["drained"] else Exit.LEFT_OVER


def _tell_progress(progress: Mapping[str, Any]) -> None:
    """One line that changes on a terminal, a line for each change elsewhere."""
    phases = ", ".join(f"{count} {phase}" for phase, count in progress["phases"].items())
    line = f"{progress['jobs']} jobs left: {phases or 'what is still in flight is waited for'}"
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _text(certificate: Mapping[str, Any]) -> str:
    lines = ["drained: nothing is left" if certificate["drained"] else "drained, but not all is gone:"]
    lines += [
        f"  host {host['name']} ({host['host']}) of {host['runner']}" for host in certificate["left_hosts"]
    ]
    lines += [
        f"  job {job['job']} of {job['runner']}: {job['phase']}, host {job['host'] or 'none'}"
        for job in certificate["left_jobs"]
    ]
    lines += [f"  not known: {text}" for text in certificate["unknown"]]
    return "\n".join(lines)


COMMAND = Command(
    name="drain",
    help="let the running service end after its last job, and certify that nothing is left",
    description=(
        "Let the running service ask for no more jobs, see all jobs through to their end, remove their\n"
        "hosts, and exit: with 0 when the provider lists no host any more and no job is left, else with 3."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
