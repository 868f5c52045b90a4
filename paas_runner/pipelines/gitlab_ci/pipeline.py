"""`.gitlab-ci.yml` text into a `Pipeline`; what has no effect here is named in a warning."""

import graphlib

from paas_runner.pipelines.gitlab_ci import keywords
from paas_runner.pipelines.gitlab_ci.drafts import JobDraft, draft
from paas_runner.pipelines.gitlab_ci.inheritance import INHERITED, resolved, with_defaults
from paas_runner.pipelines.gitlab_ci.keywords import Need
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.yaml_text import YamlSection, parse
from paas_runner.pipelines.spec import (
    DEFAULT_STAGES,
    FIRST_STAGE,
    LAST_STAGE,
    Pipeline,
    PipelineError,
    PipelineWarning,
)

_TOP_LEVEL_DEFAULTS = frozenset({"image", "services", "before_script", "after_script", "cache"})
_UNDERSTOOD = frozenset({"stages", "default", "variables"}) | _TOP_LEVEL_DEFAULTS
_NO_JOBS = frozenset({"include", "workflow", "spec"})


def load_pipeline(text: str) -> Pipeline:
    """The pipeline that `text` describes; raises `PipelineError` with the line where it is at fault."""
    raw, warnings = parse(text)
    document: YamlSection = resolved(raw, raw)
    top = {
        key: YamlPlace(job="", key=key, value=value, line=document.lines.get(key), warnings=warnings)
        for key, value in document.items()
        if value is not None
    }
    for key in top.keys() & _NO_JOBS:
        top[key].warn()
    drafts = _drafts(document, top, warnings)
    if not drafts:
        raise PipelineError("there is no job to run")
    stages = _stages(top, drafts)
    names = {each.spec.name: each.names() for each in drafts}
    jobs = [spec for each in drafts for spec in each.specs(_needed(each, names), _dependencies(each, names))]
    pipeline = Pipeline(jobs=tuple(jobs), stages=stages, warnings=_sorted(warnings))
    _check_order(pipeline)
    return pipeline


def _drafts(
    document: YamlSection, top: dict[str, YamlPlace], warnings: list[PipelineWarning]
) -> list[JobDraft]:
    defaults = _defaults(top)
    common = keywords.variables(top["variables"]) if "variables" in top else ()
    names = [key for key in document if key not in _UNDERSTOOD | _NO_JOBS and not key.startswith(".")]
    found = (draft(name, document, defaults, common, warnings) for name in names)
    return [each for each in found if each is not None]


def _defaults(top: dict[str, YamlPlace]) -> YamlSection:
    """`default`, completed by the older way of writing some of its keys at the top level."""
    older = YamlSection(
        ((key, top[key].value) for key in _TOP_LEVEL_DEFAULTS & top.keys()),
        {key: place.line or 0 for key, place in top.items()},
    )
    if "default" not in top:
        return older
    known = top["default"].known(*INHERITED)
    newer = YamlSection(
        ((key, place.value) for key, place in known.items()),
        {key: place.line or 0 for key, place in known.items()},
    )
    return with_defaults(newer, older)


def _stages(top: dict[str, YamlPlace], drafts: list[JobDraft]) -> tuple[str, ...]:
    """All stages in order; raises `PipelineError` for a job in a stage that does not exist."""
    named = top["stages"].texts() if "stages" in top else DEFAULT_STAGES
    between = dict.fromkeys(stage for stage in named if stage not in (FIRST_STAGE, LAST_STAGE))
    stages = (FIRST_STAGE, *between, LAST_STAGE)
    for each in drafts:
        if each.spec.stage not in stages:
            known = ", ".join(stages)
            raise PipelineError(
                f"job `{each.spec.name}` is in stage `{each.spec.stage}`, the stages are {known}",
                line=each.line,
            )
    return stages


def _needed(each: JobDraft, names: dict[str, list[str]]) -> tuple[str, ...] | None:
    """The names of the jobs it needs, with every copy of one that runs in parallel."""
    if each.needs is None:
        return None
    return tuple(name for need in each.needs for name in _copies(need, each, names))


def _dependencies(each: JobDraft, names: dict[str, list[str]]) -> tuple[str, ...] | None:
    """The names of the jobs whose artifacts it gets; None for all that it waits for."""
    if each.dependencies is not None:
        wanted = [Need(name=name) for name in each.dependencies]
    elif each.needs is not None:
        wanted = [need for need in each.needs if need.artifacts]
    else:
        return None
    return tuple(name for need in wanted for name in _copies(need, each, names))


def _copies(need: Need, each: JobDraft, names: dict[str, list[str]]) -> list[str]:
    if need.name in names:
        return names[need.name]
    single = [name for copies in names.values() for name in copies if name == need.name]
    if not single and not need.optional:
        raise PipelineError(
            f"job `{each.spec.name}` needs `{need.name}`, which does not exist", line=each.line
        )
    return single


def _check_order(pipeline: Pipeline) -> None:
    before = pipeline.predecessors()
    for spec in pipeline.jobs:
        early = sorted(set(spec.dependencies or ()) - before[spec.name])
        if early:
            raise PipelineError(
                f"job `{spec.name}` depends on `{early[0]}`, which it does not wait for: name it in `needs`, "
                "or put it into an earlier stage"
            )
    try:
        graphlib.TopologicalSorter(before).prepare()
    except graphlib.CycleError as error:
        circle = " → ".join(error.args[1])
        raise PipelineError(f"these jobs wait for each other: {circle}") from None


def _sorted(warnings: list[PipelineWarning]) -> tuple[PipelineWarning, ...]:
    """In the order of the text, each once: jobs may share a line through `extends` or an anchor."""
    return tuple(
        sorted(dict.fromkeys(warnings), key=lambda warning: (warning.line or 0, warning.job, warning.key))
    )
