"""Text on its way out: without secrets, without control characters, and on a terminal no larger than that."""

import shutil

from paas_runner.logs import redactor

CLEAR = "\x1b[H\x1b[2J"


def tell(text: str) -> None:
    """Print; what the text quotes may come from anywhere, and must not move a terminal's cursor."""
    print(_printable(redactor.text(text)), flush=True)


def redraw(text: str) -> None:
    """Show the text alone on the terminal, as much of it as there is room for."""
    size = shutil.get_terminal_size()
    lines = [line[: size.columns] for line in _printable(redactor.text(text)).splitlines()]
    room = size.lines - 1  # the cursor's
    if len(lines) > room:
        lines[room - 1 :] = [f"… {len(lines) - room + 1} more lines"]
    print(CLEAR + "\n".join(lines), flush=True)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
