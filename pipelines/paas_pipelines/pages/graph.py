"""Where the tasks of a run stand in its drawing: in layers from left to right, each after what it depends on.

What the drawing shows stands in the table of tasks, too, for whoever does not see it.
"""

from collections.abc import Sequence

import attrs

from paas_pipelines.definitions.definition import in_order
from paas_pipelines.runs.run import Run, Task

MOST_TASKS = 200
"""Of more, nobody could follow the lines."""

WIDTH, HEIGHT = 170, 44
_STEP_X, _STEP_Y = WIDTH + 40, HEIGHT + 14


@attrs.frozen(kw_only=True)
class Graph:
    """Upper left corners of the boxes, and lines from the right side of one to the left of another."""

    boxes: Sequence[tuple[Task, int, int]]
    lines: Sequence[tuple[int, int, int, int]]
    width: int = WIDTH
    height: int = HEIGHT


def graph(run: Run) -> Graph | None:
    """None where there are no tasks, or too many."""
    if not 0 < len(run.tasks) <= MOST_TASKS:
        return None
    boxes = [
        (task, column * _STEP_X, row * _STEP_Y)
        for column, layer in enumerate(_layers(run))
        for row, task in enumerate(layer)
    ]
    places = {task.name: (x, y + HEIGHT // 2) for task, x, y in boxes}
    lines = [
        (places[other][0] + WIDTH, places[other][1], *places[task.name])
        for task in run.tasks
        for other in task.definition.depends_on
        if other in places
    ]
    return Graph(boxes=boxes, lines=lines)


def _layers(run: Run) -> Sequence[Sequence[Task]]:
    """By depth, at last what runs after a failure; imported runs may have unknown tasks, and cycles."""
    names = {task.name for task in run.tasks}
    depends_on = {task.name: names.intersection(task.definition.depends_on) for task in run.tasks}
    depths = dict.fromkeys(names, 0)
    for name in in_order(depends_on):
        depths[name] = max((depths[other] + 1 for other in depends_on[name]), default=0)
    layers: list[list[Task]] = [[] for _ in range(max(depths.values()) + 2)]
    for task in run.tasks:
        layers[-1 if run.is_hook(task) else depths[task.name]].append(task)
    return layers
