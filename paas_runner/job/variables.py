"""Job variables and their expansion, with the rules of Go's `os.Expand` as GitLab Runner uses it.

One pass over the text: `$NAME` (letters, digits, `_`) and `${anything}`; unknown names become empty, `$$`
becomes `$`, the shell's special parameters become empty. Source: gitlab-runner `common/spec/variables.go`,
Go `os/env.go`; spec `gitlab-runner-api.md` §10.7.

Authors write what is expanded, and a few hundred kilobytes may stand for gigabytes: where many jobs share a
process, what is read for one of them is read within a `Budget`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping

import attrs

from paas_runner.errors import RunnerError

_SPECIAL = frozenset("*#$@!?-0123456789")
_NAME = re.compile(r"[a-zA-Z0-9_]*")


@attrs.frozen(kw_only=True)
class Variable:
    """One entry of the payload's `variables`; the value stays out of reprs, it may be a credential."""

    key: str
    value: str = attrs.field(repr=False)
    public: bool = False
    masked: bool = False
    file: bool = False
    raw: bool = False


class BudgetExceededError(RunnerError):
    """More characters would have to be read or written than are allowed."""


@attrs.define
class Budget:
    """How many characters expansions may still read and write, all that share it together."""

    left: float = math.inf

    def spend(self, characters: int) -> None:
        """Raises `BudgetExceededError`."""
        self.left -= characters
        if self.left < 0:
            raise BudgetExceededError("the budget for the expansion of variables is exceeded")


def expand(text: str, lookup: Callable[[str], str], budget: Budget | None = None) -> str:
    """Replace each reference in `text` by what `lookup` says of its name.

    Linear in what it reads and writes; raises `BudgetExceededError`, and nothing without a budget.
    """
    budget = budget or Budget()
    budget.spend(len(text))
    parts: list[str] = []
    done, last_brace = 0, text.rfind("}")
    while 0 <= (dollar := text.find("$", done)) < len(text) - 1:
        parts.append(text[done:dollar])
        name, end = _reference(text, dollar + 1, last_brace)
        if name:
            value = _value(name, lookup)
            budget.spend(len(value))
            parts.append(value)
        elif end == dollar + 1:
            parts.append("$")  # a dollar that no name follows stays
        done = end
    return "".join(parts) + text[done:]


def _value(name: str, lookup: Callable[[str], str]) -> str:
    if name == "$":
        return "$"
    return "" if name in _SPECIAL else lookup(name)


def _reference(text: str, start: int, last_brace: int) -> tuple[str, int]:
    """The name at `start` of `text`, right behind a dollar, and where it ends.

    An empty name that has a length is bad syntax, which Go drops; without a length it is no reference at all.
    """
    if text[start] == "{":
        if last_brace < start:
            return "", start + 1
        end = text.index("}", start)
        return text[start + 1 : end], end + 1
    if text[start] in _SPECIAL:
        return text[start], start + 1
    found = _NAME.match(text, start)
    end = found.end() if found else start
    return text[start:end], end


def values(variables: Iterable[Variable], budget: Budget | None = None) -> Mapping[str, str]:
    """Each variable's expanded value; of equal keys the last wins, `raw` ones are taken literally.

    Raises `BudgetExceededError`, and nothing without a budget.
    """
    last = {variable.key: variable for variable in variables}
    budget = budget or Budget()
    return {key: value_of(variable, last, budget) for key, variable in last.items()}


def value_of(variable: Variable, among: Mapping[str, Variable], budget: Budget) -> str:
    """One variable's expanded value, `among` all by their keys; raises `BudgetExceededError`.

    What it refers to is taken literally.
    """
    if variable.raw:
        budget.spend(len(variable.value))
        return variable.value

    def literal(name: str) -> str:
        found = among.get(name)
        return found.value if found else ""

    return expand(variable.value, literal, budget)
