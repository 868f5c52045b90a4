"""`paas-runner run`, which is `heptapod-paas-runner`, too."""

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING

import attrs

from paas_runner.commands.command import Command, add_config
from paas_runner.errors import UsageError

if TYPE_CHECKING:
    import logging

    from paas_runner.config import Config

_DEPRECATED: Mapping[str, str] = {
    "--poll-interval": "check_interval",
    "--job-progress-poll-interval": "job_progress_poll_interval",
}
"""Options of heptapod-paas-runner that are keys of the configuration by now."""

_LEVELS_OF_PYTHON = {"critical": "fatal", "warn": "warning", "notset": "debug"}
"""Levels that heptapod-paas-runner takes, by the name that they have here."""

_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.1, 86_400.0

_EPILOG = """\
signals:
  SIGTERM, SIGINT  acquire no more jobs, finish the calls in flight, write all tracked jobs to
                   state_file and exit; the jobs go on running on their hosts. A second one exits at once:
                   calls in flight are cut off, and all tracked jobs are in the store beside state_file.
  SIGHUP           read the configuration again and work with it; a wrong one is refused, and all that
                   is wrong with it is logged. Jobs that have begun keep what they began with.
  SIGQUIT          acquire no more jobs, see all jobs through to their end, remove their hosts, and exit.
  SIGUSR1          log how the service is, as `paas-runner status` shows it; no secrets are in it.

exit codes:
  0   stopped by a signal, everything recorded; after SIGQUIT: nothing is left
  1   unexpected error; the records are in the store, a restart goes on from there
  2   wrong arguments
  3   after SIGQUIT: something is left, the log says what
  74  the store or the state file cannot be read or written
  75  another process works on the same state
  78  the configuration is wrong: every complaint is printed with its file and line
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "-l",
        "--logging-level",
        metavar="LEVEL",
        type=_level,
        help="log at this level, whatever log_level says",
    )
    for option, key in _DEPRECATED.items():
        parser.add_argument(option, type=_seconds, metavar="SECONDS", help=f"deprecated: set {key} instead")
    parser.add_argument(
        "--poll-cycles",
        type=_number,
        metavar="N",
        help="stop after every runner has asked N times and got no job; for tests",
    )
    parser.add_argument(
        "--debug-signal", action="store_true", help="no longer needed: SIGUSR1 always logs the state"
    )


def _level(text: str) -> str:
    return _LEVELS_OF_PYTHON.get(text.lower(), text.lower())


def _seconds(text: str) -> timedelta:
    """0 is what the file says."""
    with contextlib.suppress(ValueError):
        seconds = float(text)
        if seconds == 0 or _SHORTEST_INTERVAL <= seconds <= _LONGEST_INTERVAL:
            return timedelta(seconds=seconds)
    raise argparse.ArgumentTypeError(
        f"expected seconds from {_SHORTEST_INTERVAL:g} to {_LONGEST_INTERVAL:g}, or 0 for what the file says"
    )


def _number(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError("expected a whole number")


def _call(arguments: argparse.Namespace) -> int:
    _spare_libraries_of_terminals()
    from paas_runner.config import Config, load
    from paas_runner.config.packaged import refuse_root
    from paas_runner.executor.contract import installed
    from paas_runner.logs import LEVELS, configure, redactor
    from paas_runner.service.process import run

    level = arguments.logging_level
    if level is not None and level not in LEVELS:
        raise UsageError(f"no such level: {level}; choices: {', '.join(LEVELS)}")

    def read() -> Config:
        config = load(arguments.config, environ=os.environ, executors=installed())
        redactor.add(config.secrets)
        return _overridden(config, arguments)

    config = read()
    beside = _remote_log(config)

    def adopt(config: Config) -> None:
        configure(level=level or config.log_level, form=config.log_format, beside=beside)

    refuse_root(config.path, config.state_file)
    adopt(config)
    return run(config, reread=read, adopt=adopt, poll_cycles=arguments.poll_cycles)


def _remote_log(config: "Config") -> "logging.Handler | None":
    """What takes the log, too; raises `RunnerError` for certificates that cannot be used."""
    wanted = config.log_remote
    if wanted is None:
        return None
    from paas_runner.config.telemetry import FACILITIES
    from paas_runner.logs.syslog import RemoteLog

    return RemoteLog(wanted.receiver, facility=FACILITIES[wanted.facility], app_name=wanted.app_name)


def _spare_libraries_of_terminals() -> None:
    """What others load in case somebody wants it, and a service does not: a fifth of its start.

    structlog has rich draw tracebacks, ours are text before they come to it; httpx has a command line, with
    click, rich and pygments. Both do without where those are not installed. Neither is imported yet.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: not to be found
    modules.setdefault("httpx._main", None)
    if "rich" in modules:
        return
    modules["rich"] = None
    try:
        import structlog  # noqa: F401 - it is there for whoever imports it next
    finally:
        del modules["rich"]


def _overridden(config: "Config", arguments: argparse.Namespace) -> "Config":
    """What the command line says goes before what the file says, at each reload, too."""
    for option, key in _DEPRECATED.items():
        if interval := getattr(arguments, option.strip("-").replace("-", "_")):
            note = f"the option {option} is deprecated: set `{key}` instead"
            config = attrs.evolve(config, warnings=(*config.warnings, note), **{key: interval})
    return config


COMMAND = Command(
    name="run",
    help="the service, in the foreground",
    description="The service, in the foreground: the same as heptapod-paas-runner.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
