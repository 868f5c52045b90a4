"""`paas-runner drain`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from paas_runner.commands import output, progress
from paas_runner.commands.asking import Parts, answer
from paas_runner.commands.command import Command, add_config
from paas_runner.commands.operate import others_told
from paas_runner.errors import Exit

_EPILOG = """\
fields of --json:
  drained        whether nothing is left
  at             when that was looked at
  hosts          hosts of this installation that the provider still lists
  open_intents   jobs of which a host may still exist
  unreported     jobs whose end the coordinator has not been told
  left_hosts     those hosts: runner, name, host (the provider's id)
  left_jobs      all jobs that are still recorded: runner, job, phase, host, why
  foreign_hosts  hosts of this runner's name with another installation's label: runner, name, host,
                 installation; a neighbour's, or ours from before the id was lost. `drained` is not about them
  unknown        what could not be looked at, and why

A job that is over, but that cannot be reported or whose host cannot be removed, is waited for 10 minutes and
then named among what is left.

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
    certificate = _certificate(answer({"ask": "drain", "wait": wait}, arguments.config, timeout=None))
    if not wait:
        output.show("draining: no new jobs; the service ends after the last")
        return Exit.OK
    if arguments.json:
        output.show_json(certificate)
    else:
        output.show(*_lines(certificate))
    return Exit.OK if certificate["drained"] else Exit.LEFT_OVER


def _certificate(parts: Parts) -> Mapping[str, Any]:
    """The last part; what goes on until then is shown, on a terminal in one line that changes."""
    certificate: Mapping[str, Any] = {}
    line = progress.StatusLine()
    show_progress = line.show if output.is_terminal(sys.stderr) else output.note
    try:
        for part in parts:
            for text in others_told(part, "all processes with this store drain"):
                output.note(text)
            if left := part.get("progress"):
                show_progress(_progress(left))
            certificate = part.get("certificate", certificate)
    finally:
        line.clear()
    return certificate


def _progress(left: Mapping[str, Any]) -> str:
    phases = ", ".join(f"{count} {phase}" for phase, count in left["phases"].items())
    if left.get("elsewhere") and not left["jobs"]:
        return "no jobs left here: those of other processes are waited for"
    if standby := left.get("standby"):
        phases = ", ".join(filter(None, [phases, f"{standby} hosts on standby go first"]))
    return f"{left['jobs']} jobs left: {phases or 'what is still in flight is waited for'}"


def _lines(certificate: Mapping[str, Any]) -> Sequence[str]:
    foreign = certificate.get("foreign_hosts", ())
    clean = "nothing of this installation is left:" if foreign else "nothing is left"
    lines = [f"drained: {clean}" if certificate["drained"] else "drained, but not all is gone:"]
    lines += [
        f"  host {host['name']} ({host['host']}) of {host['runner']}" for host in certificate["left_hosts"]
    ]
    lines += [
        f"  job {job['job']} of {job['runner']}: {job['phase']}, host {job['host'] or 'none'}"
        + (f", {job['why']}" if job.get("why") else "")
        for job in certificate["left_jobs"]
    ]
    lines += [f"  not known: {text}" for text in certificate["unknown"]]
    lines += [
        f"  of another installation, {host['installation']}: host {host['name']} ({host['host']})"
        for host in foreign
    ]
    return lines


COMMAND = Command(
    name="drain",
    help="let the running service end after its last job, and certify that nothing is left",
    description=(
        "Let the running service ask for no more jobs, see all jobs through to their end, remove their\n"
        "hosts, and exit: with 0 when the provider lists no host any more and no job is left, else with 3.\n"
        "All processes with the same `state_store` do so. To end one of them alone, stop it: it hands over."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
