"""How much one pipeline may be: its authors are not trusted, and a few lines of YAML can stand for gigabytes.

The bounds are ours, of a size that no pipeline written by people comes near; depth is GitLab's.
"""

from typing import Any

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.sections import measured

MOST_BYTES = 512 * 1024
MOST_VALUES = 500_000
MOST_DEPTH = 100
MOST_JOBS = 1000
MOST_STEPS = 1_000_000
"""Of patterns in `rules`, over all characters of all texts: a second or two."""

_TOO_DEEP = f"nested too deeply: more than {MOST_DEPTH} levels"


class Budget:
    """What one pipeline may still take, all files together; each method raises `PipelineError` at the end."""

    def __init__(self) -> None:
        self._bytes = MOST_BYTES
        self._values = MOST_VALUES
        self._steps = MOST_STEPS

    def take_text(self, text: str, line: int | None = None) -> None:
        """A file is to be read."""
        self._bytes -= len(text.encode(errors="replace"))
        if self._bytes < 0:
            raise PipelineError(f"all files together are larger than {MOST_BYTES} bytes", line=line)

    def take_values(self, count: int, line: int | None = None) -> None:
        """So many values are to be made: keys, texts, elements of lists."""
        self._values -= count
        if self._values < 0:
            text = f"anchors, references, defaults and copies of jobs come to more than {MOST_VALUES} values"
            raise PipelineError(text, line=line)

    def take_steps(self, count: int, line: int | None = None) -> None:
        """A text of this length is to be made, or searched for a pattern of this size."""
        self._steps -= count
        if self._steps < 0:
            raise PipelineError("the rules of all jobs take too long to work out", line=line)

    def take_all(self, value: Any) -> None:
        """Every value inside `value`, as often as aliases repeat it."""
        count, depth = measured(value, self._values)
        self.take_values(count)
        check_depth(depth)


def check_depth(depth: int, line: int | None = None) -> None:
    """Raises `PipelineError` for more than GitLab's depth."""
    if depth > MOST_DEPTH:
        raise PipelineError(_TOO_DEEP, line=line)
