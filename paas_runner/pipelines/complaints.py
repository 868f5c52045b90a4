"""What is said to the author of a pipeline: why it is refused, and what in it has no effect here."""

import itertools
from collections.abc import Iterable
from typing import Self

import attrs

from paas_runner.errors import RunnerError

_LINES_SHOWN = 3


class Line(int):
    """The number of a line, from 1, that knows the file it is in; a pipeline's own file has no name."""

    file: str

    def __new__(cls, number: int, file: str = "") -> Self:
        line = super().__new__(cls, number)
        line.file = file
        return line

    def __str__(self) -> str:
        return f"{int(self)} of {self.file}" if self.file else str(int(self))


class PipelineError(RunnerError):
    """A pipeline that cannot be run as written; `line` counts from 1."""

    def __init__(self, text: str, *, line: int | None = None) -> None:
        super().__init__(text if line is None else f"line {line}: {text}")
        self.line = line
        self.warnings: tuple[PipelineWarning, ...] = ()
        """What had been found before: it may be the cause."""


@attrs.frozen(kw_only=True)
class PipelineWarning:
    """Something in the text that has no effect in the sandbox, or another one than on GitLab."""

    job: str  # empty at the top level; the first of several
    key: str
    text: str
    line: int | None = None  # the first of several
    other_lines: tuple[int, ...] = ()
    times: int = 1
    jobs: tuple[str, ...] = attrs.field(default=(), eq=False)
    """All that it is said of, where it is said once of several."""

    def __str__(self) -> str:
        if self.times > 1:
            return f"{self._lines()}`{self.key}`, {self.times} times: {self.text}"
        owner = f"job `{self.job}`, " if self.job else ""
        return f"{self._lines()}{owner}`{self.key}`: {self.text}"

    def _lines(self) -> str:
        if self.line is None:
            return ""
        if not self.other_lines:
            return f"line {self.line}: "
        found = (self.line, *self.other_lines)
        lines = [_short(line, after) for line, after in itertools.pairwise((*found, None))]
        if len(lines) <= _LINES_SHOWN:
            return f"lines {', '.join(lines[:-1])} and {lines[-1]}: "
        lines[_LINES_SHOWN - 1] = str(found[_LINES_SHOWN - 1])
        return f"lines {', '.join(lines[:_LINES_SHOWN])} and {len(lines) - _LINES_SHOWN} more: "


def _short(line: int | None, after: int | None) -> str:
    """Without its file if the next one is in the same."""
    same = isinstance(line, Line) and isinstance(after, Line) and line.file == after.file
    return str(int(line or 0)) if same else str(line)


def summarized(warnings: Iterable[PipelineWarning]) -> tuple[PipelineWarning, ...]:
    """In the order of the text; what is said of several jobs is said once, with their number."""
    groups: dict[tuple[str, str, bool], list[PipelineWarning]] = {}
    for warning in sorted(dict.fromkeys(warnings), key=_position):
        groups.setdefault((warning.key, warning.text, bool(warning.job)), []).append(warning)
    return tuple(_together(group) for group in groups.values())


def _together(group: list[PipelineWarning]) -> PipelineWarning:
    """The first of them, for all; jobs may share a line through `extends` or an anchor."""
    lines = list({_position(each)[:2]: each.line for each in group if each.line is not None}.values())
    jobs = tuple(dict.fromkeys(each.job for each in group if each.job))
    return attrs.evolve(group[0], other_lines=tuple(lines[1:]), times=len(group), jobs=jobs)


def _position(warning: PipelineWarning) -> tuple[str, int, str, str]:
    file = warning.line.file if isinstance(warning.line, Line) else ""
    return file, int(warning.line or 0), warning.job, warning.key
