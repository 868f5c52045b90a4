"""`paas-runner list`."""

import argparse

from paas_runner.commands.command import Command, add_config

_EPILOG = """\
fields of --json:
  name, short_token, executor, limit (0 is unlimited), url

exit codes:
  0   the list is printed
  2   wrong arguments
  78  the configuration is wrong
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    from register.selection import run

    return run(arguments.config, as_json=arguments.json)


COMMAND = Command(
    name="list",
    help="the runners of a configuration",
    description="The runners of a configuration: name, short form of the token, executor, limit, address.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
