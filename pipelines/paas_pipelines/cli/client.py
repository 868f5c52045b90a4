"""`paas-runner pipelines list`, `run`, `logs`, `cancel` and `token`: what people ask a running server."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paas_pipelines.cli.options import add_options, given_in, settings_of
from paas_runner.commands import output
from paas_runner.commands.command import WORDS_BEHIND_OPTIONS, Command
from paas_runner.errors import Exit, UsageError

if TYPE_CHECKING:
    from paas_pipelines.cli.asking import Server

_EXITS = """\
exit codes:
  0   done; with --wait or --follow, the run went well
  1   refused; the run failed, was canceled, or has ended already; no server answers
  2   wrong arguments, or no such run
  78  there is no secret, or the server has another one
"""


def _list(arguments: argparse.Namespace, server: "Server") -> None:
    from paas_pipelines.cli import showing

    found = server.overview()
    if arguments.json:
        output.show_json({**found, "jobs": found["jobs"][: arguments.last]})
    else:
        output.show(*showing.overview(found["pipelines"], found["jobs"], arguments.last))


def _run(arguments: argparse.Namespace, server: "Server") -> Exit | None:
    from paas_pipelines.cli.following import follow

    run_id = server.schedule(arguments.pipeline, _variables(arguments, server), arguments.partition)
    if arguments.wait or arguments.follow:
        output.note(f"run {run_id}")
        return follow(server, run_id, logs=arguments.follow)
    output.show(run_id)
    return None


def _variables(arguments: argparse.Namespace, server: "Server") -> dict[str, Any]:
    """Those of the file, then those of the command line; raises `UsageError`."""
    found: Any = {}
    if name := arguments.json_variables:
        try:
            found = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
        except OSError as error:
            told = f"--json-variables {name}: {error.strerror}"
            raise UsageError(f"{told}; it names a file, and - is the standard input") from None
        except ValueError as error:
            raise UsageError(f"--json-variables {name}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise UsageError(f"--json-variables {name}: an object is expected, variables by their names")
    own: dict[str, str] = {}
    for word in arguments.variables:
        variable, equals, value = word.partition("=")
        if not variable or not equals:
            raise UsageError(f'"{word}" is no variable: VAR=value, in quotes where it has blanks')
        if variable in own:
            raise UsageError(f"{variable}= is given twice")
        own[variable] = value
    from paas_pipelines.cli.automating import typed

    return {**found, **typed(server, arguments.pipeline, own)}


def _logs(arguments: argparse.Namespace, server: "Server") -> None:
    from paas_pipelines.cli import following

    run = server.found(arguments.run)
    known = [task["name"] for task in run["tasks"]]
    if arguments.task and arguments.task not in known:
        raise UsageError(f'run {run["id"]} has no task "{arguments.task}", but {", ".join(known)}')
    logs = following.Logs(server, run["id"], named=not arguments.task)
    for now in following.looks(server, run["id"]) if arguments.follow else [run]:
        tasks = [task for task in now["tasks"] if arguments.task in (None, task["name"])]
        logs.more(tasks)
        if arguments.task and tasks[0]["status"] not in ("waiting", "running"):
            break


def _cancel(arguments: argparse.Namespace, server: "Server") -> None:
    from paas_pipelines.cli import asking, showing

    run = server.found(arguments.run)
    if run["completed"]:
        raise asking.ServerError(f"run {run['id']} has ended already: {showing.state(run)}")
    server.cancel(run["id"])
    output.show(f"run {run['id']} is canceled")


def _token(arguments: argparse.Namespace, server: "Server") -> None:
    print(server.registration_token if arguments.registration else server.token(arguments.seconds))


def _credentials(arguments: argparse.Namespace, server: "Server") -> None:
    from paas_pipelines.cli.administering import credentials

    credentials(arguments, server)


def _access(arguments: argparse.Namespace, server: "Server") -> Exit | None:
    from paas_pipelines.cli.administering import access

    return access(arguments, server)


def _audit(arguments: argparse.Namespace, server: "Server") -> Exit | None:
    from paas_pipelines.cli.administering import audit

    return audit(arguments, server)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text[:9])


def argument(*names: str, **how: Any) -> "Add":
    """One of a command's own, as argparse has it."""
    return lambda parser: parser.add_argument(*names, **how)


def words(destination: str, *, metavar: str, help: str) -> "Add":  # noqa: A002 - as argparse calls it
    """Any number of words that end a command's own, before and behind its options."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(destination, metavar=metavar, nargs="*", default=(), help=help)
        parser.set_defaults(**{WORDS_BEHIND_OPTIONS: destination})

    return add


Add = Callable[[argparse.ArgumentParser], object]
Call = Callable[[argparse.Namespace, "Server"], Exit | None]
AS = argument("--user", metavar="USER", help="as whom it is asked (default: you)")
_ACTIONS = "list, set, remove, or rekey: encrypt all with the first of credential_keys"
_LINES = "list (default), or verify: whether all lines are as they were written"
RUN = argument("run", metavar="RUN", help="its id, the beginning of it, or `latest`")


def _of_folder(arguments: argparse.Namespace) -> Exit:
    """What needs no server; raises `UsageError`, `StoreError`."""
    if arguments.what != "verify":
        raise UsageError("--data is for `audit verify` alone")
    from paas_pipelines.cli.administering import verified

    return verified(arguments.data)


def command(name: str, told: str, call: Call, *given: Add) -> Command:
    """One that asks a server; `call` is given that."""

    def arguments(parser: argparse.ArgumentParser) -> None:
        for add in given:
            add(parser)
        add_options(parser, only={"address", "config", "jwt-secret"})

    def called(arguments: argparse.Namespace) -> int:
        from paas_pipelines.cli.asking import Server
        from paas_runner.logs import configure

        if getattr(arguments, "data", None) is not None:
            return _of_folder(arguments)
        settings = settings_of(given_in(arguments), os.environ)
        configure(level="warning", form=settings.log_form)
        with Server(settings, user=getattr(arguments, "user", None)) as server:
            return call(arguments, server) or Exit.OK

    text = f"{told[:1].upper()}{told[1:]}."
    return Command(name=name, help=told, description=text, epilog=_EXITS, arguments=arguments, call=called)


CLIENT: Sequence[Command] = (
    command(
        *("list", "pipelines, what runs and waits, and the last runs", _list),
        argument("--json", action="store_true", help="print one JSON document, as the API has it"),
        argument("--last", type=int, default=20, metavar="N", help="so many runs (default: %(default)s)"),
        AS,
    ),
    command(
        *("run", "start a run of a pipeline, and see how it goes; Ctrl-C leaves it going", _run),
        argument("pipeline", metavar="NAME", help="the pipeline's name"),
        words(
            "variables", metavar="VAR=value", help="a variable: a text, or as the pipeline's params want it"
        ),
        argument("--json-variables", metavar="FILE", help="an object of JSON; - is the standard input"),
        argument("--partition", default="", metavar="P", help="for queue_strategy: partitioned_replace"),
        argument("--user", metavar="USER", help="whose run it is (default: yours)"),
        argument("--wait", action="store_true", help="show how it goes until it has ended"),
        argument("--follow", action="store_true", help="the same, with what its tasks write"),
    ),
    command(
        *("logs", "what the tasks of a run have written, each stream to its own", _logs),
        argument("-f", "--follow", action="store_true", help="go on until it has ended"),
        RUN,
        argument("task", metavar="TASK", nargs="?", help="that one alone, without its name before lines"),
        AS,
    ),
    command("cancel", "cancel a run that waits or runs", _cancel, RUN, AS),
    command(
        *("credentials", "credentials of the server's store: list, set, remove, encrypt anew", _credentials),
        argument("what", choices=("list", "set", "remove", "rekey"), metavar="ACTION", help=_ACTIONS),
        argument("name", metavar="NAME", nargs="?", help="of set and remove: the credential's name"),
        argument("--type", metavar="TYPE", help="of set: text, username_password, ssh, file, docker, …"),
        argument(
            *("--file",),
            action="append",
            metavar="FIELD=FILE",
            help="of set: a field's value; - is the standard input, which else has an object of JSON",
        ),
        argument("--json", action="store_true", help="print one JSON document"),
        AS,
    ),
    command(
        *("access", "whether somebody may do something, and which statements say so", _access),
        argument("what", choices=("explain",), metavar="explain", help="say what decides"),
        argument("method", metavar="METHOD", help="read, start, cancel, approve, use, …"),
        argument(
            "resource", metavar="RESOURCE", help="pipeline=P, task=P/T, log=P/T, credential=N, server, …"
        ),
        argument("--of", dest="identity", metavar="IDENTITY", help="whose right (default: yours)"),
        argument("--group", action="append", metavar="GROUP", help="a group of that identity"),
        argument("--json", action="store_true", help="print one JSON document"),
        AS,
    ),
    command(
        *("audit", "who has done what, and what was refused", _audit),
        argument(
            "--data",
            metavar="FOLDER",
            type=Path,
            help="of verify: look at this data folder, with or without a server, and ask none",
        ),
        argument(
            "what", choices=("list", "verify"), nargs="?", default="list", metavar="ACTION", help=_LINES
        ),
        argument("--last", type=int, default=20, metavar="N", help="so many lines (default: %(default)s)"),
        argument("--json", action="store_true", help="print one JSON document"),
        AS,
    ),
    command(
        *("token", "a token for the API, for programs: `Authorization: Bearer TOKEN`", _token),
        argument("--for", dest="user", metavar="USER", help="whose runs it schedules (default: yours)"),
        argument(
            "--seconds", type=_seconds, default=3600, metavar="N", help="good for (default: %(default)s)"
        ),
        argument("--registration", action="store_true", help="instead: what `paas-runner register` asks for"),
    ),
)
