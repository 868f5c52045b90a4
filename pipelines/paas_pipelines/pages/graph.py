"""The tasks of a run as a drawing: in layers from left to right, each after those that it depends on.

What it shows stands in the table of tasks, too, for whoever does not see it.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

from markupsafe import Markup

from paas_pipelines.definitions.definition import in_order
from paas_pipelines.runs.run import Run, Task
from paas_runner.plain_text import short_line

MOST_TASKS = 200
"""Of more, nobody could follow the lines."""

_WIDTH, _HEIGHT = 170, 44
_GAP_X, _GAP_Y = 60, 14
_LETTERS = 19


def graph(run: Run) -> Markup:
    """Nothing where there are no tasks, or too many."""
    if not 0 < len(run.tasks) <= MOST_TASKS:
        return Markup("")
    layers = _layers(run)
    places = {
        task.name: (column * (_WIDTH + _GAP_X) + 2, row * (_HEIGHT + _GAP_Y) + 2)
        for column, layer in enumerate(layers)
        for row, task in enumerate(layer)
    }
    lines = [
        _line(places[other], places[task.name])
        for task in run.tasks
        for other in task.definition.depends_on
        if other in places
    ]
    boxes = [_box(run, task, *places[task.name]) for task in run.tasks]
    width = len(layers) * (_WIDTH + _GAP_X) - _GAP_X + 4
    height = max(map(len, layers)) * (_HEIGHT + _GAP_Y) - _GAP_Y + 4
    return Markup(
        '<svg class="graph" width="{}" height="{}" viewBox="0 0 {} {}" role="group"'
        ' aria-label="The tasks as a graph">{}</svg>'
    ).format(width, height, width, height, Markup("").join([*lines, *boxes]))


def _layers(run: Run) -> Sequence[Sequence[Task]]:
    """By depth, at last what runs after a failure; imported runs may have unknown tasks, and cycles."""
    tasks = [task for task in run.tasks if not run.is_hook(task)]
    names = {task.name for task in tasks}
    depends_on = {task.name: names.intersection(task.definition.depends_on) for task in tasks}
    depths: dict[str, int] = {}
    for name in in_order(depends_on):
        depths[name] = max((depths[other] + 1 for other in depends_on[name]), default=0)
    found: list[list[Task]] = [[] for _ in range(max(depths.values(), default=0) + 1)]
    for task in tasks:
        found[depths.get(task.name, 0)].append(task)
    if len(tasks) < len(run.tasks):
        found.append([task for task in run.tasks if run.is_hook(task)])
    return [layer for layer in found if layer]


def _line(begin: tuple[int, int], end: tuple[int, int]) -> Markup:
    left, top = begin[0] + _WIDTH, begin[1] + _HEIGHT // 2
    right, bottom = end[0], end[1] + _HEIGHT // 2
    middle = (left + right) // 2
    return Markup('<path d="M{} {} C{} {} {} {} {} {}"/>').format(
        left, top, middle, top, middle, bottom, right, bottom
    )


def _box(run: Run, task: Task, x: int, y: int) -> Markup:
    return Markup(
        '<a href="task?{}"><title>{}: {}</title><rect class="state-{}" x="{}" y="{}" width="{}" height="{}"'
        ' rx="6"/><text x="{}" y="{}">{}</text><text class="what" x="{}" y="{}">{}</text></a>'
    ).format(
        urlencode({"id": run.run_id, "task": task.name}),
        short_line(task.name, 200),
        task.status,
        task.status,
        x,
        y,
        _WIDTH,
        _HEIGHT,
        x + 10,
        y + 18,
        short_line(task.name, _LETTERS),
        x + 10,
        y + 35,
        task.status,
    )
