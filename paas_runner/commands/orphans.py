"""`paas-runner orphans`."""

import argparse

from paas_runner.commands.command import Command, add_config

_EPILOG = """\
exit codes:
  0   no orphans, or all of them removed
  1   orphans remain, or the provider could not be asked
  2   wrong arguments
  74  the store or the state file cannot be read
  78  the configuration is wrong, or cannot be served on this machine
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--delete", action="store_true", help="remove the orphans, as the service would")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.orphans import run

    return run(arguments.config, delete=arguments.delete, as_json=arguments.json)


COMMAND = Command(
    name="orphans",
    help="the hosts at the provider that no job needs, and why",
    description=(
        "Compare the provider's hosts with the records, and show each of ours: age, verdict and why.\n"
        "A host is an orphan only after two looks some seconds apart. The service may run meanwhile."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
