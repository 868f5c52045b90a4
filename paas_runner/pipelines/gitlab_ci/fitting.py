"""Jobs into their pipeline: stages in order, and needs and dependencies that lead to jobs which exist.

What GitLab's `yaml_processor.rb` refuses is refused here: a job that is not defined, or in a later stage.
"""

import graphlib
from collections.abc import Iterable, Iterator, Sequence

import attrs

from paas_runner.pipelines.complaints import PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.drafts import JobDraft
from paas_runner.pipelines.gitlab_ci.keywords import Need
from paas_runner.pipelines.spec import FIRST_STAGE, LAST_STAGE, JobSpec, Pipeline


def ordered(named: Iterable[str]) -> tuple[str, ...]:
    """All stages, with the first and the last that every pipeline has."""
    between = dict.fromkeys(stage for stage in named if stage not in (FIRST_STAGE, LAST_STAGE))
    return (FIRST_STAGE, *between, LAST_STAGE)


@attrs.frozen(kw_only=True)
class Fitting:
    """The drafts of one pipeline; `unplayed` are the names of jobs that the sandbox cannot run."""

    drafts: Sequence[JobDraft]
    stages: tuple[str, ...]
    unplayed: frozenset[str]
    budget: Budget
    warnings: list[PipelineWarning]
    _by_name: dict[str, JobDraft] = attrs.field(init=False)

    _place: dict[str, int] = attrs.field(init=False)

    @_place.default
    def _places_of_stages(self) -> dict[str, int]:
        return {stage: place for place, stage in enumerate(self.stages)}

    @_by_name.default
    def _all_names(self) -> dict[str, JobDraft]:
        return {name: each for each in self.drafts for name in (*each.names, *each.left_out, each.name)}

    def jobs(self) -> tuple[JobSpec, ...]:
        """All jobs; raises `PipelineError` for a stage or a job that does not exist."""
        for each in self.drafts:
            if each.stage not in self._place:
                known = ", ".join(self.stages)
                text = f"job `{each.name}` is in stage `{each.stage}`, the stages are {known}"
                raise PipelineError(text, line=each.line)
        found: dict[str, JobSpec] = {}
        for each in self.drafts:
            if not each.jobs:
                continue
            needs, dependencies = self._needed(each), self._dependencies(each)
            for job in each.jobs:
                spec = attrs.evolve(job, needs=needs, dependencies=dependencies)
                if spec.name in found:
                    text = "several jobs are called so, the last one counts"
                    self.warnings.append(PipelineWarning(job="", key=spec.name, text=text, line=each.line))
                found[spec.name] = spec
        return tuple(found.values())

    def _needed(self, each: JobDraft) -> tuple[str, ...] | None:
        """The names of the jobs it needs, with every instance of one that becomes several."""
        if each.needs is None:
            return None
        return tuple(
            dict.fromkeys(name for need in each.needs for name in self._instances(need, each, "need"))
        )

    def _dependencies(self, each: JobDraft) -> tuple[str, ...] | None:
        """The names of the jobs whose artifacts it gets; None for all that it waits for.

        With both keywords a job gets those of which `dependencies` and `needs:artifacts` say so.
        """
        needed = [need for need in each.needs or () if need.artifacts]
        from_needs = dict.fromkeys(name for need in needed for name in self._instances(need, each, "need"))
        if each.dependencies is None:
            return None if each.needs is None else tuple(from_needs)
        named = [Need(name=name) for name in each.dependencies]
        names = dict.fromkeys(name for need in named for name in self._instances(need, each, "dependency"))
        if not each.needs:
            return tuple(names)
        everything = {name for need in each.needs for name in self._instances(need, each, "need")}
        foreign = [name for name in names if name not in everything]
        if foreign:
            text = f"job `{each.name}`: the dependency `{foreign[0]}` should be part of `needs`"
            raise PipelineError(text, line=each.line)
        return tuple(name for name in names if name in from_needs)

    def _instances(self, need: Need, each: JobDraft, kind: str) -> Iterator[str]:
        """The jobs that one entry names."""
        owner = f"job `{each.name}`"
        for name in need.instances or (need.name,):
            found = self._by_name.get(name)
            if found is None:
                if need.name in self.unplayed:
                    self._warn(each, kind, f"`{need.name}` is left out, this job does not wait for it")
                elif not need.optional:
                    raise PipelineError(f"{owner}: {kind} `{name}` is not defined", line=each.line)
                continue
            if self._place[found.stage] > self._place[each.stage]:
                text = f"{owner}: {kind} `{name}` is not defined in current or prior stages"
                raise PipelineError(text, line=each.line)
            names = found.names if name == found.name else [one for one in found.names if one == name]
            if not names and kind == "need" and not need.optional:
                text = f"{owner} needs `{name}`, which its rules leave out, and the need is not `optional`"
                raise PipelineError(text, line=each.line)
            self.budget.take_values(len(names) + 1, each.line)
            yield from names

    def _warn(self, each: JobDraft, kind: str, text: str) -> None:
        key = {"need": "needs", "dependency": "dependencies"}[kind]
        self.warnings.append(PipelineWarning(job=each.name, key=key, text=text, line=each.line))


def check_order(pipeline: Pipeline) -> None:
    """Raises `PipelineError` for jobs that wait for each other."""
    try:
        graphlib.TopologicalSorter(pipeline.predecessors()).prepare()
    except graphlib.CycleError as error:
        circle = " → ".join(error.args[1])
        raise PipelineError(f"these jobs wait for each other: {circle}") from None
