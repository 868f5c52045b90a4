"""The command line.

`heptapod-paas-runner CONFIG` is the service, as in the program that we replace; `paas-runner` has commands.
"""

import sys

from paas_runner.service import first_signals

if first_signals.is_service(sys.argv):
    first_signals.hold()

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from paas_runner import __version__
from paas_runner.commands import (
    check,
    costs,
    demo,
    drain,
    expire,
    explain,
    migrate,
    notify,
    operate,
    orphans,
    run,
    status,
    store,
)
from paas_runner.commands.command import WORDS_BEHIND_OPTIONS, Command, exit_code_of
from paas_runner.commands.exec import COMMAND as EXEC
from paas_runner.errors import Exit, RunnerError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_DESCRIPTION = "Run CI jobs of GitLab or Heptapod on hosts that exist only while a job needs them."

COMMANDS: Sequence[Command] = (
    run.COMMAND,
    check.COMMAND,
    status.COMMAND,
    explain.COMMAND,
    operate.RELOAD,
    drain.COMMAND,
    operate.PAUSE,
    operate.RESUME,
    orphans.COMMAND,
    expire.COMMAND,
    costs.COMMAND,
    notify.COMMAND,
    migrate.COMMAND,
    store.COMMAND,
    demo.COMMAND,
    EXEC,
)
"""Those of this package; other distributions bring theirs as entry points."""

ENTRY_POINTS = "paas_runner.commands"
"""Each names a `Command`, under the name that it has there."""

_LISTED_FIRST = ("run", "register", "unregister", "verify", "list")
"""The first ones in the list of commands."""


class BrokenCommandError(RunnerError):
    """Another distribution's command cannot be loaded."""


def service(arguments: Sequence[str] | None = None) -> int:
    """`heptapod-paas-runner`."""
    parser = service_parser()
    return exit_code_of(parser.prog, lambda: run.COMMAND.run(parser.parse_args(arguments)))


def service_parser() -> argparse.ArgumentParser:
    """What `heptapod-paas-runner` takes, for its manual page, too."""
    parser = argparse.ArgumentParser(
        prog="heptapod-paas-runner",
        description=_DESCRIPTION,
        epilog=run.COMMAND.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"paas-runner {__version__}")
    run.COMMAND.arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """`paas-runner`."""
    return exit_code_of("paas-runner", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    wanted = sys.argv[1:] if arguments is None else arguments
    parser = commands_parser(wanted[:1])
    chosen, behind = parser.parse_known_args(wanted)
    taking = getattr(chosen, WORDS_BEHIND_OPTIONS, None)
    unknown = [word for word in behind if taking is None or word.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if behind and taking is not None:
        setattr(chosen, taking, [*getattr(chosen, taking), *behind])
    return exit_code_of(chosen.program, lambda: int(chosen.call(chosen)))


def commands_parser(wanted: Sequence[str] = ()) -> argparse.ArgumentParser:
    """What `paas-runner` takes: with the one command that is wanted, or all, for its manual page, too.

    Raises `BrokenCommandError` when the wanted one cannot be loaded.
    """
    parser = argparse.ArgumentParser(
        prog="paas-runner", description=_DESCRIPTION, epilog="Each command has its own --help."
    )
    parser.add_argument("--version", action="version", version=f"paas-runner {__version__}")
    _add(_commands(wanted), parser)
    return parser


def _add(commands: Sequence[Command], parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    """Make a parser understand these commands; returns the parser of each."""
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    added = []
    for command in commands:
        subparser = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(subparser)
        subparser.set_defaults(call=command.run, program=subparser.prog)
        added.append(subparser)
    return added


def _commands(wanted: Sequence[str]) -> Sequence[Command]:
    """The command that is wanted, if there is one of that name; else all, in their order.

    Entry points are looked for only when they are needed, since that takes nearly as long as all the rest of
    --help. No other distribution's command takes the name of one of ours, and one that cannot be loaded is
    in no other one's way. Raises `BrokenCommandError` when it is the wanted one.
    """
    ours = {command.name: command for command in COMMANDS}
    if wanted and wanted[0] in ours:
        return [ours[wanted[0]]]
    from importlib.metadata import entry_points

    others = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS) if entry.name not in ours}
    if wanted and wanted[0] in others:
        return [_loaded(others[wanted[0]])]
    known = ours | {name: _listed(entry) for name, entry in others.items()}
    first = [known.pop(name) for name in _LISTED_FIRST if name in known]
    return [*first, *known.values()]


def _loaded(entry: "EntryPoint") -> Command:
    """The command under the name of its entry point; raises `BrokenCommandError`.

    All of its help is made once: what is wrong in there would be in the way of `paas-runner --help`.
    """
    try:
        command = entry.load()
        if isinstance(command, Command):
            command = attrs.evolve(command, name=entry.name)
            trial = argparse.ArgumentParser()
            for parser in (*_add([command], trial), trial):
                parser.format_help()
            return command
        problem = f"{entry.value} is no command, but {type(command).__name__}"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is not our code, and must not end ours
        problem = f"{type(error).__name__}: {error}"
    brought_by = entry.dist.name if entry.dist else "another distribution"
    raise BrokenCommandError(f"the command `{entry.name}` of {brought_by} cannot be loaded: {problem}")


def _listed(entry: "EntryPoint") -> Command:
    try:
        return _loaded(entry)
    except BrokenCommandError:
        return Command(
            name=entry.name,
            help="(it cannot be loaded: call it to see why)",
            description="",
            epilog="",
            arguments=lambda _: None,
            call=lambda _: Exit.FAILED,
        )
