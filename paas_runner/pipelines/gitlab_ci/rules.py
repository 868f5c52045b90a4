"""`rules`: the first that holds says whether and when a job runs; without one that holds it is left out.

`if` is worked out on the variables that the sandbox knows. It sees no files: `changes` and `exists` are taken
as fulfilled, and that is told.
"""

from collections.abc import Mapping

import attrs

from paas_runner.job.variables import Variable, expand
from paas_runner.pipelines.gitlab_ci import keywords
from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.expressions import ExpressionError, holds
from paas_runner.pipelines.gitlab_ci.keywords import AllowedFailure
from paas_runner.pipelines.gitlab_ci.pattern_text import PatternError
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.spec import RunWhen

_NEVER = "never"
_WHENS = (*RunWhen, "delayed", _NEVER)
_FILES = ("changes", "exists")
_OF_JOBS = ("if", *_FILES, "when", "allow_failure", "variables", "start_in")
_OF_WORKFLOWS = ("if", *_FILES, "when", "variables")


class KnownVariables:
    """What rules may ask for: the predefined variables, with those of the text over them."""

    def __init__(
        self, predefined: Mapping[str, str], variables: tuple[Variable, ...], budget: Budget
    ) -> None:
        self._raw = {key: Variable(key=key, value=value, raw=True) for key, value in predefined.items()}
        self._raw |= {variable.key: variable for variable in variables}
        self.budget = budget

    def value(self, name: str) -> str | None:
        """The expanded value; None for a variable that is not set."""
        found = self._raw.get(name)
        if found is None:
            return None
        return found.value if found.raw else expand(found.value, self._referred)

    def _referred(self, name: str) -> str:
        found = self._raw.get(name)
        text = found.value if found else ""
        self.budget.take_steps(len(text))
        return text


@attrs.frozen(kw_only=True)
class Verdict:
    """What a rule says of its job; None: the job has its own word."""

    when: RunWhen | None = None
    allowed: AllowedFailure | None = None
    variables: tuple[Variable, ...] = ()


def decided(place: YamlPlace, known: KnownVariables) -> Verdict | None:
    """What the first rule that holds says; None leaves the job, or the pipeline, out."""
    of_a_job = bool(place.job)
    rules = place.composed()
    if not rules or not isinstance(place.value, list):
        place.refuse("wants a list of rules")
    for rule in rules:
        parts = rule.known(*(_OF_JOBS if of_a_job else _OF_WORKFLOWS))
        if "when" in parts and parts["when"].text() not in _WHENS:
            parts["when"].refuse(f"must be one of {', '.join(_WHENS)}: `{parts['when'].text()}`")
        if not _holds(parts, known):
            continue
        if "when" in parts and parts["when"].text() == _NEVER:
            return None
        for key in _FILES:
            if key in parts:
                parts[key].warn("the sandbox sees no files: taken as fulfilled")
        return Verdict(
            when=keywords.when(parts["when"]) if of_a_job and "when" in parts else None,
            allowed=keywords.allow_failure(parts["allow_failure"]) if "allow_failure" in parts else None,
            variables=keywords.variables(parts["variables"]) if "variables" in parts else (),
        )
    return None


def _holds(parts: dict[str, YamlPlace], known: KnownVariables) -> bool:
    """Whether `if` does; a rule without it holds."""
    place = parts.get("if")
    if place is None:
        return True
    try:
        return holds(place.text(), known.value, known.budget)
    except ExpressionError as error:
        place.refuse(f"is no expression: {error}")
    except PatternError as error:
        place.warn(f"a pattern is not understood ({error}): taken as a rule that does not hold")
        return False
