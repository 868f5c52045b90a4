"""The program: arguments, signals, the words at the end, the exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from paas_runner.config import ConfigError
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import installed
from paas_runner.http import Http
from paas_runner.logs import LEVELS, configure
from register import options
from register.document import UneditableError
from register.interview import MissingAnswerError
from register.registration import Registration
from register.terminal import InterruptedByUserError, Terminal, raise_when_ended


def main(arguments: Sequence[str] | None = None) -> int:
    """`heptapod-paas-runner-register`."""
    parser = argparse.ArgumentParser(
        prog="heptapod-paas-runner-register",
        description=options.DESCRIPTION,
        epilog=options.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Register; returns the exit code."""
    if arguments.logging_level not in LEVELS:
        return _ended(f"no such level: {arguments.logging_level}; choices: {', '.join(LEVELS)}", Exit.USAGE)
    configure(level=arguments.logging_level, form="runner")
    raise_when_ended()
    terminal = Terminal()
    try:
        given = options.read(arguments, os.environ)
        Registration(
            options=given,
            terminal=terminal if terminal.usable() and not given.non_interactive else None,
            tell=terminal.say,
            connect=Http(),
            executors=installed(),
        ).run()
    except InterruptedByUserError:
        terminal.say("")
        return _ended("given up: nothing was changed", Exit.FAILED)
    except (options.UsageError, MissingAnswerError) as error:
        return _ended(str(error), Exit.USAGE)
    except (ConfigError, UneditableError) as error:
        return _ended(str(error), Exit.CONFIG)
    except RunnerError as error:
        return _ended(str(error), Exit.FAILED)
    _tell_how_to_go_on(given.config.resolve().as_posix(), terminal)
    return Exit.OK


def _tell_how_to_go_on(config: str, terminal: Terminal) -> None:
    terminal.say(f"  check it:                    paas-runner check {config}")
    terminal.say(f"  start the service:           heptapod-paas-runner {config}")
    terminal.say(f"  a service that runs already: paas-runner reload {config}")


def _ended(text: str, code: Exit) -> int:
    print(f"heptapod-paas-runner-register: {text}", file=sys.stderr)
    return code
