"""Pipelines that ask people, call one another and look at what was said: for worlds that kill servers."""

from datetime import timedelta

from paas_pipelines.definitions.automation import (
    Approval,
    Call,
    Match,
    Message,
    OnDeadline,
    Outcome,
    OutputDefinition,
    Slot,
    TaskType,
)
from paas_pipelines.definitions.definition import Restart, TaskDefinition
from paas_pipelines.definitions.parameter import ParameterKind

from tests.paas_pipelines.worlds.engine_by_hand import task

PEOPLE = ("ann", "bob", "cat")
STARTER = "ann"
NOTIFIER = "chat"
CHANGED = {"changed": OutputDefinition(kind=ParameterKind.BOOLEAN)}
BELOW = {"p": "q", "q": "r"}
"""Which pipeline calls which."""


def approval(*needs, when=None, **keys):
    return TaskDefinition(
        type=TaskType.APPROVAL, depends_on=needs, when=when, approval=Approval(text="go on?", **keys)
    )


def tolerant(type_, *needs, **keys):
    return TaskDefinition(type=type_, depends_on=needs, on_failure=Outcome.CONTINUE, **keys)


def call(name, *needs, **keys):
    wait = keys.pop("wait", True)
    return TaskDefinition(
        type=TaskType.CALL, depends_on=needs, call=Call(pipeline=BELOW[name], wait=wait), **keys
    )


def drawn(rng, name):
    """The tasks of a pipeline of this name, and its outputs."""
    asks = {
        "deadline": timedelta(seconds=rng.choice([20, 200, 900])),
        "on_deadline": rng.choice(list(OnDeadline)),
        "count": rng.choice([1, 1, 2, 3]),
        "slot": rng.choice(list(Slot)),
        "four_eyes": rng.random() < 0.3,
    }
    retry = {"restart": Restart.RETRY} if rng.random() < 0.7 else {}
    shapes = [
        {
            "plan": task(outputs=CHANGED, **retry),
            "ok": approval("plan", when="outputs.plan.changed", **asks),
            "apply": task("ok", when='status.plan == "success"', **retry),
        },
        {
            "a": task(**retry),
            "found": tolerant(TaskType.MATCH, "a", match=Match(text="stdout.a", pattern="(beg)un")),
            "same": tolerant(TaskType.COMPARE, "found", compare='outputs.found.groups[0] == "beg"'),
            "tell": tolerant(
                TaskType.MESSAGE, "same", message=Message(to=NOTIFIER, text="{{ .outputs.same.result }}")
            ),
            "ok": approval("tell", **asks),
            "b": task("ok", runner="clever"),
        },
        {
            "ok": approval(**asks),
            "a": task("ok", **retry),
            "b": task(runner="clever"),
            "ok2": approval("b", **asks),
        },
        {"a": task(on_success=Outcome.SUCCEED, **retry), "b": task("a"), "ok": approval(**asks)},
    ]
    if name in BELOW:
        shapes += [
            {"a": task(**retry), "sub": call(name, "a"), "b": task("sub", runner="clever")},
            {"sub": call(name), "ok": approval("sub", **asks), "b": task("ok", **retry)},
            {
                "sub": call(name, wait=False),
                "also": call(name, on_failure=Outcome.CONTINUE),
                "a": task(**retry),
            },
        ]
    tasks = rng.choice(shapes)
    return {"tasks": tasks, "outputs": {"said": f"status.{next(iter(tasks))}"}}
