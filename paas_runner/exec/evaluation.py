"""From a `.gitlab-ci.yml` to its jobs, as a coordinator evaluates it or our reader; what is not known.

`POST /projects/:id/ci/lint` (the CI Lint API, doc/api/lint.md) answers with `valid`, `errors`, `warnings`
and `merged_yaml`, in which includes, `extends` and `!reference` are done; a token needs the scope `api`.
"""

import asyncio
import os
import re
from pathlib import Path
from urllib.parse import quote

import attrs

from paas_runner.addresses import AddressError, coordinator_api
from paas_runner.errors import Rejected, UsageError
from paas_runner.exec.facts import Facts
from paas_runner.http import QUICK_TRIES, Http, coordinator_at
from paas_runner.job.variables import Variable
from paas_runner.logs import redactor
from paas_runner.pipelines.complaints import Line, PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.predefined import BRANCH
from paas_runner.pipelines.repository_files import RepositoryFolder, read_text
from paas_runner.pipelines.spec import Pipeline
from paas_runner.secret import Secret

_UNTRUE = ("tags do not select", "no one starts manual jobs", "it is kept, but sets no variables")
"""How our reader's warnings begin that are about something which is done here."""

OTHER_SOURCE = "; rules see what -e gives, as -e CI_PIPELINE_SOURCE=merge_request_event"
_OP = "evaluate the pipeline"
_REFUSED = {
    401: "the token is not accepted: it has expired, or is another instance's",
    403: "the token may not do this: it needs the scope `api`, and its owner the role Developer",
    404: "there is no such project, or the token does not open it: --project takes its full path or its id",
}


@attrs.frozen(kw_only=True)
class Evaluator:
    """A coordinator that evaluates pipelines."""

    url: str
    project: str
    token: Secret

    async def merged(self, text: str) -> tuple[str, list[str]]:
        """The text with all that it includes, and warnings; raises `RunnerError`."""
        redactor.add([self.token])
        service = coordinator_at(self.url)
        try:
            api = Http()(coordinator_api(self.url), service=service, at_once=1)
        except AddressError as error:
            raise UsageError(f"--url: {error}") from None
        try:
            answer = await api.call(
                "POST",
                f"/projects/{quote(self.project, safe='')}/ci/lint",
                op=_OP,
                headers={"PRIVATE-TOKEN": self.token},
                payload={"content": text, "include_jobs": True, "dry_run": False},
                attempts=QUICK_TRIES,
            )
        finally:
            await api.aclose()
        if answer.status not in (200, 201):
            words = _REFUSED.get(answer.status, f"answered {answer.status}: {answer.message}")
            raise Rejected(words, service=service, op=_OP, status=answer.status)
        try:
            found = answer.json()
            errors, warnings = (
                [str(each) for each in found.get(key) or ()] for key in ("errors", "warnings")
            )
            merged = str(found.get("merged_yaml") or "")
        except (ValueError, AttributeError, TypeError):
            raise Rejected("the answer is none of the CI Lint API", service=service, op=_OP) from None
        if found.get("valid") is not True or not merged:
            raise UsageError(
                "\n".join(["the coordinator refuses the pipeline:", *(f"  {each}" for each in errors)])
            )
        return merged, warnings


@attrs.frozen(kw_only=True)
class Evaluated:
    """A pipeline as it would be for the folder's HEAD."""

    pipeline: Pipeline
    file: str
    """What lines are of; the coordinator's merged text has lines of its own."""

    branch: str
    told: tuple[str, ...] = ()
    """The coordinator's own warnings."""

    def words(self, warning: PipelineWarning) -> str:
        """A warning as exec has it, with file and line."""
        line = warning.line
        place = f"{(isinstance(line, Line) and line.file) or self.file}:{int(line)}: " if line else ""
        owner = f"job `{'`, `'.join(warning.jobs or (warning.job,))}`, " if warning.job else ""
        return place + owner + f"`{warning.key}`: {_here(warning.text, self.branch)}"

    def warnings_of(self, names: set[str] | None = None) -> list[str]:
        """In words, the coordinator's own before those of our reader."""
        return [*self.told, *map(self.words, self.found_of(names))]

    def found_of(self, names: set[str] | None) -> list[PipelineWarning]:
        """What our reader has found in the whole text, and in the jobs of these names; None: in all."""
        return [
            each
            for each in self.pipeline.warnings
            if not each.text.startswith(_UNTRUE)
            and (names is None or not each.job or names & {each.job, *each.jobs})
        ]


def evaluator(url: str | None, project: str, token_file: Path | None) -> Evaluator | None:
    """None where no coordinator is to be asked; raises `UsageError` without a token for it."""
    if url is None:
        return None
    token = os.environ.get("PAAS_RUNNER_EXEC_TOKEN") or os.environ.get("GITLAB_TOKEN") or ""
    try:
        token = (token_file.read_text() if token_file else token).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {token_file}: it cannot be read: {error}") from None
    if not token.isascii() or not token.isprintable() or not token:
        raise UsageError("--url needs a token of scope api: --token-file FILE, or $GITLAB_TOKEN")
    return Evaluator(url=url, project=project, token=Secret(token))


def evaluate(path: Path, facts: Facts, given: tuple[Variable, ...], by: Evaluator | None) -> Evaluated:
    """Read the file; raises `UsageError` for a pipeline that is refused, and `RunnerError`."""
    branch = facts.variables["CI_COMMIT_REF_NAME"]
    shown = path.relative_to(facts.root).as_posix() if path.is_relative_to(facts.root) else str(path)
    told: list[str] = []
    try:
        text = read_text(path)
        if by:
            text, told = asyncio.run(by.merged(text))
            shown = f"{by.url}, merged {shown}"
        pipeline = load_pipeline(text, RepositoryFolder(facts.root), facts.variables, given)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; --file names another") from None
    except PipelineError as error:
        lines = [f"{shown}: {_here(str(error), branch)}"]
        if "leave the pipeline out" in str(error):
            lines[0] += OTHER_SOURCE
        lines += [f"  warning: {_here(str(each), branch)}" for each in error.warnings]
        raise UsageError("\n".join(lines)) from None
    return Evaluated(pipeline=pipeline, file=shown, branch=branch, told=tuple(told))


def _here(text: str, branch: str) -> str:
    """Our reader speaks of the sandbox, and of its only branch."""
    return re.sub(
        r"\b(in )?the sandbox\b", r"\1exec", text.replace(f"push to `{BRANCH}`", f"push to `{branch}`")
    )
