"""`paas-runner check`."""

import argparse

from paas_runner.commands.command import Command, add_config

_EPILOG = """\
what is checked:
  the file      everything that the service would say about it, with file and line
  this machine  git; whether the state can be written, what is in it, who works on it; modes of files
  each runner   its token at the coordinator (which lists this machine under the runner from then on); its
                executor: credentials, organisation or tenants, flavors, zones, weight quota
  the clock     ours against those of the coordinator and the cloud
Nothing is created or changed, and the service may run meanwhile. Whatever is asked over the network has a
deadline of 20 seconds; all runners are asked side by side.

marks:
  ✓ fine    ! works, but should be known    ✗ would not work    - not looked at

fields of --json:
  verdict       the worst grade: fine, warning or fault
  counts        how many results have each grade
  results       runner (or null), subject, grade (fine, warning, fault, skipped), text, advice (or null)
  with --show: configuration (the file's own keys) and meaning (sentences, by key)

exit codes:
  0   everything would work; there may be warnings
  1   something would not work
  2   wrong arguments
  78  the configuration is wrong: every complaint is printed with its file and line
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    parser.add_argument("--offline", action="store_true", help="leave out everything that needs the network")
    parser.add_argument(
        "--show",
        action="store_true",
        help=(
            "check the file alone, and print the configuration that is in effect: defaults filled in, "
            "secrets hidden, and what the settings mean in numbers; as TOML, or as JSON with --json"
        ),
    )


def _call(arguments: argparse.Namespace) -> int:
    from paas_runner.checking import run

    return run(arguments.config, show=arguments.show, as_json=arguments.json, offline=arguments.offline)


COMMAND = Command(
    name="check",
    help="whether a configuration would work here: file, tokens, accounts, flavors, state, modes, clock",
    description=(
        "Look at everything that the service needs, without starting it, and say what would not work and "
        "what to do about it."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
