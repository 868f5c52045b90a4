"""The commands of a document, as a reader would copy them: whole blocks, found by their heading."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_FENCED = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_INDENTED = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)


def blocks(page: str, heading: str) -> list[str]:
    """The blocks of commands between this heading of the page and the next one."""
    text = (ROOT / page).read_text()
    sections = _HEADING.split(text)[1:]
    [section] = [body for title, body in zip(sections[::2], sections[1::2], strict=True) if title == heading]
    fenced = _FENCED.findall(section)
    indented = [
        re.sub(r"^    ", "", block, flags=re.MULTILINE)
        for block in _INDENTED.findall(_FENCED.sub("", section))
    ]
    return [*fenced, *indented]
