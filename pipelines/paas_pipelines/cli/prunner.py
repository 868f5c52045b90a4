"""`paas-pipelines`: prunner's command line, for whoever starts it as a program (seed, "CLI Reference").

Global options stand before the command, with one dash or two; without a command it serves. Every usage error
and every error at the start ends with 1, and 0 is for a complete end alone (P095).
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from paas_pipelines import __version__
from paas_pipelines.cli.options import OPTIONS, Option, add_options, doubts_of, settings_of
from paas_runner.commands.command import exit_code_of
from paas_runner.errors import Exit, UsageError
from paas_runner.lean_imports import import_structlog_without_rich

PROGRAM = "paas-pipelines"
_HELP = ("-h", "-help", "--help")
_COMMANDS = """\
Pipeline runner; without a command it serves.

commands:
   debug     Get authorization information for debugging
   version   Print the current version
   help, h   Shows a list of commands or help for one command
"""
_SIGNALS = """\
Signals: SIGINT waits for running jobs, SIGTERM cancels them (a second one
ends at once), SIGUSR1 reloads the definitions. Exit codes: 0 after a complete shutdown, else 1.
"""
_NAMED: dict[str, Option] = {option.name: option for option in OPTIONS}
_NAMED["v"] = _NAMED["verbose"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    wanted = sys.argv[1:] if arguments is None else arguments
    return min(exit_code_of(PROGRAM, lambda: _main(wanted)), Exit.FAILED)


def _main(arguments: Sequence[str]) -> int:
    given, words = _parsed(arguments)
    command = words[0] if words else ""
    if command in ("help", "h") or not set(words).isdisjoint(_HELP):
        print(_help())
        return Exit.OK
    if command not in ("", "debug", "version"):
        raise UsageError(f'no such command: "{command}"; `{PROGRAM} help` lists them')
    if command == "version":
        print(__version__)
        return Exit.OK
    settings = settings_of(given, os.environ)
    import_structlog_without_rich()
    if command == "debug":
        from paas_pipelines.server.dynamic_config import shown_token
        from paas_runner.logs import configure

        configure(level=settings.log_level, form=settings.log_form)
        minimal = os.environ.get("MINIMAL_OUTPUT") == "1"
        print(shown_token(settings, minimal=minimal), end="" if minimal else "\n")
        return Exit.OK
    from paas_pipelines.server.process import serve

    return serve(settings, doubts_of(given, os.environ))


def _parsed(arguments: Sequence[str]) -> tuple[Mapping[str, Sequence[str]], Sequence[str]]:
    """The values of each option that is there, and what follows; raises `UsageError` (Go's package flag)."""
    given: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        argument = rest.pop(0)
        if argument == "--":
            break
        name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
        if argument in _HELP:
            return given, ["help"]
        option = _NAMED.get(name)
        if option is None:
            raise UsageError(f"flag provided but not defined: -{name}; `{PROGRAM} --help` lists all")
        if not equals:
            if option.kind == "switch":
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise UsageError(f"flag needs an argument: -{name}")
        given.setdefault(option.name, []).append(value)
    return given, rest


def _help() -> str:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [global options] command",
        description=_COMMANDS,
        epilog=_SIGNALS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    return parser.format_help()
