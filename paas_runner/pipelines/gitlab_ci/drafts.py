"""One job of the text, read but not yet fitted into its pipeline."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.complaints import PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci import artifact_keywords, instances, keywords
from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.instances import Instance
from paas_runner.pipelines.gitlab_ci.keywords import AllowedFailure, Need
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.rules import KnownVariables, decided
from paas_runner.pipelines.gitlab_ci.sections import YamlSection
from paas_runner.pipelines.predefined import BRANCH
from paas_runner.pipelines.spec import ArtifactSpec, JobSpec, Retry, RunWhen

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
        "rules",
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
    """A job whose needs are not yet known to exist, and the jobs that it becomes."""

    name: str
    stage: str
    needs: tuple[Need, ...] | None
    dependencies: tuple[str, ...] | None
    jobs: tuple[JobSpec, ...]  # none: rules leave it out
    line: int | None
    left_out: frozenset[str] = frozenset()  # the names of those that rules leave out

    @property
    def names(self) -> list[str]:
        """What the jobs that it becomes are called."""
        return [spec.name for spec in self.jobs]


@attrs.frozen(kw_only=True)
class Surroundings:
    """What all jobs of a pipeline have in common."""

    variables: tuple[Variable, ...]
    given: tuple[Variable, ...]
    predefined: Mapping[str, str]
    incomplete: bool  # an include was not read
    budget: Budget
    warnings: list[PipelineWarning]


def draft(name: str, job: YamlSection, line: int | None, around: Surroundings) -> JobDraft | None:
    """The job `name`, with what it inherits; None, and a warning, for one that cannot run here."""
    places = {
        key: YamlPlace(job=name, key=key, value=value, line=job.lines.get(key), warnings=around.warnings)
        for key, value in job.items()
        if value is not None
    }
    if "trigger" in places:
        places["trigger"].warn("the sandbox starts no other pipelines, this job is left out")
        return None
    for key in places.keys() - KNOWN:
        places[key].warn()
    spec = _spec(name, places, around)
    if not spec.script and around.incomplete:
        text = "missing: it may be in what is not included, this job is left out"
        around.warnings.append(PipelineWarning(job=name, key="script", text=text, line=line))
        return None
    if not spec.script:
        raise PipelineError(f"job `{name}` has no `script`", line=line)
    found = _read(places, "parallel", instances.parallel, instances.only(name))
    around.budget.take_values(len(spec.variables) * len(found), line)
    jobs = [_single(spec, instance, places, around) for instance in found]
    kept = tuple(job for job in jobs if job is not None)
    return JobDraft(
        name=name,
        stage=spec.stage,
        needs=_read(places, "needs", keywords.needs, None),
        dependencies=_read(places, "dependencies", YamlPlace.texts, None),
        jobs=kept,
        line=line,
        left_out=frozenset(instance.name for instance in found) - {job.name for job in kept},
    )


def _single(
    spec: JobSpec, instance: Instance, places: dict[str, YamlPlace], around: Surroundings
) -> JobSpec | None:
    """One of the jobs that a job becomes; None when its rules leave it out."""
    variables = last_of_each((*spec.variables, *instance.variables))
    spec = attrs.evolve(spec, name=instance.name, variables=variables)
    if "rules" not in places:
        return attrs.evolve(spec, when=_when(places))
    rules = places["rules"]
    own = {"CI_JOB_NAME": instance.name, "CI_JOB_STAGE": spec.stage}
    verdict = decided(rules, KnownVariables({**around.predefined, **own}, variables, around.budget))
    if verdict is None:
        rules.warn(f"none holds for a push to `{BRANCH}`, this job is left out")
        return None
    allowed = verdict.allowed
    return attrs.evolve(
        spec,
        when=verdict.when or _when(places),
        allow_failure=spec.allow_failure if allowed is None else allowed.always,
        allowed_exit_codes=spec.allowed_exit_codes if allowed is None else allowed.exit_codes,
        variables=last_of_each((*variables, *verdict.variables, *around.given)),
    )


def _when(places: dict[str, YamlPlace]) -> RunWhen:
    """The job's own word, read only where no rule has another: it may come with a warning."""
    return _read(places, "when", keywords.when, RunWhen.ON_SUCCESS)


def last_of_each(variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """Of equal keys the last."""
    return tuple({variable.key: variable for variable in variables}.values())


def _spec(name: str, places: dict[str, YamlPlace], around: Surroundings) -> JobSpec:
    allowed = _read(places, "allow_failure", keywords.allow_failure, AllowedFailure())
    own: tuple[Variable, ...] = _read(places, "variables", keywords.variables, ())
    return JobSpec(
        name=name,
        stage=_read(places, "stage", YamlPlace.text, "test"),
        before_script=_read(places, "before_script", YamlPlace.script, ()),
        script=_read(places, "script", YamlPlace.script, ()),
        after_script=_read(places, "after_script", YamlPlace.script, ()),
        variables=last_of_each((*around.variables, *own, *around.given)),
        image=_read(places, "image", keywords.image, None),
        services=_read(places, "services", keywords.services, ()),
        artifacts=_read(places, "artifacts", artifact_keywords.artifacts, ArtifactSpec()),
        caches=_read(places, "cache", artifact_keywords.caches, ()),
        timeout=_read(places, "timeout", keywords.timeout, None),
        allow_failure=allowed.always,
        allowed_exit_codes=allowed.exit_codes,
        retry=_read(places, "retry", keywords.retry, Retry()),
        tags=_read(places, "tags", keywords.tags, ()),
    )


def _read(places: dict[str, YamlPlace], key: str, reader: Callable[[YamlPlace], T], default: T) -> T:
    return reader(places[key]) if key in places else default
