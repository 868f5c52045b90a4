"""Which jobs are run for a name, and what stands in the way. Pure."""

import difflib
import re
from collections.abc import Callable

import attrs

from paas_runner.errors import UsageError
from paas_runner.exec.evaluation import OTHER_SOURCE, Evaluated
from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import JobSpec, Pipeline, RunWhen

_INSTANCE = re.compile(r"(.+?)(?: \d+/\d+|: \[.*\])")
_MEANING = {
    "inherit": "the job would inherit what it does not want",
    "run": "steps are not run, only scripts",
}
"""Keywords that exec does not know, and without which a job is not the same."""

_SECRETS = ("secrets", "id_tokens")


@attrs.frozen(kw_only=True)
class Wanted:
    """The jobs to be run, and those among them that an earlier run has done."""

    pipeline: Pipeline
    reused: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    """Those that would give artifacts and have not been run here."""

    @property
    def names(self) -> set[str]:
        """As the text has those that are run."""
        return {_base(spec.name) for spec in self.pipeline.jobs if spec.name not in self.reused}


def chosen(evaluated: Evaluated, name: str, *, kept: Callable[[str], bool], with_needs: bool) -> Wanted:
    """What is run for a name; raises `UsageError`.

    With the needs all that it waits for; without, those that have `kept` something of an earlier run.
    """
    jobs = {spec.name: spec for spec in evaluated.pipeline.jobs}
    asked = [each for each in jobs if name in (each, _base(each))]
    if not asked:
        raise UsageError(_why_not(evaluated, name, list(jobs)))
    before = evaluated.pipeline.predecessors()
    wanted = list(asked)
    for each in wanted if with_needs else asked:  # the first grows
        others = sorted(before[each] - set(wanted))
        wanted += [o for o in others if (_comes(jobs[each], jobs[o]) if with_needs else kept(o))]
    missing = {o for each in asked for o in before[each] - {*wanted} if _gives(jobs[o], jobs[each])}
    specs = [_fitted(spec, before[spec.name] & {*wanted}, spec.name in asked) for spec in jobs.values()]
    pipeline = attrs.evolve(evaluated.pipeline, jobs=tuple(spec for spec in specs if spec.name in wanted))
    reused = frozenset(() if with_needs else {*wanted} - {*asked})
    return Wanted(pipeline=pipeline, reused=reused, missing=tuple(sorted(missing)))


def check_known(evaluated: Evaluated, wanted: Wanted, given: tuple[Variable, ...]) -> None:
    """Raises `UsageError` for a keyword without which a job would mean something else."""
    for warning in evaluated.found_of(wanted.names):
        keyword = warning.key.partition(".")[0]
        if warning.job and keyword in _MEANING:
            raise UsageError(f"{evaluated.words(warning)}: {_MEANING[keyword]}")
        if warning.job and keyword in _SECRETS and not given:
            advice = "the job would miss its variables: --secret or --variables-file gives them"
            raise UsageError(f"{evaluated.words(warning)}: {advice}")


def _base(name: str) -> str:
    """The job that became several, by the name of one of them."""
    found = _INSTANCE.fullmatch(name)
    return found[1] if found else name


def _comes(spec: JobSpec, other: JobSpec) -> bool:
    """A manual job is waited for only where it is named."""
    return spec.needs is not None or other.when is not RunWhen.MANUAL


def _gives(other: JobSpec, spec: JobSpec) -> bool:
    """Whether the other's artifacts would be there; those of a manual job may never be."""
    is_wanted = spec.dependencies is None or other.name in spec.dependencies
    return any(other.artifacts.payload()) and is_wanted and _comes(spec, other)


def _fitted(spec: JobSpec, before: frozenset[str], asked: bool) -> JobSpec:
    """What is asked for runs, whatever its `when`: somebody has pressed its button."""
    when = RunWhen.ON_SUCCESS if asked or spec.when is RunWhen.MANUAL else spec.when
    named = spec.dependencies
    dependencies = None if named is None else tuple(each for each in named if each in before)
    return attrs.evolve(spec, needs=tuple(sorted(before)), dependencies=dependencies, when=when)


def _why_not(evaluated: Evaluated, name: str, names: list[str]) -> str:
    for warning in evaluated.pipeline.warnings:
        if name in (warning.job, *warning.jobs) and "this job is left out" in warning.text:
            advice = OTHER_SOURCE if warning.key.startswith("rules") else ""
            return f"{evaluated.words(warning)}{advice}"
    if name.startswith("."):
        return f"`{name}` is a template: hidden jobs are not run"
    near = difflib.get_close_matches(name, [*names, *map(_base, names)], 1)
    missing = any("what it brings is missing" in each.text for each in evaluated.pipeline.warnings)
    told = f": did you mean `{near[0]}`?" if near else f"; there are: {', '.join(names)}"
    more = " It may be in what is not included: with --url a GitLab evaluates that" if missing else ""
    return f"{evaluated.file} has no job `{name}`{told}{more}"
