"""What a command is to the command line, and how every program of ours ends.

Foreseeable errors are for the programs' one exit: no command catches an error in order to print it.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from paas_runner.any_locale import print_in_any_locale
from paas_runner.commands.output import OutputError, note
from paas_runner.errors import Exit, RunnerError
from paas_runner.lean_imports import import_structlog_without_rich

WORDS_BEHIND_OPTIONS = "words_behind_options"
"""A default of a parser: the name of the list that also takes what stands behind its options."""


@attrs.frozen(kw_only=True)
class Command:
    """One command of `paas-runner`."""

    name: str
    help: str
    """One line, for the list of commands."""
    description: str
    epilog: str
    """Exit codes, and whatever else a reader of `--help` needs."""
    arguments: Callable[[argparse.ArgumentParser], None]
    call: Callable[[argparse.Namespace], int]
    """Does it, and returns the exit code; raises `RunnerError`, whose type says the exit code."""

    def run(self, arguments: argparse.Namespace) -> int:
        """What the programs call."""
        import_structlog_without_rich()
        return self.call(arguments)


def add_config(parser: argparse.ArgumentParser) -> None:
    """The argument that nearly all have."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file (TOML)")


def exit_code_of(program: str, call: Callable[[], int]) -> int:
    """The exit code of a program: that of `call`, or that of the error which it raises, with its message.

    An unforeseen error keeps its traceback.
    """
    print_in_any_locale()
    try:
        with _printed_to_the_end():
            return call()
    except RunnerError as error:
        if isinstance(error, OutputError):
            _print_no_more()
        note(str(error) if error.names_its_place else f"{program}: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has seen enough
        _print_no_more()
        return Exit.FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


@contextmanager
def _printed_to_the_end() -> Iterator[None]:
    """Raises `OutputError` where the standard output takes no more; what was printed has been written."""
    try:
        yield
    finally:
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError.of(error) from None


def _print_no_more() -> None:
    """What is left in the buffer goes nowhere, so that the interpreter's end finds nothing wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
