"""One job of the text, read but not yet fitted into its pipeline."""

from collections.abc import Callable
from typing import TypeVar

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.gitlab_ci import artifact_keywords, keywords
from paas_runner.pipelines.gitlab_ci.inheritance import extended, with_defaults
from paas_runner.pipelines.gitlab_ci.keywords import AllowedFailure, Need
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.yaml_text import YamlSection
from paas_runner.pipelines.spec import ArtifactSpec, JobSpec, PipelineError, PipelineWarning, Retry, RunWhen

T = TypeVar("T")

KNOWN = frozenset(
    {
        "after_script",
        "allow_failure",
        "artifacts",
        "before_script",
        "cache",
        "dependencies",
        "image",
        "needs",
        "parallel",
        "retry",
        "script",
        "services",
        "stage",
        "tags",
        "timeout",
        "variables",
        "when",
    }
)


@attrs.frozen(kw_only=True)
class JobDraft:
    """A job whose needs are not yet known to exist, and which may become several copies."""

    spec: JobSpec
    needs: tuple[Need, ...] | None
    dependencies: tuple[str, ...] | None
    copies: int
    line: int | None

    def names(self) -> list[str]:
        """What its copies are called."""
        name = self.spec.name
        return (
            [f"{name} {index}/{self.copies}" for index in range(1, self.copies + 1)]
            if self.copies > 1
            else [name]
        )

    def specs(self, needs: tuple[str, ...] | None, dependencies: tuple[str, ...] | None) -> list[JobSpec]:
        spec = attrs.evolve(self.spec, needs=needs, dependencies=dependencies)
        if self.copies == 1:
            return [spec]
        total = Variable(key="CI_NODE_TOTAL", value=str(self.copies), public=True)
        indices = (
            Variable(key="CI_NODE_INDEX", value=str(i), public=True) for i in range(1, self.copies + 1)
        )
        return [
            attrs.evolve(spec, name=name, variables=(*spec.variables, index, total))
            for name, index in zip(self.names(), indices, strict=True)
        ]


def draft(
    name: str,
    document: YamlSection,
    defaults: YamlSection,
    common: tuple[Variable, ...],
    warnings: list[PipelineWarning],
) -> JobDraft | None:
    """The job `name` with what it inherits; None, and a warning, for one that cannot run here."""
    job = with_defaults(extended(name, document), defaults)
    places = {
        key: YamlPlace(job=name, key=key, value=value, line=job.lines.get(key), warnings=warnings)
        for key, value in job.items()
        if value is not None
    }
    if "trigger" in places:
        places["trigger"].warn("the sandbox starts no other pipelines, this job is left out")
        return None
    for key in places.keys() - KNOWN:
        places[key].warn()
    line = document.lines.get(name)
    spec = _spec(name, places, common)
    if not spec.script:
        raise PipelineError(f"job `{name}` has no `script`", line=line)
    return JobDraft(
        spec=spec,
        needs=_read(places, "needs", keywords.needs, None),
        dependencies=_read(places, "dependencies", YamlPlace.texts, None),
        copies=_read(places, "parallel", keywords.parallel, 1),
        line=line,
    )


def _spec(name: str, places: dict[str, YamlPlace], common: tuple[Variable, ...]) -> JobSpec:
    allowed = _read(places, "allow_failure", keywords.allow_failure, AllowedFailure())
    own: tuple[Variable, ...] = _read(places, "variables", keywords.variables, ())
    return JobSpec(
        name=name,
        stage=_read(places, "stage", YamlPlace.text, "test"),
        before_script=_read(places, "before_script", YamlPlace.flattened, ()),
        script=_read(places, "script", YamlPlace.flattened, ()),
        after_script=_read(places, "after_script", YamlPlace.flattened, ()),
        variables=tuple({variable.key: variable for variable in (*common, *own)}.values()),
        image=_read(places, "image", keywords.image, None),
        services=_read(places, "services", keywords.services, ()),
        artifacts=_read(places, "artifacts", artifact_keywords.artifacts, ArtifactSpec()),
        caches=_read(places, "cache", artifact_keywords.caches, ()),
        timeout=_read(places, "timeout", keywords.timeout, None),
        allow_failure=allowed.always,
        allowed_exit_codes=allowed.exit_codes,
        retry=_read(places, "retry", keywords.retry, Retry()),
        when=_read(places, "when", keywords.when, RunWhen.ON_SUCCESS),
        tags=_read(places, "tags", keywords.tags, ()),
    )


def _read(places: dict[str, YamlPlace], key: str, reader: Callable[[YamlPlace], T], default: T) -> T:
    return reader(places[key]) if key in places else default
