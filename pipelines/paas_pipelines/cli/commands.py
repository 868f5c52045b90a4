"""`paas-runner pipelines …`: the pipelines server for people, an entry point of `paas_runner.commands`.

Each action is a command of its own; what it needs is imported when it is called, so that `--help` stays
instant.
"""

import argparse
import os
from collections.abc import Sequence

from paas_pipelines.cli.automation_commands import AUTOMATION
from paas_pipelines.cli.client import CLIENT
from paas_pipelines.cli.options import OPTIONS, add_options, doubts_of, given_in, settings_of
from paas_pipelines.cli.plugin_listing import PLUGINS
from paas_runner.commands.command import Command
from paas_runner.errors import Exit

_SERVE_EPILOG = """\
signals:
  SIGINT   take no more runs, cancel those that wait, wait for those that run, exit
  SIGTERM  the same, but those that run are canceled; a second one ends at once
  SIGUSR1  read the definitions again

exit codes:
  0   everything has ended, and is on the disk
  1   unexpected error, or ended at once: the next start goes on from the records
  2   wrong arguments
  74  the records cannot be read or written
  75  another server works with the same data
  78  definitions, secret, address or files with variables cannot be used
"""


def _serve(arguments: argparse.Namespace) -> int:
    given = given_in(arguments)
    from paas_pipelines.server.process import serve

    return serve(settings_of(given, os.environ), doubts_of(given, os.environ))


SERVE = Command(
    name="serve",
    help="the server, in the foreground: the same as paas-pipelines",
    description="Serve pipelines over HTTP, in the foreground, as `paas-pipelines` does.",
    epilog=_SERVE_EPILOG,
    arguments=add_options,
    call=_serve,
)


def _check(arguments: argparse.Namespace) -> int:
    given = given_in(arguments)
    settings = settings_of(given, os.environ)
    from paas_pipelines.server.checking import results
    from paas_runner.check.configuration import worst
    from paas_runner.commands.check import show
    from paas_runner.executor.checks import Grade, warning
    from paas_runner.logs import configure

    configure(level="fatal", form="text")  # what matters of it is in the results
    found = [*(warning("options", doubt) for doubt in doubts_of(given, os.environ)), *results(settings)]
    show(found, as_json=arguments.json)
    return Exit.FAILED if worst(found) is Grade.FAULT else Exit.OK


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


CHECK = Command(
    name="check",
    help="whether a server would work here: definitions, secret, files, folders, address, runners",
    description="Look at everything that the server needs, and say all that is wrong at once.",
    epilog="Marks and the fields of --json are those of `paas-runner check`.\n\n"
    "exit codes:\n  0   everything would work\n  1   something would not\n  2   wrong arguments\n",
    arguments=_check_arguments,
    call=_check,
)

ACTIONS: Sequence[Command] = (SERVE, CHECK, PLUGINS, *CLIENT, *AUTOMATION)


class _Misplaced(argparse.Action):
    """An option of the actions that stands before the action, where its value would be taken for one."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        name = self.option_strings[0]
        parser.error(f"{name} has its place behind the action: `paas-runner pipelines ACTION {name} …`")


def _arguments(parser: argparse.ArgumentParser) -> None:
    for option in OPTIONS:
        parser.add_argument(
            f"--{option.name}",
            nargs="?",
            action=_Misplaced,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in ACTIONS:
        subparser = actions.add_parser(
            action.name,
            help=action.help,
            description=action.description,
            epilog=action.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.arguments(subparser)
        subparser.set_defaults(action=action)


COMMAND = Command(
    name="pipelines",
    help="pipelines of our own, without GitLab: a server compatible with prunner, and what asks it",
    description="Pipelines of tasks behind an HTTP API, compatible with prunner.",
    epilog="Each action has its own --help, with its exit codes; options stand behind the action.",
    arguments=_arguments,
    call=lambda arguments: int(arguments.action.call(arguments)),
)
