"""`paas-runner-inner`: arguments, signals and exit codes of the program that runs one job on its host."""

import argparse
import asyncio
import contextlib
import enum
import functools
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

import paas_runner
from paas_runner import __version__
from paas_runner.inner.runner import InnerRunner, UnreportedError
from paas_runner.inner.settings import InnerRunnerError
from paas_runner.inner.shell import shell_for
from paas_runner.inner.stop import Stops

PROGRAM = "paas-runner-inner"
_DISTRIBUTIONS = {"paas_runner", "paas_runner_inner"}  # both bring our package, the second a part of it
_SIGNALS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}


class InnerExit(enum.IntEnum):
    """Documented in --help; the large numbers are those of sysexits.h."""

    SUCCEEDED = 0
    FAILED = 1
    UNREPORTED = 69
    UNUSABLE = 78


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

Exit codes:
  {InnerExit.SUCCEEDED:<6} the job succeeded
  {InnerExit.FAILED:<6} the job failed or was canceled, and the coordinator knows
  2      the arguments are wrong
  {InnerExit.UNREPORTED:<6} the job has ended, but its result could not be reported to the coordinator
  {InnerExit.UNUSABLE:<6} CONFIG or JOB cannot be used, nothing was run
  128+N  a second signal N ended the program
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job; returns the exit code."""
    chosen = parser().parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        check_alone(Path(paas_runner.__file__).parents[1])
        return asyncio.run(_run(_text(chosen.config), _text(chosen.job), (chosen.config, chosen.job)))
    except UnreportedError as error:
        return _fail(error, InnerExit.UNREPORTED)
    except InnerRunnerError as error:
        return _fail(error, InnerExit.UNUSABLE)


def parser() -> argparse.ArgumentParser:
    """What the program takes, for its manual page, too."""
    program = argparse.ArgumentParser(prog=PROGRAM, description="Run one CI job on this host.")
    program.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = program.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser(
        "exec-fetched-job",
        help="run a job that the service has fetched",
        description="Run a job that the service has fetched from the coordinator, and report on it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--config", type=Path, required=True, metavar="CONFIG", help="the runner.toml")
    run.add_argument("job", type=Path, metavar="JOB", help="the job.json")
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
