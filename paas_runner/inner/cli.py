"""`paas-runner-inner`: arguments, signals and exit codes of the program that runs jobs on their host."""

import sys

from paas_runner.lean_imports import import_structlog_without_rich

if "structlog" not in sys.modules:
    import_structlog_without_rich()

import argparse
import asyncio
import contextlib
import enum
import functools
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

import paas_runner
from paas_runner import __version__
from paas_runner.helper import command as serve_command
from paas_runner.inner.guardian import OVERDUE, guarded
from paas_runner.inner.runner import InnerRunner, OverdueError, UnreportedError, deadlines_of, read_payload
from paas_runner.inner.settings import InnerRunnerError, read_section
from paas_runner.inner.shell import shell_for
from paas_runner.inner.stop import Stops
from paas_runner.job.lifetime import MARGIN, MARGIN_VARIABLE

PROGRAM = "paas-runner-inner"
_DISTRIBUTIONS = {"paas_runner", "paas_runner_inner"}  # both bring our package, the second a part of it
_SIGNALS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}


class InnerExit(enum.IntEnum):
    """Documented in --help; the large numbers are those of sysexits.h."""

    SUCCEEDED = 0
    FAILED = 1
    UNREPORTED = 69
    UNUSABLE = 78
    OVERDUE = OVERDUE


_EPILOG = f"""\
The job is run as GitLab Runner runs it: sources, cache and artifacts of other jobs are fetched, the scripts
are run, cache and artifacts are saved; its job log and its result go to the coordinator that CONFIG names,
with the job's own token. The program ends with the job.

CONFIG is GitLab Runner's format with exactly one [[runners]] section. It needs `url` and `token` (the short
form of the runner's token is enough), and `executor` for where the scripts run:
  shell   on this host itself, as the user of this program
  docker  in a container of the job's image, beside its services, on this host's Docker engine

JOB is the coordinator's answer to a job request, as it came.

Signals:
  SIGTERM, SIGINT   end the job in good order: the script is terminated, and killed when it does not end,
                    a system failure is reported to the coordinator, everything is removed
  a second one      end at once, without a report

The end: whatever hangs (the coordinator, an upload, the engine, a process that cannot be killed), nothing
of the job is left after its timeout and a margin, counted from the start of the program. The margin is
{MARGIN.total_seconds():g} seconds, or what the variable {MARGIN_VARIABLE} says. Three quarters of
it are for the report, the rest for removing what there is.

Exit codes:
  {InnerExit.SUCCEEDED:<6} the job succeeded
  {InnerExit.FAILED:<6} the job failed or was canceled, and the coordinator knows
  2      the arguments are wrong
  {InnerExit.UNREPORTED:<6} the job has ended, but its result could not be reported to the coordinator
  {InnerExit.UNUSABLE:<6} CONFIG or JOB cannot be used, nothing was run
  {InnerExit.OVERDUE:<6} the program had not ended at its last moment, and was ended; nothing was reported
  128+N  a second signal N ended the program
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job, or serve; returns the exit code."""
    chosen = parser().parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    began = time.monotonic()
    try:
        check_alone(Path(paas_runner.__file__).parents[1])
        if chosen.command == serve_command.COMMAND:
            from paas_runner.helper import serving

            return serving.serve(chosen, os.environ)
        runner_toml, job_json = _text(chosen.config), _text(chosen.job)
        read_section(runner_toml)
        deadlines = deadlines_of(read_payload(job_json), os.environ)
    except InnerRunnerError as error:
        return _fail(error, InnerExit.UNUSABLE)
    run = functools.partial(_exit_code, runner_toml, job_json, (chosen.config, chosen.job))
    return guarded(run, deadlines, began=began)


def _exit_code(runner_toml: str, job_json: str, files: Sequence[Path]) -> int:
    """Of the program itself, below its guardian."""
    try:
        return asyncio.run(_run(runner_toml, job_json, files))
    except UnreportedError as error:
        return _fail(error, InnerExit.UNREPORTED)
    except OverdueError as error:
        return _fail(error, InnerExit.OVERDUE)
    except InnerRunnerError as error:
        return _fail(error, InnerExit.UNUSABLE)


def parser() -> argparse.ArgumentParser:
    """What the program takes, for its manual page, too."""
    program = argparse.ArgumentParser(prog=PROGRAM, description="Run CI jobs on this host.")
    program.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = program.add_subparsers(metavar="COMMAND", dest="command", required=True)
    run = commands.add_parser(
        "exec-fetched-job",
        help="run a job that the service has fetched",
        description="Run a job that the service has fetched from the coordinator, and report on it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--config", type=Path, required=True, metavar="CONFIG", help="the runner.toml")
    run.add_argument("job", type=Path, metavar="JOB", help="the job.json")
    serve = commands.add_parser(
        serve_command.COMMAND,
        help="take one job after the other, on a host that stays",
        description="Take one job after the other from a service, and run each on this host.",
        epilog=serve_command.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve_command.add_arguments(serve)
    return program


def check_alone(folder: Path) -> None:
    """Raise `InnerRunnerError` where both distributions with this package are in a folder of packages.

    The files that both have are those of the one that came last, and go with the one that is removed first;
    pip neither knows nor prevents it.
    """
    found = {path.name.partition("-")[0] for path in folder.glob("paas_runner*.dist-info")}
    if found >= _DISTRIBUTIONS:
        raise InnerRunnerError(
            f"paas-runner and paas-runner-inner are both installed in {folder}, where one has overwritten "
            "the other: uninstall both, then install one of them (paas-runner has this command, too)"
        )


async def _run(runner_toml: str, job_json: str, files: Sequence[Path]) -> int:
    """Run the job as a task of its own, which the first signal asks to end and the second ends."""
    stops = Stops()
    shell = functools.partial(shell_for, hidden=files)
    runner = InnerRunner(
        clock=lambda: datetime.now(UTC), shell=shell, trust_environment=True, environment=os.environ
    )
    running = asyncio.ensure_future(runner.run(runner_toml, job_json, stops))
    numbers: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if numbers:
            running.cancel()
        numbers.append(number)
        stops.abort(_SIGNALS[number])

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    with contextlib.suppress(asyncio.CancelledError):
        return await running
    return 128 + numbers[-1]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InnerRunnerError(f"{path} cannot be read: {error}") from error


def _fail(error: InnerRunnerError, code: InnerExit) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code
