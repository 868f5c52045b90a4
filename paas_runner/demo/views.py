"""How the demo shows itself: a live screen, plain lines, or nothing until one JSON document."""

import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TextIO

import attrs

from paas_runner.demo.story import JobStory, as_author_sees_it, table
from paas_runner.demo.verdict import Verdict

_RESET, _BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = (f"\x1b[{code}m" for code in (0, 1, 2, 31, 32, 33, 36))
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class View(Protocol):
    """The audience."""

    def say(self, text: str) -> None:
        """What the demo does."""

    def phase(self, story: JobStory, before: JobStory) -> None:
        """A job came into another phase."""

    def finished(self, story: JobStory, trace: bytes) -> None:
        """A job is over: its log, as its author would see it."""

    def tick(self, stories: Iterable[JobStory]) -> None:
        """Time has passed."""

    def end(self, stories: Sequence[JobStory], verdict: Verdict) -> None:
        """The table and the verdict."""


class Lines:
    """Lines that scroll; with colours on a terminal, plain in a pipe."""

    def __init__(self, out: TextIO, *, colours: bool) -> None:
        """Write to `out`; the clock starts."""
        self._out = out
        self._colours = colours
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """One line of the demo's own."""
        self._line(self._painted(_BOLD, text))

    def phase(self, story: JobStory, before: JobStory) -> None:
        """Which phase, and how long the one before took."""
        took = story.seconds.get(before.phase)
        where = f", on {story.host} ({story.flavor})" if story.phase == "provisioned" else ""
        after = f" after {took:.1f} s {before.phase}" if took is not None else ""
        self._line(f"{self._painted(_CYAN, story.name)}: {story.phase}{after}{where}")

    def finished(self, story: JobStory, trace: bytes) -> None:
        """The log, indented under the job's name."""
        self._line(f"{self._painted(_CYAN, story.name)}: {self._result(story)}; its log:")
        for line in as_author_sees_it(trace, colours=self._colours):
            self._print(f"          │ {line}{_RESET if self._colours else ''}")

    def tick(self, stories: Iterable[JobStory]) -> None:
        """Nothing: what scrolled by stays."""

    def end(self, stories: Sequence[JobStory], verdict: Verdict) -> None:
        """A table and a last line."""
        self._print("")
        rows = table(stories)
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for number, row in enumerate(rows):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self._print(self._painted(_BOLD, line) if number == 0 else line)
        self._print("")
        for problem in verdict.problems:
            self._print(self._painted(_RED, f"✗ {problem}"))
        hosts = f"hosts created: {verdict.hosts_created}, hosts left: {verdict.hosts_left}"
        counts = f"jobs: {verdict.jobs}, {hosts}"
        if verdict.problems:
            self._print(self._painted(_RED, f"✗ the promise was not kept ({counts})"))
        else:
            self._print(self._painted(_GREEN, f"✓ all jobs accounted for ({counts})"))

    def _result(self, story: JobStory) -> str:
        colour = {"success": _GREEN, "failed": _RED}.get(story.status, _YELLOW)
        return self._painted(colour, story.status)

    def _line(self, text: str) -> None:
        self._print(f"{self._painted(_DIM, f'[{time.monotonic() - self._began:5.1f} s]')} {text}")

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text


class Screen(Lines):
    """Lines that scroll above a board that shows where each job is right now."""

    def __init__(self, out: TextIO) -> None:
        """A terminal; the board has no height yet."""
        super().__init__(out, colours=True)
        self._board: list[str] = []

    def tick(self, stories: Iterable[JobStory]) -> None:
        """Draw the board again, in place."""
        width = shutil.get_terminal_size().columns
        turn = _SPINNER[int(time.monotonic() * 8) % len(_SPINNER)]
        self._wipe()
        self._board = ["", *(self._state(story, turn, width) for story in stories)]
        self._draw()

    def end(self, stories: Sequence[JobStory], verdict: Verdict) -> None:
        """Without the board."""
        self._wipe()
        self._board = []
        super().end(stories, verdict)

    def _print(self, text: str) -> None:
        self._wipe()
        super()._print(text)
        self._draw()

    def _draw(self) -> None:
        for line in self._board:
            super()._print(line)

    def _wipe(self) -> None:
        if self._board:
            self._out.write(f"\x1b[{len(self._board)}A\x1b[J")

    def _state(self, story: JobStory, turn: str, width: int) -> str:
        match story.phase:
            case "waiting":
                mark = f"{_DIM}·"
            case "gone":
                mark = f"{_GREEN}✓" if story.status == "success" else f"{_RED}✗"
            case _:
                mark = f"{_CYAN}{turn}"
        facts = f"{story.name:<18} {story.phase:<16} {story.flavor:<4} {story.host}"
        return f"  {mark}{_RESET} {facts[: width - 5]}"


class Document:
    """Silence, then one JSON document."""

    def __init__(self, out: TextIO) -> None:
        """Write to `out`, once."""
        self._out = out
        self._said: list[str] = []
        self._logs: dict[int, str] = {}

    def say(self, text: str) -> None:
        """Kept for the document."""
        self._said.append(text)

    def phase(self, story: JobStory, before: JobStory) -> None:
        """The story has it."""

    def finished(self, story: JobStory, trace: bytes) -> None:
        """Kept for the document."""
        self._logs[story.job_id] = "\n".join(as_author_sees_it(trace, colours=False))

    def tick(self, stories: Iterable[JobStory]) -> None:
        """Nothing."""

    def end(self, stories: Sequence[JobStory], verdict: Verdict) -> None:
        """Everything."""
        document: dict[str, Any] = {
            "jobs": [attrs.asdict(story) | {"log": self._logs.get(story.job_id, "")} for story in stories],
            "course": self._said,
            "hosts": {"created": verdict.hosts_created, "left": verdict.hosts_left},
            "problems": list(verdict.problems),
            "verdict": "failed" if verdict.problems else "kept",
        }
        json.dump(document, self._out, ensure_ascii=False, indent=2)
        self._out.write("\n")


def for_audience(*, as_json: bool, out: TextIO = sys.stdout) -> View:
    """The view that suits who looks."""
    if as_json:
        return Document(out)
    return Screen(out) if out.isatty() else Lines(out, colours=False)
