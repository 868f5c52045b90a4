"""What registration brings to the command line: `register`, `unregister`, `verify`, `list`.

They are entry points of the group `paas_runner.commands`; `heptapod-paas-runner-register` is the first of
them as a program of its own. Whatever a command needs to do its work is imported when it is called, so that
`--help` stays instant.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from paas_runner.commands.command import Command, add_config, exit_code_of
from paas_runner.errors import Exit, UsageError
from paas_runner.secret import Secret
from register import options


def main(arguments: Sequence[str] | None = None) -> int:
    """`heptapod-paas-runner-register`."""
    parser = register_parser()
    return exit_code_of(parser.prog, lambda: REGISTER.run(parser.parse_args(arguments)))


def register_parser() -> argparse.ArgumentParser:
    """What `heptapod-paas-runner-register` takes, for its manual page, too."""
    parser = argparse.ArgumentParser(
        prog="heptapod-paas-runner-register",
        description=REGISTER.description,
        epilog=REGISTER.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    REGISTER.arguments(parser)
    return parser


# --- register ---------------------------------------------------------------------------------------------


def _register(arguments: argparse.Namespace) -> int:
    from paas_runner.executor.contract import installed
    from paas_runner.http import Http
    from paas_runner.logs import LEVELS, configure
    from register.registration import Registration
    from register.terminal import GivenUpError, Terminal, interruptible

    if arguments.logging_level not in LEVELS:
        raise UsageError(f"no such level: {arguments.logging_level}; choices: {', '.join(LEVELS)}")
    configure(level=arguments.logging_level, form="runner")
    terminal = Terminal()
    given = options.read(arguments, os.environ)
    registration = Registration(
        options=given,
        terminal=terminal if terminal.usable() and not given.non_interactive else None,
        show=terminal.show,
        connect=Http(),
        executors=installed(),
    )
    try:
        with interruptible("given up: nothing was changed"):
            registration.run()
    except GivenUpError:
        terminal.show("")  # the cursor stands behind a question
        raise
    for line in _next_steps(given.config.absolute()):
        terminal.show(line)
    return Exit.OK


def _next_steps(config: Path) -> Sequence[str]:
    """Commands that can be pasted; with the package the service belongs to systemd, and to its own user."""
    from paas_runner.config.packaged import USER, unit_of

    unit = unit_of(config)
    packaged = unit is not None and unit.is_installed()
    as_user = f"sudo -u {USER} " if packaged and os.geteuid() == 0 else ""
    start = f"systemctl enable --now {unit.name}" if unit and packaged else f"heptapod-paas-runner {config}"
    return (
        f"  check it:                    {as_user}paas-runner check {config}",
        f"  start the service:           {start}",
        f"  a service that runs already: {as_user}paas-runner reload {config}",
    )


REGISTER = Command(
    name="register",
    help="register a runner, and write its section: asked for on a terminal, or scripted",
    description=(
        "Register a runner at a coordinator, and write the section with which the service can serve it."
    ),
    epilog="""\
what is not given:
  is asked for on a terminal, and checked at once. With --non-interactive, or without a terminal, everything
  that is missing is named, and nothing happens. What the executor needs is taken from --set KEY=VALUE, from
  the environment (the key in capitals: CC_ORGA_ID, CC_TOKEN, DOCKER_IMAGE …) or from the template, in this
  order.

tokens:
  Everybody on this machine sees arguments: give tokens as variables, or let them be asked for. The new
  authentication tokens (glrt-…) are verified, and nothing is registered: what such a runner takes and how
  long is set where it was created. Instead of a secret its place may be given, as in the configuration:
  env:NAME, file:PATH, credential:NAME, secret:KEY.

what is written:
  A [[runners]] section at the end of CONFIG, everything else in it stays as it is; a file that is not there
  is made, for its owner alone. When it cannot be written, the runner is unregistered again.

exit codes:
  0   the runner is in CONFIG
  1   it is not: an answer was refused, something could not be reached or written, or it was given up
  2   wrong arguments, or missing ones and no one to ask
  78  CONFIG or the template cannot be used
""",
    arguments=options.add_arguments,
    call=_register,
)


# --- unregister -------------------------------------------------------------------------------------------


def _unregister_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--name", help="the runner of this name, or with this short token")
    parser.add_argument("--all-runners", action="store_true", help="all runners of the file")
    parser.add_argument("-t", "--token", help="the runner with this token at --url [$CI_SERVER_TOKEN]")
    parser.add_argument("-u", "--url", help="its coordinator's address [$CI_SERVER_URL]")
    parser.add_argument("--force", action="store_true", help="although jobs of it are tracked")


def _unregister(arguments: argparse.Namespace) -> int:
    from register.terminal import interruptible
    from register.unregister import Request, unregister

    token = arguments.token or os.environ.get("CI_SERVER_TOKEN")
    with interruptible():
        unregister(
            Request(
                config=arguments.config,
                name=arguments.name,
                token=Secret(token) if token else None,
                url=arguments.url or os.environ.get("CI_SERVER_URL"),
                every=arguments.all_runners,
                forced=arguments.force,
            )
        )
    return Exit.OK


UNREGISTER = Command(
    name="unregister",
    help="remove a runner at its coordinator, and its section",
    description="Remove a runner at its coordinator, and its section from the configuration.",
    epilog="""\
A runner that was created at the coordinator (token glrt-…) stays there, and only loses this machine; any
other is removed. Its section goes from CONFIG once the coordinator has agreed; what its `secrets_file` has
stays. A runner with tracked jobs is refused: they could not be followed to their end.

exit codes:
  0   unregistered, and no longer in CONFIG
  1   the coordinator did not agree or cannot be reached, there are tracked jobs, or CONFIG cannot be written
  2   wrong arguments, or no such runner
  78  the configuration is wrong, or the section does not stand in one piece
""",
    arguments=_unregister_arguments,
    call=_unregister,
)


# --- verify -----------------------------------------------------------------------------------------------


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--name", help="only the runner of this name, or with this short token")
    parser.add_argument("--delete", action="store_true", help="remove the sections of those not known")


def _verify(arguments: argparse.Namespace) -> int:
    from register.terminal import interruptible
    from register.verify import verify

    with interruptible():
        return verify(arguments.config, name=arguments.name, delete=arguments.delete)


VERIFY = Command(
    name="verify",
    help="whether the coordinators know the runners",
    description="Ask the coordinators whether they know the runners of a configuration.",
    epilog="""\
marks:
  ✓ known    ✗ not known    ! not known now: counted as known

exit codes:
  0   all are known, as far as can be found out; or the others' sections are gone
  1   a runner is not known there, or CONFIG cannot be written
  2   wrong arguments, or no such runner
  78  the configuration is wrong, or a section does not stand in one piece
""",
    arguments=_verify_arguments,
    call=_verify,
)


# --- list -------------------------------------------------------------------------------------------------


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _list(arguments: argparse.Namespace) -> int:
    from paas_runner.commands.output import Table, show, show_json
    from register.sections import loaded

    runners = loaded(arguments.config).runners
    if arguments.json:
        names = ("name", "short_token", "executor", "limit", "url")
        show_json([{name: getattr(runner, name) for name in names} for runner in runners])
    else:
        rows = [
            (runner.name or "-", runner.short_token, runner.executor, str(runner.limit or "-"), runner.url)
            for runner in runners
        ]
        show(Table(head=("NAME", "TOKEN", "EXECUTOR", "LIMIT", "COORDINATOR"), rows=rows))
    return Exit.OK


LIST = Command(
    name="list",
    help="the runners of a configuration",
    description="The runners of a configuration: name, short form of the token, executor, limit, address.",
    epilog="""\
fields of --json:
  name, short_token, executor, limit (0 is unlimited), url

exit codes:
  0   the list is printed
  2   wrong arguments
  78  the configuration is wrong
""",
    arguments=_list_arguments,
    call=_list,
)
