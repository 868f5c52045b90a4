"""`paas-runner pipelines approvals`, `approve`, `triggers`, `events` and the like: people and triggers.

What is decided is what was shown: the digest that goes with a decision is that of the approval as it is when
the command asks for it, and the server refuses it where that has changed meanwhile.
"""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from paas_runner.commands import output
from paas_runner.errors import UsageError
from paas_runner.plain_text import one_line, rough_span

if TYPE_CHECKING:
    from paas_pipelines.cli.asking import Server

SHORT = 8


def approvals(arguments: argparse.Namespace, server: "Server") -> None:
    """Those that are open."""
    found = server.asked("GET", "/approvals" + ("?mine=1" if arguments.mine else ""))
    if arguments.json:
        output.show_json(found)
        return
    rows = [
        (each["run"][:SHORT], each["pipeline"], each["task"], each["user"], _age(each["since"]), _mine(each))
        for each in found["approvals"]
    ]
    if not rows:
        output.show("no approval is open" + (" that you can decide" if arguments.mine else ""))
        return
    output.show(output.Table(head=("run", "pipeline", "approval", "started by", "open for", ""), rows=rows))


def approve(arguments: argparse.Namespace, server: "Server") -> None:
    """Says yes, with the values that the approval asks for."""
    _decide(arguments, server, "approve", _values(arguments.values))


def reject(arguments: argparse.Namespace, server: "Server") -> None:
    """Says no."""
    _decide(arguments, server, "reject", {})


def rerun(arguments: argparse.Namespace, server: "Server") -> None:
    """Another run with the same variables."""
    run = server.found(arguments.run)
    output.show(server.asked("POST", f"/runs/{run['id']}/rerun")["jobId"])


def outputs(arguments: argparse.Namespace, server: "Server") -> None:
    """What the run and its tasks have told."""
    run = server.found(arguments.run)
    found = server.asked("GET", f"/runs/{run['id']}/outputs")
    if arguments.json:
        output.show_json(found)
        return
    lines = [f"{name}={_text(value)}" for name, value in found["outputs"].items()]
    lines += [
        f"{task}: {name}={_text(value)}"
        for task, values in found["tasks"].items()
        for name, value in values.items()
    ]
    output.show(*(lines or ["the run has told nothing"]))


def triggers(arguments: argparse.Namespace, server: "Server") -> None:
    """All of them, with what they do next."""
    found = server.asked("GET", "/triggers")
    if arguments.json:
        output.show_json(found)
        return
    rows = [
        (f"{each['pipeline']}/{each['name']}", each["type"], _next(each), _state(each))
        for each in found["triggers"]
    ]
    if not rows:
        output.show("no pipeline has a trigger")
        return
    output.show(output.Table(head=("trigger", "by", "next, UTC", "state"), rows=rows))


def fire(arguments: argparse.Namespace, server: "Server") -> None:
    """Starts it now."""
    found = server.asked("POST", f"{_path(arguments.trigger)}/fire")
    output.show(f"event {found['event']}")


def pause(arguments: argparse.Namespace, server: "Server") -> None:
    """What comes from now on starts nothing."""
    server.asked("POST", f"{_path(arguments.trigger)}/pause")
    output.show(f"trigger {arguments.trigger} is paused")


def resume(arguments: argparse.Namespace, server: "Server") -> None:
    """What comes from now on starts runs again."""
    server.asked("POST", f"{_path(arguments.trigger)}/resume")
    output.show(f"trigger {arguments.trigger} is on again")


def events(arguments: argparse.Namespace, server: "Server") -> None:
    """The last ones, one with what came with it, or one tried again."""
    if arguments.retry and not arguments.event:
        raise UsageError("--retry needs the id of an event")
    if arguments.event:
        path = f"/events/{quote(arguments.event, safe='')}"
        found = server.asked("POST", f"{path}/retry") if arguments.retry else server.asked("GET", path)
        output.show_json(found)
        return
    found = server.asked("GET", "/events")
    some = found["events"][: arguments.last]
    if arguments.json:
        output.show_json({**found, "events": some})
        return
    rows = [
        (each["id"], f"{_age(each['created'])} ago", each["trigger"], each["state"], _outcomes(each))
        for each in some
    ]
    if not rows:
        output.show("there are no events")
        return
    output.show(output.Table(head=("event", "came", "by", "state", "what became of it"), rows=rows))


def leaks(arguments: argparse.Namespace, server: "Server") -> None:
    """What of executors could not be taken away."""
    found = server.asked("GET", "/leaks")
    if arguments.json:
        output.show_json(found)
        return
    rows = [
        (
            each["run"][:SHORT],
            each["pipeline"],
            each["task"] or "the run",
            each["executor"],
            one_line(each["left"]),
        )
        for each in found["leaks"]
    ]
    if not rows:
        output.show("nothing is left of any executor")
        return
    output.show(
        output.Table(head=("run", "pipeline", "task", "executor", "why it is still there"), rows=rows)
    )


def typed(server: "Server", pipeline: str, given: Mapping[str, str]) -> Mapping[str, Any]:
    """Texts of a command line as the pipeline's parameters want them; raises `UsageError`.

    Of a pipeline that does not check what it is given all stay texts.
    """
    definition = server.definition(pipeline) if given else None
    if definition is None or not definition["checked"]:
        return given
    from paas_pipelines.definitions.parameter import Parameter, ParameterKind, from_text

    known = {each["name"]: each for each in definition["params"]}
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for name, text in given.items():
        told = known.get(name)
        if told is None:
            wrong.append(f"{pipeline} has no param {name!r}, but {', '.join(known) or 'none'}")
            continue
        kind, choices = ParameterKind(told["type"]), tuple(told.get("options", ()))
        try:
            found[name] = from_text(Parameter(name=name, kind=kind, choices=choices), text)
        except ValueError as error:
            wrong.append(f"{name}={text}: {error}")
    if wrong:
        raise UsageError("; ".join(wrong))
    return found


def _decide(
    arguments: argparse.Namespace, server: "Server", decision: str, values: Mapping[str, str]
) -> None:
    run = server.found(_latest_open(server) if arguments.run == "latest" else arguments.run)
    task = arguments.task or _only_approval(server, run["id"])
    path = f"/runs/{run['id']}/approvals/{quote(task, safe='')}"
    asked = server.asked("GET", path)
    if not asked.get("digest"):
        raise UsageError(f'"{task}" does not ask for an approval yet')
    for line in _about(asked):
        output.note(line)
    body = {
        "decision": decision,
        "reason": arguments.reason or "",
        "digest": asked["digest"],
        "values": _as_asked(asked["params"], values),
    }
    found = server.asked("POST", path, body)
    left = found["count"] - len({each["user"] for each in found["decisions"]})
    more = f"; {left} more {'has' if left == 1 else 'have'} to approve" if found["state"] == "open" else ""
    output.show(f"{task} of run {run['id'][:SHORT]} is {found['state']}{more}")


def _latest_open(server: "Server") -> str:
    """The run that asks since the shortest while; beside a schedule the newest run seldom asks."""
    found = server.asked("GET", "/approvals")["approvals"]
    return str(max(found, key=lambda each: each["since"])["run"]) if found else "latest"


def _only_approval(server: "Server", run_id: str) -> str:
    found = server.asked("GET", "/approvals")["approvals"]
    names = [str(each["task"]) for each in found if each["run"] == run_id]
    if not names:
        raise UsageError(
            f"run {run_id[:SHORT]} waits for nobody: `paas-runner pipelines approvals` shows what does"
        )
    if len(names) > 1:
        raise UsageError(f"run {run_id[:SHORT]} asks for several approvals: name one of {', '.join(names)}")
    return names[0]


def _about(asked: Mapping[str, Any]) -> Sequence[str]:
    lines = [one_line(asked["text"])] if asked["text"] else []
    lines += [f"{name}={_text(value)}" for name, value in asked["variables"].items()]
    lines += [
        f"{task}: {name}={_text(value)}"
        for task, values in asked["outputs"].items()
        for name, value in values.items()
    ]
    return lines


def _as_asked(params: Sequence[Mapping[str, Any]], values: Mapping[str, str]) -> Mapping[str, Any]:
    from paas_pipelines.definitions.parameter import Parameter, ParameterKind, from_text

    kinds = {each["name"]: each for each in params}
    found: dict[str, Any] = {}
    for name, text in values.items():
        told = kinds.get(name, {"type": "string"})
        parameter = Parameter(
            name=name, kind=ParameterKind(told["type"]), choices=tuple(told.get("options", ()))
        )
        try:
            found[name] = from_text(parameter, text)
        except ValueError as error:
            raise UsageError(f"{name}={text}: {error}") from None
    return found


def _values(words: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise UsageError(f'"{word}" is no value: NAME=value, in quotes where it has blanks')
        found[name] = text
    return found


def _path(name: str) -> str:
    pipeline, slash, trigger = name.rpartition("/")
    if not slash or not pipeline or not trigger:
        raise UsageError(
            f'"{name}" is no trigger: PIPELINE/TRIGGER, as `paas-runner pipelines triggers` has it'
        )
    return f"/triggers/{quote(pipeline, safe='')}/{quote(trigger, safe='')}"


def _next(trigger: Mapping[str, Any]) -> str:
    times = trigger.get("nextTimes") or [""]
    return str(times[0]).replace("T", " ").rstrip("Z") or str(trigger.get("path", ""))


def _state(trigger: Mapping[str, Any]) -> str:
    if not trigger["enabled"]:
        return "switched off"
    by = f" by {trigger['pausedBy']}" if trigger.get("pausedBy") else ""
    return f"paused{by}" if trigger["paused"] else "on"


def _outcomes(event: Mapping[str, Any]) -> str:
    words = [
        f"run {each['run'][:SHORT]}" if each.get("run") else one_line(each.get("refusal", ""))
        for each in event["outcomes"]
    ]
    return "; ".join(words) or one_line(event.get("reason") or event.get("error", ""))


def _mine(approval: Mapping[str, Any]) -> str:
    return "yours to decide" if approval["mine"] else ""


def _text(value: Any) -> str:
    from paas_pipelines.definitions.parameter import text_of

    return one_line(text_of(value))


def _age(moment: str) -> str:
    return rough_span(datetime.now(UTC) - datetime.fromisoformat(moment))
