"""What may be read nowhere about a job: its token, and what its project's owners have masked. Pure.

GitLab masks these in each line of a trace. What a host or a service says may quote them as well, so they are
kept after the job's definition was handed over, and taken out of every text of ours before it is shortened.
There are never more of them than the definition had, which was in the record before.
"""

from collections.abc import Iterable, Sequence

from paas_runner.job.variables import Variable
from paas_runner.secret import Secret

MASK = "[MASKED]"
_PLACE = "\ufdd0"
"""Stands for each mask until all values are taken out: a value may be a piece of the mask, and would be
found in it again and again. By Unicode's own word it is no character, so no text loses anything by it."""

SHORTEST_LINE = 8
"""A shorter line of a value would take ordinary words with it."""


def masked(text: str, values: Iterable[str]) -> str:
    """The text without any of the values.

    The longest first: one may be a part of another.
    """
    text = text.replace(_PLACE, "").replace(MASK, _PLACE)
    for value in sorted({value for value in values if value}, key=len, reverse=True):
        text = text.replace(value, _PLACE)
    return text.replace(_PLACE, MASK)


def masked_values(variables: Iterable[Variable]) -> Sequence[str]:
    """The values of masked variables, and the lines of those that have several: logs are read by lines."""
    found: dict[str, None] = {}
    for variable in variables:
        if variable.masked and variable.value:
            found[variable.value] = None
            lines = variable.value.splitlines()
            found |= {line: None for line in lines if len(line) >= SHORTEST_LINE or len(lines) == 1}
    return list(found)


def masks_of(variables: Iterable[Variable]) -> tuple[Secret, ...]:
    """What has to be remembered of a definition that is about to be dropped."""
    return tuple(map(Secret, masked_values(variables)))
