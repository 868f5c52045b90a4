"""A task's script with the run's variables in it (spec prunner-api.md §4)."""

import shlex
from collections.abc import Iterator, Sequence

import attrs

from paas_pipelines.tasks.place import TaskOrder
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError


@attrs.frozen(kw_only=True)
class RenderedScript:
    """What is to be run, in order, and then the error that fails the task, `allow_failure` or not."""

    entries: tuple[str, ...] = ()
    error: str = ""
    """Why the entry after these cannot be rendered; none of those behind it is run."""


def rendered(order: TaskOrder) -> RenderedScript:
    """The entries up to the first that cannot be rendered.

    Values are put in once and never rendered themselves (§11, 9). Zero bytes are left out, as shells do:
    nothing that is to be executed can have them.
    """
    entries: list[str] = []
    for entry in order.task.definition.script:
        try:
            text = Template.parse(entry).render(order.variables)
        except TemplateError as wrong:
            return RenderedScript(entries=tuple(entries), error=str(wrong))
        entries.append(text.replace("\0", ""))
    return RenderedScript(entries=tuple(entries))


def program_of(order: TaskOrder) -> tuple[str, ...]:
    """What reads its script, with arguments, where that is not prunner's shell."""
    definition = order.task.definition
    if definition.shell:
        return definition.shell
    given = definition.executor.settings.get("shell", ()) if definition.executor else ()
    return tuple(shlex.split(given)) if isinstance(given, str) else tuple(map(str, given))


def mistakes(script: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The entries that are no templates, whatever the variables: their places from 1, and what is wrong.

    A pipeline with such an entry is legal, and the task fails when it comes to it; `check` tells it before.
    """
    for number, entry in enumerate(script, start=1):
        try:
            Template.parse(entry)
        except TemplateError as wrong:
            yield number, str(wrong)
