"""`paas-runner workflow …`: workflows for people, an entry point of `paas_runner.commands`.

Each action is a command of its own; what it needs is imported when it is called, so that `--help` stays
instant.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from paas_runner.commands.command import Command
from paas_runner.errors import Exit
from paas_workflows.commands.options import add_run_options, add_state

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from paas_runner.commands.output import Line, Table
    from paas_workflows.machine.execution import Execution
    from paas_workflows.store.executions import Executions

T = TypeVar("T")

OUR_CODES = """\
  2       an error of ours: a wrong file, option or engine
  74, 75  the record cannot be written; another process works on it
"""
RUN_CODES = f"""\
signals:
  SIGINT, SIGTERM  stop and remove the container, end with abort; a second one ends at once: `resume` goes on

exit codes:
  0       success (with --use-job-rc=false whatever came of it)
  1-123   failure: the `rc` of the step that decided
  15      abort, unless the container gave an `rc` of its own
  124     timeout
{OUR_CODES}"""
_CHECK_CODES = """\
exit codes:
  0  it can be run, warnings aside
  1  it cannot
  2  wrong arguments, or a file that is neither JSON nor YAML
"""
_CODES = """\
exit codes:
  0   done
  2   wrong arguments, or there is no such thing
  74  records cannot be read
"""


def _executions(arguments: argparse.Namespace) -> "Executions":
    from paas_workflows.store.executions import Executions, default_folder

    return Executions(arguments.state or default_folder(os.environ))


def run_file(arguments: argparse.Namespace) -> "Execution":
    """For kog, too."""
    from paas_workflows.commands.running import begin

    return _finished(begin(arguments, _executions(arguments)))


def _finished(work: "Coroutine[Any, Any, T]") -> "T":
    import asyncio

    return asyncio.run(work)


def _tell(arguments: argparse.Namespace, parts: "Sequence[Line | Table]", value: object) -> None:
    from paas_runner.commands.output import show, show_json

    if arguments.json:
        show_json(value)
    else:
        show(*parts)


def _run(arguments: argparse.Namespace) -> int:
    return _ended(run_file(arguments), arguments)


def _resume(arguments: argparse.Namespace) -> int:
    from paas_workflows.commands.running import go_on

    return _ended(_finished(go_on(arguments.id, _executions(arguments))), arguments)


def _ended(execution: "Execution", arguments: argparse.Namespace) -> int:
    from paas_workflows.commands.showing import as_object, shown
    from paas_workflows.machine.deciding import exit_code

    _tell(arguments, shown(execution, _executions(arguments)), as_object(execution))
    return exit_code(execution, use_job_rc=arguments.use_job_rc)


def _list(arguments: argparse.Namespace) -> int:
    from paas_workflows.commands.showing import as_object, listed

    found = _executions(arguments).all()
    parts = [listed(found) if found else "there are no executions here"]
    _tell(arguments, parts, [as_object(each) for each in found])
    return Exit.OK


def _show(arguments: argparse.Namespace) -> int:
    from paas_workflows.commands.showing import as_object, shown

    executions = _executions(arguments)
    found = executions.read(arguments.id)
    _tell(arguments, shown(found, executions), as_object(found))
    return Exit.OK


def _remove(arguments: argparse.Namespace) -> int:
    from paas_workflows.commands.running import forget

    _finished(forget(arguments.id, _executions(arguments)))
    return Exit.OK


def _graph(arguments: argparse.Namespace) -> int:
    from paas_runner.commands.output import show, show_data
    from paas_workflows.commands.graph import drawn, picture
    from paas_workflows.commands.running import file_examined

    file = _finished(file_examined(arguments.file)).usable.beginning(arguments.workflow, None)
    if arguments.svg:
        show_data(picture(file))
    else:
        show(*drawn(file))
    return Exit.OK


def _check(arguments: argparse.Namespace) -> int:
    import attrs

    from paas_workflows.commands.running import file_examined
    from paas_workflows.reading import shown

    found = _finished(file_examined(arguments.file))
    can_run = [] if found.complaints else [f"{shown(arguments.file)}: can be run"]
    parts = [*map(str, found.complaints), *(f"{each} (warning)" for each in found.warnings), *can_run]
    kinds = {"complaints": found.complaints, "warnings": found.warnings}
    _tell(arguments, parts, {kind: [attrs.asdict(each) for each in kinds[kind]] for kind in kinds})
    return Exit.FAILED if found.complaints else Exit.OK


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a path or an http(s) URL, in JSON or YAML")


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of the execution, as `list` has it")
    parser.set_defaults(use_job_rc=True)


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")


def _drawing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workflow", metavar="NAME", help="which one, instead of `current_workflow`")
    parser.add_argument("--svg", action="store_true", help="print a picture in SVG")


def _action(
    name: str,
    call: Callable[[argparse.Namespace], int],
    text: str,
    *adding: Callable[[argparse.ArgumentParser], None],
    epilog: str = _CODES,
) -> Command:
    def arguments(parser: argparse.ArgumentParser) -> None:
        for add in adding:
            add(parser)

    description = f"{text[0].upper()}{text[1:]}."
    return Command(
        name=name, help=text, description=description, epilog=epilog, arguments=arguments, call=call
    )


ACTIONS: Sequence[Command] = (
    _action(
        "check",
        _check,
        "say everything that is wrong with a file, before anything starts",
        _file,
        _json,
        epilog=_CHECK_CODES,
    ),
    _action("graph", _graph, "draw a workflow: its steps, and where they go", _file, _drawing),
    _action("run", _run, "run a workflow file to its end", _file, add_run_options, _json, epilog=RUN_CODES),
    _action("resume", _resume, "go on with one that was killed", _id, add_state, _json, epilog=RUN_CODES),
    _action("list", _list, "list executions, those that have ended, too", add_state, _json),
    _action("show", _show, "show an execution and its steps", _id, add_state, _json),
    _action("remove", _remove, "forget an execution, and remove its containers", _id, add_state),
)


def _arguments(parser: argparse.ArgumentParser) -> None:
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
    name="workflow",
    help="workflows of containers, compatible with kog's job files",
    description="Run steps in containers, each of which says by how it ends where to go next.",
    epilog="Each action has its own --help, with its exit codes; options stand behind the action.",
    arguments=_arguments,
    call=lambda arguments: int(arguments.action.call(arguments)),
)
