"""`.gitlab-ci.yml` text into a `Pipeline`; what has no effect here is named in a warning."""

from collections.abc import Mapping

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.complaints import PipelineError, PipelineWarning, summarized
from paas_runner.pipelines.gitlab_ci import keywords
from paas_runner.pipelines.gitlab_ci.bounds import MOST_JOBS, Budget
from paas_runner.pipelines.gitlab_ci.drafts import JobDraft, Surroundings, draft, last_of_each
from paas_runner.pipelines.gitlab_ci.fitting import Fitting, check_order, ordered
from paas_runner.pipelines.gitlab_ci.includes import Assembly, RepositoryFiles
from paas_runner.pipelines.gitlab_ci.inheritance import INHERITED, Family, resolved, with_defaults
from paas_runner.pipelines.gitlab_ci.inputs import YamlFile
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.rules import KnownVariables, decided
from paas_runner.pipelines.gitlab_ci.sections import YamlSection
from paas_runner.pipelines.predefined import BRANCH, before_the_start
from paas_runner.pipelines.spec import DEFAULT_STAGES, Pipeline

_TOP_LEVEL_DEFAULTS = frozenset({"image", "services", "before_script", "after_script", "cache"})
_UNDERSTOOD = frozenset({"stages", "default", "variables"}) | _TOP_LEVEL_DEFAULTS
_NO_JOBS = frozenset({"workflow", "spec"})


def load_pipeline(
    text: str,
    files: RepositoryFiles | None = None,
    predefined: Mapping[str, str] | None = None,
    given: tuple[Variable, ...] = (),
) -> Pipeline:
    """The pipeline that `text` describes, with what it includes out of `files`.

    Rules see `predefined`, by default what a push to the sandbox's own project has; the variables that were
    `given` win over the text's own. Raises `PipelineError` with the line where the text is at fault, and the
    warnings that were found before.
    """
    known = before_the_start() if predefined is None else predefined
    reading = _Reading(budget=Budget(), warnings=[], predefined=known, given=given)
    try:
        return reading.pipeline(text, files)
    except PipelineError as error:
        error.warnings = summarized(reading.warnings)
        raise
    except RecursionError:
        raise PipelineError("nested too deeply") from None


@attrs.frozen(kw_only=True)
class _Reading:
    """One pipeline being read: what it may still take, and what is to be said of it."""

    budget: Budget
    warnings: list[PipelineWarning]
    predefined: Mapping[str, str]
    given: tuple[Variable, ...]

    def pipeline(self, text: str, files: RepositoryFiles | None) -> Pipeline:
        known = KnownVariables(self.predefined, self.given, self.budget)
        assembly = Assembly(files, known, self.warnings)
        raw = assembly.document(YamlFile(text=text))
        document: YamlSection = resolved(raw, raw, self.budget)
        top = {key: self._place(document, key) for key, value in document.items() if value is not None}
        if "spec" in top:
            top["spec"].warn()
        drafts, unplayed = self._drafts(document, top, incomplete=assembly.incomplete)
        stages = ordered(top["stages"].texts() if "stages" in top else DEFAULT_STAGES)
        fitting = Fitting(
            drafts=drafts, stages=stages, unplayed=unplayed, budget=self.budget, warnings=self.warnings
        )
        jobs = fitting.jobs()
        if not jobs:
            raise PipelineError("there is no job to run")
        pipeline = Pipeline(jobs=jobs, stages=stages, warnings=summarized(self.warnings))
        check_order(pipeline)
        return pipeline

    def _place(self, document: YamlSection, key: str) -> YamlPlace:
        line = document.lines.get(key)
        return YamlPlace(job="", key=key, value=document[key], line=line, warnings=self.warnings)

    def _drafts(
        self, document: YamlSection, top: dict[str, YamlPlace], *, incomplete: bool
    ) -> tuple[list[JobDraft], frozenset[str]]:
        """The jobs, and the names of those that the sandbox cannot run."""
        defaults = self._defaults(top)
        around = Surroundings(
            variables=self._common_variables(top),
            given=self.given,
            predefined=self.predefined,
            incomplete=incomplete,
            budget=self.budget,
            warnings=self.warnings,
        )
        family = Family(document, self.budget)
        drafts: list[JobDraft] = []
        unplayed: set[str] = set()
        total = 0
        for name in document:
            if name in _UNDERSTOOD | _NO_JOBS or name.startswith("."):
                continue
            line = document.lines.get(name)
            job = with_defaults(family.extended(name), defaults)
            self.budget.take_all(job)
            found = draft(name, job, line, around)
            if found is None:
                unplayed.add(name)
                continue
            drafts.append(found)
            total += len(found.jobs)
            if total > MOST_JOBS:
                raise PipelineError(f"a pipeline may have {MOST_JOBS} jobs at most", line=line)
        return drafts, frozenset(unplayed)

    def _common_variables(self, top: dict[str, YamlPlace]) -> tuple[Variable, ...]:
        """Those of the text and of `workflow:rules`; raises `PipelineError` if none of these holds."""
        variables = keywords.variables(top["variables"]) if "variables" in top else ()
        if "workflow" not in top:
            return variables
        parts = top["workflow"].known("rules")
        if "rules" not in parts:
            return variables
        verdict = decided(
            parts["rules"], KnownVariables(self.predefined, (*variables, *self.given), self.budget)
        )
        if verdict is None:
            parts["rules"].refuse(f"leave the pipeline out: none holds for a push to `{BRANCH}`")
        return last_of_each((*variables, *verdict.variables))

    def _defaults(self, top: dict[str, YamlPlace]) -> YamlSection:
        """`default`, completed by the older way of writing some of its keys at the top level."""
        older = _section({key: top[key] for key in _TOP_LEVEL_DEFAULTS & top.keys()})
        if "default" not in top:
            return older
        return with_defaults(_section(top["default"].known(*INHERITED)), older)


def _section(places: dict[str, YamlPlace]) -> YamlSection:
    return YamlSection(
        ((key, place.value) for key, place in places.items()),
        {key: place.line or 0 for key, place in places.items()},
    )
