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
from paas_runner.commands.command import Command
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

    run_id = server.schedule(arguments.pipeline, _variables(arguments), arguments.partition)
    if arguments.wait or arguments.follow:
        output.note(f"run {run_id}")
        return follow(server, run_id, logs=arguments.follow)
    output.show(run_id)
    return None


def _variables(arguments: argparse.Namespace) -> dict[str, Any]:
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
    own: set[str] = set()
    for word in arguments.variables:
        variable, equals, value = word.partition("=")
        if not variable or not equals:
            raise UsageError(f'"{word}" is no variable: VAR=value, in quotes where it has blanks')
        if variable in own:
            raise UsageError(f"{variable}= is given twice")
        own.add(variable)
        found[variable] = value
    return dict(found)


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


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text[:9])


def _argument(*names: str, **how: Any) -> "_Add":
    return lambda parser: parser.add_argument(*names, **how)


_Add = Callable[[argparse.ArgumentParser], object]
_Call = Callable[[argparse.Namespace, "Server"], Exit | None]
_RUN = _argument("run", metavar="RUN", help="its id, the beginning of it, or `latest`")


def _command(name: str, told: str, call: _Call, *given: _Add) -> Command:
    def arguments(parser: argparse.ArgumentParser) -> None:
        for add in given:
            add(parser)
        add_options(parser, only={"address", "config", "jwt-secret"})

    def called(arguments: argparse.Namespace) -> int:
        from paas_pipelines.cli.asking import Server
        from paas_runner.logs import configure

        settings = settings_of(given_in(arguments), os.environ)
        configure(level="warning", form=settings.log_form)
        with Server(settings, user=getattr(arguments, "user", None)) as server:
            return call(arguments, server) or Exit.OK

    text = f"{told[:1].upper()}{told[1:]}."
    return Command(name=name, help=told, description=text, epilog=_EXITS, arguments=arguments, call=called)


CLIENT: Sequence[Command] = (
    _command(
        *("list", "pipelines, what runs and waits, and the last runs", _list),
        _argument("--json", action="store_true", help="print one JSON document, as the API has it"),
        _argument("--last", type=int, default=20, metavar="N", help="so many runs (default: %(default)s)"),
    ),
    _command(
        *("run", "start a run of a pipeline, and see how it goes; Ctrl-C leaves it going", _run),
        _argument("pipeline", metavar="NAME", help="the pipeline's name"),
        _argument("variables", metavar="VAR=value", nargs="*", default=(), help="a variable, a text"),
        _argument("--json-variables", metavar="FILE", help="an object of JSON; - is the standard input"),
        _argument("--partition", default="", metavar="P", help="for queue_strategy: partitioned_replace"),
        _argument("--user", metavar="USER", help="whose run it is (default: yours)"),
        _argument("--wait", action="store_true", help="show how it goes until it has ended"),
        _argument("--follow", action="store_true", help="the same, with what its tasks write"),
    ),
    _command(
        *("logs", "what the tasks of a run have written, each stream to its own", _logs),
        _argument("-f", "--follow", action="store_true", help="go on until it has ended"),
        _RUN,
        _argument("task", metavar="TASK", nargs="?", help="that one alone, without its name before lines"),
    ),
    _command("cancel", "cancel a run that waits or runs", _cancel, _RUN),
    _command(
        *("token", "a token for the API, for programs: `Authorization: Bearer TOKEN`", _token),
        _argument("--for", dest="user", metavar="USER", help="whose runs it schedules (default: yours)"),
        _argument(
            "--seconds", type=_seconds, default=3600, metavar="N", help="good for (default: %(default)s)"
        ),
        _argument(
            "--registration", action="store_true", help="instead: what `paas-runner register` asks for"
        ),
    ),
)
