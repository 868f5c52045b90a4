"""What a job takes from elsewhere in the text: `!reference`, `extends`, `default`."""

from typing import Any

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.bounds import Budget, check_depth
from paas_runner.pipelines.gitlab_ci.sections import YamlReference, YamlSection

INHERITED = (
    *("image", "services", "before_script", "after_script", "timeout", "retry", "tags"),
    *("artifacts", "cache"),
)
"""Keys that `default`, or the top level, can set for all jobs."""


MOST_EXTENDS = 10
"""How many jobs may lie between a job and the last one that it extends, as GitLab has it."""


def resolved(
    value: Any, document: YamlSection, budget: Budget, trail: tuple[tuple[str, ...], ...] = (), depth: int = 0
) -> Any:
    """`value` with each `!reference` replaced by what it names in `document`; raises `PipelineError`."""
    check_depth(depth)
    budget.take_values(1)
    match value:
        case YamlReference():
            if value.path in trail:
                raise PipelineError(f"!reference {_names(value)} leads back to itself", line=value.line)
            return resolved(_named(value, document), document, budget, (*trail, value.path), depth)
        case YamlSection():
            items = ((key, resolved(item, document, budget, trail, depth + 1)) for key, item in value.items())
            return YamlSection(items, value.lines)
        case list():
            return [resolved(item, document, budget, trail, depth + 1) for item in value]
        case _:
            return value


class Family:
    """The jobs of a document with all that they extend; each is put together once."""

    def __init__(self, document: YamlSection, budget: Budget) -> None:
        self._document = document
        self._budget = budget
        self._merged: dict[str, YamlSection] = {}

    def extended(self, name: str, trail: tuple[str, ...] = ()) -> YamlSection:
        """The job `name` merged over those it extends, the later of several over the earlier."""
        line = self._document.lines.get(name)
        job = self._document.get(name)
        if not isinstance(job, YamlSection):
            raise PipelineError(f"job `{name}` is no mapping", line=line)
        if name in trail:
            raise PipelineError(f"job `{name}` extends itself", line=line)
        if len(trail) > MOST_EXTENDS:
            text = f"job `{trail[0]}` extends more than {MOST_EXTENDS} jobs, one over the other"
            raise PipelineError(text, line=self._document.lines.get(trail[0]))
        if name not in self._merged:
            self._merged[name] = self._over_bases(name, job, trail)
        return self._merged[name]

    def _over_bases(self, name: str, job: YamlSection, trail: tuple[str, ...]) -> YamlSection:
        merged = YamlSection()
        for base in _bases(name, job):
            if base not in self._document:
                line = job.lines["extends"]
                raise PipelineError(f"job `{name}` extends `{base}`, which does not exist", line=line)
            found = self.extended(base, (*trail, name))
            self._budget.take_all(found)
            merged = merged.under(found)
        return merged.under(job).without("extends")


def with_defaults(job: YamlSection, defaults: YamlSection) -> YamlSection:
    """The job with the defaults it does not set itself, `null` being not set; they are taken whole."""
    taken = [key for key in INHERITED if key in defaults and job.get(key) is None]
    return YamlSection(
        {**job, **{key: defaults[key] for key in taken}}.items(),
        {**job.lines, **{key: defaults.lines[key] for key in taken if key in defaults.lines}},
    )


def _bases(name: str, job: YamlSection) -> list[str]:
    value = job.get("extends")
    bases = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(base, str) for base in bases):
        raise PipelineError(f"`extends` of job `{name}` wants names of jobs", line=job.lines["extends"])
    return bases


def _named(reference: YamlReference, document: YamlSection) -> Any:
    found: Any = document
    for part in reference.path:
        if not isinstance(found, YamlSection) or part not in found:
            raise PipelineError(f"!reference {_names(reference)} leads nowhere", line=reference.line)
        found = found[part]
    return found


def _names(reference: YamlReference) -> str:
    return "[" + ", ".join(reference.path) + "]"
