"""The diagram of a job's life in docs/architecture.md, made from the table that the service works with.

python docs/lifecycle_diagram.py            print it
python docs/lifecycle_diagram.py --write    put it into docs/architecture.md, between its two marks
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from paas_runner.job.lifecycle import TRANSITIONS

PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- lifecycle: made by docs/lifecycle_diagram.py -->\n", "<!-- end of lifecycle -->\n"


def diagram() -> str:
    """Mermaid; what most phases have in common is one arrow out of their frame, loops are left out."""
    arrows = {
        (str(phase), event.__name__, str(target))
        for phase, events in TRANSITIONS.items()
        for event, target in events.items()
        if target is not phase
    }
    phases = [str(phase) for phase in TRANSITIONS]
    often = Counter((event, target) for _, event, target in arrows)
    common = [arrow for arrow in sorted(often) if often[arrow] > len(phases) / 2]
    framed = [phase for phase in phases if all((phase, *arrow) in arrows for arrow in common)]
    return "```mermaid\n" + "\n".join(_lines(arrows, common, framed, phases)) + "\n```\n"


def _lines(
    arrows: set[tuple[str, str, str]], common: list[tuple[str, str]], framed: list[str], phases: list[str]
) -> Iterator[str]:
    def own(among: list[str]) -> Iterator[str]:
        for phase in among:
            for source, event, target in sorted(arrows):
                if source == phase and not (phase in framed and (event, target) in common):
                    yield f"{phase} --> {target}: {event}"

    inside = [arrow for arrow in own(framed) if arrow.split()[2].rstrip(":") in framed]
    yield "stateDiagram-v2"
    yield f"    [*] --> {phases[0]}"
    yield "    state unfinished {"
    yield from (f"        {arrow}" for arrow in inside)
    yield "    }"
    yield from (f"    unfinished --> {target}: {event}" for event, target in common)
    yield from (f"    {arrow}" for arrow in own(phases) if arrow not in inside)
    yield f"    {phases[-1]} --> [*]"


def page_with(drawing: str) -> str:
    """The page's text with this diagram in it."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + drawing + END + rest.partition(END)[2]


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with(diagram()))
    else:
        print(diagram(), end="")
