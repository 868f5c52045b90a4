"""A workflow drawn: box below box for a terminal, or as a picture in SVG."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from unicodedata import east_asian_width

from paas_runner.commands.output import Line, Painted, Piece
from paas_runner.plain_text import exact_span, one_line, printable
from paas_workflows.definition.workflow_file import ExitMode, Step, WorkflowFile

_WIDTH, _HEIGHT, _STEP_X, _STEP_Y, _EDGE = 240, 48, 400, 88, 40
_COLOURS = dict(zip(ExitMode, ("green", "red", "magenta", "yellow"), strict=True))
_INKS = dict(zip(ExitMode, ("#2e7d32", "#c62828", "#7b1fa2", "#b26a00"), strict=True))
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="13">
<title>{2}</title>
<defs><marker id="end" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">
<path d="M0 0L9 4L0 8z"/></marker></defs>"""
_BOX = """\
<rect x="{0}" y="{1}" width="{2}" height="{3}" rx="8" fill="#fff" stroke="#333" stroke-width="{4}"/>
<text x="{5}" y="{6}" font-weight="bold">{7}</text><text x="{5}" y="{8}" fill="#555">{9}</text>"""
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ARROW = """\
<path d="{0}" fill="none" stroke="{1}" marker-end="url(#end)"/>
<text x="{2}" y="{3}" font-size="10" fill="{1}">{4}</text>"""


def drawn(file: WorkflowFile) -> Iterator[Line]:
    """Its current workflow, each step with its exits below it; those that are never reached come last."""
    order = [name for layer in _layers(file) for name in layer]
    for number, name in enumerate(order):
        exits = list(_exits(file.steps[name]))
        label = one_line(printable(name))
        columns = len(label) + sum(east_asian_width(char) in "WF" for char in label)
        yield f"┌─{'─' * columns}─┐"
        yield ["│ ", Painted(label, "bold"), f" │ {one_line(_settings(file.steps[name]))}"]
        yield f"└─{'┬' if exits else '─'}{'─' * (columns - 1)}─┘"
        for target, modes in exits:
            corner = "└" if target == exits[-1][0] else "├"
            arrow = "──↑" if target in order[: number + 1] else "──→"
            words: list[Piece] = [f"  {corner}─"]
            for mode in modes:
                words += [" ", Painted(mode, _COLOURS[mode])]
            yield [*words, f" {arrow} {one_line(printable(target))}"]


def picture(file: WorkflowFile) -> str:
    """The same as SVG: from left to right by how few steps may lead there."""
    places = {
        name: (_EDGE + column * _STEP_X, _EDGE + row * _STEP_Y)
        for column, layer in enumerate(_layers(file))
        for row, name in enumerate(layer)
    }
    width, height = (
        max(place[axis] for place in places.values()) + _STEP_X - _STEP_X // 3 for axis in (0, 1)
    )
    parts = [_HEAD.format(width, height, escape(file.name))]
    for name, step in file.steps.items():
        for number, (target, modes) in enumerate(_exits(step)):
            parts.append(_arrow(places[name], places[target], modes, number))
    for name, (x, y) in places.items():
        wide = 3 if name == file.current_step else 1
        words = escape(name), y + 38, escape(_settings(file.steps[name]))
        parts.append(_BOX.format(x, y, _WIDTH, _HEIGHT, wide, x + 12, y + 20, *words))
    return _NOT_IN_XML.sub(" ", "\n".join([*parts, "</svg>", ""]))


def _arrow(start: tuple[int, int], end: tuple[int, int], modes: Sequence[ExitMode], number: int) -> str:
    """From the right side into the left one; backwards, or to the same column, below the boxes."""
    (x, y), (to_x, to_y) = start, end
    if to_x > x:
        x, y, to_y = x + _WIDTH, y + 12 + 12 * number, to_y + _HEIGHT // 2
        path, word_x, word_y = f"M{x} {y}C{x + 60} {y} {to_x - 60} {to_y} {to_x} {to_y}", x + 8, y - 3
    else:
        is_below = to_x == x and to_y > y
        x, y, to_x, to_y = x + _WIDTH // 2, y + _HEIGHT, to_x + _WIDTH // 3, to_y + _HEIGHT * (not is_below)
        path = f"M{x} {y}C{x} {y + 50} {to_x} {to_y + (-30 if is_below else 50)} {to_x} {to_y}"
        word_x, word_y = x + 6, y + 14 * number + 16
    return _ARROW.format(path, _INKS[modes[0]], word_x, word_y, escape(", ".join(modes)))


def _layers(file: WorkflowFile) -> list[list[str]]:
    found, layer = [], [file.current_step]
    left = dict.fromkeys(file.steps)
    while layer:
        found.append(layer)
        left = dict.fromkeys(name for name in left if name not in layer)
        after = (target for name in layer for target, _ in _exits(file.steps[name]))
        layer = [name for name in dict.fromkeys(after) if name in left]
    return [*found, list(left)] if left else found


def _exits(step: Step) -> Iterator[tuple[str, list[ExitMode]]]:
    by_target: dict[str, list[ExitMode]] = {}
    for mode in ExitMode:
        if mode in step.targets:
            by_target.setdefault(step.targets[mode], []).append(mode)
    yield from by_target.items()


def _settings(step: Step) -> str:
    return f"{step.action}, at most {exact_span(step.duration)}" if step.duration else step.action
