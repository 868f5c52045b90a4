"""`paas-pipelines`: prunner's command line, for whoever starts it as a program (seed, "CLI Reference").

Global options stand before the command, with one dash or two; without a command it serves. Every usage error
and every error at the start ends with 1, and 0 is for a complete end alone (P095).
"""

import os
import sys
from collections.abc import Mapping, Sequence

from paas_pipelines import __version__
from paas_pipelines.cli.options import OPTIONS, Option, settings_of, told_of
from paas_runner.commands.command import exit_code_of, import_structlog_without_rich
from paas_runner.errors import Exit, UsageError

PROGRAM = "paas-pipelines"
COMMANDS: Mapping[str, str] = {
    "debug": "Get authorization information for debugging",
    "version": "Print the current version",
    "help, h": "Shows a list of commands or help for one command",
}
_NAMED: Mapping[str, Option] = {
    name: option for option in OPTIONS for name in (option.name, option.short) if name
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    wanted = sys.argv[1:] if arguments is None else arguments
    return min(exit_code_of(PROGRAM, lambda: _main(wanted)), Exit.FAILED)


def _main(arguments: Sequence[str]) -> int:
    given, words = _parsed(arguments)
    if words[:1] in (["help"], ["h"]):
        print(_help())
        return Exit.OK
    command = words[0] if words else ""
    if command not in ("", "debug", "version"):
        raise UsageError(f'no such command: "{command}"; `{PROGRAM} help` lists them')
    if any(word in ("-h", "-help", "--help") for word in words[1:]):
        print(f"{PROGRAM} {command} - {COMMANDS[command]}")
        return Exit.OK
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

    return serve(settings, secret_in_argv=bool(given.get("jwt-secret")))


def _parsed(arguments: Sequence[str]) -> tuple[Mapping[str, Sequence[str]], Sequence[str]]:
    """The values of each option that is there, and what follows; raises `UsageError` (Go's package flag)."""
    given: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        argument = rest.pop(0)
        if argument == "--":
            break
        name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
        if name in ("h", "help"):
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
    lines = [
        "NAME:",
        f"   {PROGRAM} - Pipeline runner",
        "",
        "USAGE:",
        f"   {PROGRAM} [global options] command [command options] [arguments...]",
        "",
        "COMMANDS:",
        *(f"   {name:<8}  {told}" for name, told in COMMANDS.items()),
        "",
        "GLOBAL OPTIONS:",
    ]
    for option in OPTIONS:
        names = f"--{option.name}" + (f", -{option.short}" if option.short else "")
        names += "" if option.kind == "switch" else " value"
        lines.append(f"   {names:<23}{told_of(option)}")
    lines.append("   --help, -h             show help (default: false)")
    return "\n".join([*lines, "", f"Without a command it serves. {_SIGNALS}"])


_SIGNALS = """Signals: SIGINT waits for running jobs, SIGTERM cancels them (a second one
ends at once), SIGUSR1 reloads the definitions. Exit codes: 0 after a complete shutdown, else 1."""
