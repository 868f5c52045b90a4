"""A state diagram in Mermaid's words as a drawing in place: nobody else's program is loaded to see it."""

import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

import attrs

_ARROW = re.compile(r"(\S+) --> (\w+)(?:: (\w+))?")
_FRAME = re.compile(r"state (\w+) \{\n(.*?)\n\s*\}", re.DOTALL)
_WIDE, _TALL, _ROW = 150, 34, 78
_LEFT, _FRAME_RIGHT, _RIGHT, _TOP = 20, 340, 480, 40
_LABELS_WIDE = 230
_BOW = 40


@attrs.frozen
class Diagram:
    """The states of a frame, those that come after it as they are first left, and what leads where."""

    frame: str
    inside: Sequence[str]
    after: Sequence[str]
    arrows: Mapping[tuple[str, str], str]


def read(mermaid: str) -> Diagram:
    """Raises ValueError for a diagram without a frame."""
    frame = _FRAME.search(mermaid)
    if frame is None:
        raise ValueError("the diagram has no frame")
    events: dict[tuple[str, str], list[str]] = {}
    for source, target, event in _ARROW.findall(mermaid):
        if event:
            events.setdefault((source, target), []).append(event)
    framed = _ARROW.findall(frame[2])
    inside = list(dict.fromkeys([source for source, *_ in framed] + [target for _, target, _ in framed]))
    order = dict.fromkeys([source for source, _ in events] + [target for _, target in events])
    return Diagram(
        frame=frame[1],
        inside=inside,
        after=[name for name in order if name not in (*inside, frame[1])],
        arrows={pair: " / ".join(names) for pair, names in events.items()},
    )


def drawing(mermaid: str) -> str:
    """SVG in the page's own colors: the frame's states on the left, what comes after it on the right."""
    diagram = read(mermaid)
    height = _TOP + len(diagram.inside) * _ROW
    svg = Element("svg", {"class": "lifecycle", "role": "img"})
    svg.set("viewBox", f"0 0 {_RIGHT + _WIDE + _LABELS_WIDE} {height}")
    svg.set("aria-label", "; ".join(f"{a} to {b}: {label}" for (a, b), label in diagram.arrows.items()))
    size = {"refX": "8", "refY": "4", "markerWidth": "8", "markerHeight": "8"}
    head = SubElement(SubElement(svg, "defs"), "marker", {"id": "head", "orient": "auto", **size})
    SubElement(head, "path", {"d": "M0,0 L8,4 L0,8 z"})
    _box(svg, 4, 8, _FRAME_RIGHT - 4, height - 24, style="frame")
    _text(svg, _FRAME_RIGHT - 12, 28, diagram.frame, style="event", anchor="end")
    lower = (len(diagram.inside) - len(diagram.after)) * _ROW / 2
    places: dict[str, tuple[float, float]] = {
        name: (_LEFT, _TOP + row * _ROW) for row, name in enumerate(diagram.inside)
    }
    places |= {name: (_RIGHT, _TOP + lower + row * _ROW) for row, name in enumerate(diagram.after)}
    for name, (x, y) in places.items():
        _box(svg, x, y, _WIDE, _TALL)
        _text(svg, x + _WIDE / 2, y + _TALL / 2 + 5, name)
    for (source, target), label in diagram.arrows.items():
        x, y = places[target]
        if source == diagram.frame:
            middle = y + _TALL / 2
            _arrow(svg, f"M{_FRAME_RIGHT},{middle} H{x}")
            _text(svg, (_FRAME_RIGHT + x) / 2, middle - 8, label, style="event")
        else:
            _from_state(svg, x, places[source][1], y, label)
    return tostring(svg, encoding="unicode") + "\n"


def _from_state(svg: Element, x: float, begin: float, y: float, label: str) -> None:
    """To the next row straight down; past others on the right; back up on the left."""
    middle = (begin + y + _TALL) / 2
    if y - begin == _ROW:
        _arrow(svg, f"M{x + _WIDE / 2},{begin + _TALL} V{y}")
        _text(svg, x + _WIDE / 2 + 10, middle + 5, label, style="event", anchor="start")
        return
    side, anchor = (x + _WIDE, "start") if y > begin else (x, "end")
    bow = _BOW if y > begin else -_BOW
    ends = f"{begin + _TALL / 2}", f"{y + _TALL / 2}"
    _arrow(svg, f"M{side},{ends[0]} C{side + bow},{ends[0]} {side + bow},{ends[1]} {side},{ends[1]}")
    _text(svg, side + bow * 0.85, middle + 5, label, style="event", anchor=anchor)


def _box(svg: Element, x: float, y: float, wide: float, tall: float, *, style: str = "state") -> None:
    size = {"x": f"{x}", "y": f"{y}", "width": f"{wide}", "height": f"{tall}", "rx": "6"}
    SubElement(svg, "rect", {"class": style, **size})


def _text(
    svg: Element, x: float, y: float, words: str, *, style: str = "state", anchor: str = "middle"
) -> None:
    SubElement(svg, "text", {"class": style, "x": f"{x}", "y": f"{y}", "text-anchor": anchor}).text = words


def _arrow(svg: Element, path: str) -> None:
    SubElement(svg, "path", {"class": "arrow", "d": path})
