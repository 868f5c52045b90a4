"""What a job takes from elsewhere in the text: `!reference`, `extends`, `default`."""

from typing import Any

from paas_runner.pipelines.gitlab_ci.yaml_text import YamlReference, YamlSection
from paas_runner.pipelines.spec import PipelineError

INHERITED = (
    *("image", "services", "before_script", "after_script", "timeout", "retry", "tags"),
    *("artifacts", "cache"),
)
"""Keys that `default`, or the top level, can set for all jobs."""


def resolved(value: Any, document: YamlSection, trail: tuple[tuple[str, ...], ...] = ()) -> Any:
    """`value` with each `!reference` replaced by what it names in `document`; raises `PipelineError`."""
    match value:
        case YamlReference():
            if value.path in trail:
                raise PipelineError(f"!reference {_names(value)} leads back to itself", line=value.line)
            return resolved(_named(value, document), document, (*trail, value.path))
        case YamlSection():
            return YamlSection(
                ((key, resolved(item, document, trail)) for key, item in value.items()), value.lines
            )
        case list():
            return [resolved(item, document, trail) for item in value]
        case _:
            return value


def extended(name: str, document: YamlSection, trail: tuple[str, ...] = ()) -> YamlSection:
    """The job `name` merged over those it extends, the later of several over the earlier."""
    job = document.get(name)
    line = document.lines.get(name)
    if not isinstance(job, YamlSection):
        raise PipelineError(f"job `{name}` is no mapping", line=line)
    if name in trail:
        raise PipelineError(f"job `{name}` extends itself", line=line)
    merged = YamlSection()
    for base in _bases(name, job):
        if base not in document:
            line = job.lines["extends"]
            raise PipelineError(f"job `{name}` extends `{base}`, which does not exist", line=line)
        merged = merged.under(extended(base, document, (*trail, name)))
    merged = merged.under(job)
    merged.pop("extends", None)
    return merged


def with_defaults(job: YamlSection, defaults: YamlSection) -> YamlSection:
    """The job with the defaults it does not set itself; they are taken whole, never merged."""
    taken = [key for key in INHERITED if key in defaults and key not in job]
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
