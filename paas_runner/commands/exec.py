"""`paas-runner exec`: one job of a `.gitlab-ci.yml`, on this machine."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paas_runner.commands import output
from paas_runner.commands.command import Command
from paas_runner.errors import Exit, MissingPackagesError, UsageError

if TYPE_CHECKING:
    from paas_runner.exec.evaluation import Evaluated
    from paas_runner.exec.kept import Kept
    from paas_runner.pipelines.jobs import Job

_CANCELED = 130
_EPILOG = """\
examples:
  paas-runner exec                        the jobs there are
  paas-runner exec test                   run one, as the tree is now: nothing has to be committed
  paas-runner exec test --needs           run what it needs before it
  paas-runner exec 'test: [3.12, arm]'    one of a matrix; `test` alone runs all of it
  paas-runner exec deploy --secret TOKEN  with the value of $TOKEN, which the log does not show

The job gets a copy of the working tree: tracked files with their changes, new ones that are not ignored. What
it changes stays in the copy; its artifacts and caches are kept in .paas-runner/exec, where a job finds those
of the jobs that it needs. A job with an image runs in a container if a Docker engine answers ($DOCKER_HOST or
the standard socket), any other in this machine's shell: with its PATH, and nothing else of your environment.

Ctrl-C cancels the job as GitLab does, its after_script runs; a second one ends it.

exit codes:
  0    the job passed, or jobs were listed
  1    it failed (also where it is allowed to), or it could not be run
  2    wrong arguments, no such job, or a pipeline that cannot be read
  130  canceled by Ctrl-C
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("job", nargs="?", metavar="JOB", help="the job to run; without it jobs are listed")
    add("--file", type=Path, default=Path(".gitlab-ci.yml"), help="in the repository (default: %(default)s)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--shell", action="store_true", help="run scripts on this machine, whatever the image")
    where.add_argument("--docker", action="store_true", help="run them in containers, or not at all")
    add("--image", metavar="NAME", help="image of jobs that name none")
    add("-e", "--variable", action="append", default=[], metavar="NAME=VALUE", help="as often as needed")
    add("--secret", action="append", default=[], metavar="NAME", help="a variable of this shell, masked")
    file_help = "dotenv, or YAML, where `{value: …, masked: true}` hides a value in the log"
    add("--variables-file", action="append", default=[], type=Path, metavar="FILE", help=file_help)
    add("--needs", action="store_true", help="first run the jobs that it needs")
    add("--artifacts-dir", type=Path, metavar="DIR", help="unpack the job's artifacts there")
    add("--url", help="have this GitLab evaluate the pipeline: it knows every include and keyword")
    add("--project", metavar="PATH", help="the project there (default: that of the remote `origin`)")
    whose = "its token, of scope api (default: $PAAS_RUNNER_EXEC_TOKEN, $GITLAB_TOKEN)"
    add("--token-file", type=Path, metavar="FILE", help=whose)
    add("--json", action="store_true", help="print one JSON document, nothing else")


def _call(arguments: argparse.Namespace) -> int:
    try:
        from paas_runner.exec.running import Running
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, wanted_by="`exec`") from error
    import asyncio

    from paas_runner.exec import choice, engine
    from paas_runner.exec.evaluation import evaluate, evaluator
    from paas_runner.exec.facts import facts_of
    from paas_runner.exec.given import given_variables
    from paas_runner.exec.kept import Kept

    try:
        facts = facts_of(Path.cwd())
    except FileNotFoundError:
        raise UsageError("the current folder is gone: enter it anew") from None
    given = given_variables(arguments.variables_file, arguments.variable, arguments.secret)
    path = arguments.file if arguments.file.exists() else facts.root / arguments.file
    by = evaluator(arguments.url, arguments.project or facts.path, arguments.token_file)
    evaluated = evaluate(path.absolute(), facts, given, by)
    if arguments.job is None:
        return _listed(evaluated, as_json=arguments.json)
    kept = Kept(facts.root / ".paas-runner" / "exec")
    wanted = choice.chosen(evaluated, arguments.job, kept=kept.has, with_needs=arguments.needs)
    choice.check_known(evaluated, wanted, given)
    wanted, trouble = engine.placed(wanted, arguments.image, shell=arguments.shell, docker=arguments.docker)
    if wanted.missing:
        names = "`, `".join(wanted.missing)
        trouble.append(f"there are no artifacts of `{names}` here yet: --needs runs what comes before")
    _warn([*evaluated.warnings_of(wanted.names), *trouble])
    view = _View(kept, quiet=arguments.json)
    running = Running(facts, kept, given, view)
    jobs = asyncio.run(running.run(wanted))
    if arguments.artifacts_dir:
        kept.unpack([job.spec.name for job in jobs], arguments.artifacts_dir)
    if arguments.json:
        output.show_json({"jobs": [_document(job, view, kept) for job in jobs]})
    passed = all(job.status == "success" for job in jobs)
    return _CANCELED if running.interrupts else Exit.OK if passed else Exit.FAILED


def _listed(evaluated: "Evaluated", *, as_json: bool) -> int:
    _warn(evaluated.warnings_of())
    order = evaluated.pipeline.stages.index
    rows: list[dict[str, Any]] = [
        {
            "job": spec.name,
            "stage": spec.stage,
            "when": spec.when.value,
            "image": spec.image and spec.image.name,
            "needs": spec.needs and list(spec.needs),
        }
        for spec in sorted(evaluated.pipeline.jobs, key=lambda spec: order(spec.stage))
    ]
    if as_json:
        output.show_json({"jobs": rows})
    else:
        cells = [[_cell(value) for value in row.values()] for row in rows]
        output.show(output.Table(head=[key.upper() for key in rows[0]], rows=cells))
    return Exit.OK


def _cell(value: str | list[str] | None) -> str:
    return ", ".join(value) if isinstance(value, list) else value or "-"


def _warn(texts: list[str]) -> None:
    for text in texts:
        output.note(f"paas-runner exec: warning: {text}")


def _document(job: "Job", view: "_View", kept: "Kept") -> dict[str, Any]:
    return {
        "job": job.spec.name,
        "stage": job.spec.stage,
        "status": job.status.value,
        "allowed_to_fail": job.spec.tolerates(job.exit_code),
        "exit_code": job.exit_code,
        "failure_reason": job.failure_reason,
        "artifacts": [str(each) for each in kept.files(job.spec.name)],
        "log": view.logs.get(job.spec.name, []),
    }


class _View:
    """Jobs as their author sees them; `quiet` only keeps the lines."""

    def __init__(self, kept: "Kept", *, quiet: bool) -> None:
        self.logs: dict[str, list[str]] = {}
        self._kept = kept
        self._quiet = quiet

    def lines(self, job: "Job", texts: list[str]) -> None:
        """More of its log."""
        found = [output.Coloured(text) for text in texts]
        if self._quiet:
            self.logs.setdefault(job.spec.name, []).extend(map(output.plain, found))
        else:
            output.show(*found)

    def ended(self, job: "Job") -> None:
        """How, and where its artifacts are."""
        if self._quiet:
            return
        allowed = job.status == "failed" and job.spec.tolerates(job.exit_code)
        files = self._kept.files(job.spec.name)
        output.show(
            (
                f"job {job.spec.name}: ",
                output.Painted(job.status.value, "green" if job.status == "success" else "red"),
                " (it is allowed to: a pipeline would go on)" if allowed else "",
                f"; {', '.join(file.name for file in files)} in {files[0].parent}" if files else "",
            )
        )


COMMAND = Command(
    name="exec",
    help="run one job of a .gitlab-ci.yml on this machine",
    description="Run one job of this repository's .gitlab-ci.yml here, without a push and without a runner.",
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
