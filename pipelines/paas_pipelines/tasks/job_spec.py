"""A task as a job of the coordinator: what the runner that takes it is told.

Its script is one command of the job, which makes of the shell that the runner has what §4 promises: one
shell for all entries, each from the base folder, with empty stdin, and neither `errexit` nor `pipefail` but
where an author asks for them. With `allow_failure` the next entry runs whatever the one before it ended with,
`exit` included. Each entry is shown before it runs, as runners do it.
"""

import re
import shlex
from collections.abc import Sequence
from datetime import timedelta

from paas_pipelines.tasks.place import TaskOrder
from paas_runner.inner.trace import echo
from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.spec import ArtifactSpec, ImageSpec, JobSpec, Sources

ROOT_NAMESPACE = "pipelines"
RUN_ID = "PAAS_RUN_ID"
"""The variable by which a script knows to which run it belongs."""

NO_SOURCES = Variable(key="GIT_STRATEGY", value="none", public=True)
CLONED = Variable(key="GIT_STRATEGY", value="clone", public=True)
EMPTY_FOLDER = Variable(key="GIT_STRATEGY", value="empty", public=True)

OUTPUT_FILE = ".pipeline-output"
"""In the job's folder: what it tells those after it, uploaded as a report."""

_WITH_OUTPUT = f"""\
PIPELINE_OUTPUT="$CI_PROJECT_DIR/{OUTPUT_FILE}"; export PIPELINE_OUTPUT
: >"$PIPELINE_OUTPUT"
"""

_SHORTEST = timedelta(seconds=1)  # runners count whole seconds, and take 0 for their own default

_END = "\n\n"  # behind an entry that ends with a backslash
_GO = """\
while [ "$paas_next" -le "$paas_count" ]; do
eval "paas_shown=\\$paas_shown_$paas_next paas_text=\\$paas_entry_$paas_next"
paas_next=$((paas_next + 1))
command printf '%s\\n' "$paas_shown"
set +e
command cd -- "$CI_PROJECT_DIR" && eval "$paas_text"
paas_status=$?
[ "$paas_status" -eq 0 ] || paas_last=$paas_status
[ "$paas_status" -eq 0 ] || [ "$paas_tolerant" ] || break
done
exit "$paas_last"
"""
_LEFT = """\
paas_status=$?
[ "$paas_status" -eq 0 ] || paas_last=$paas_status
[ "$paas_next" -le "$paas_count" ] || exit "$paas_last"
(trap "$paas_left" EXIT; eval "$paas_go")
exit "$?"
"""
"""After an `exit` with entries left: another shell begins as a copy of the one that ends, and goes on."""


def job_spec(
    order: TaskOrder,
    script: Sequence[str],
    files_of: Sequence[int] = (),
    sources: Sources | None = None,
) -> JobSpec:
    """The job of a task; `script` is its own, rendered, and `files_of` are the jobs whose files it loads."""
    task = order.task.definition
    settings = task.executor.settings if task.executor else {}
    image = task.image or settings.get("image")
    text = job_script([_text(entry) for entry in script], tolerant=task.allow_failure)
    return JobSpec(
        name=_text(order.task.name),
        stage=_text(order.run.pipeline),
        script=(f"{_WITH_OUTPUT}{text}" if task.outputs else text,),
        variables=(
            *(Variable(key=_text(key), value=_text(value), raw=True) for key, value in order.env.items()),
            CLONED if sources else EMPTY_FOLDER if task.save or task.load else NO_SOURCES,
            Variable(key=RUN_ID, value=order.run.run_id, public=True, raw=True),
        ),
        image=ImageSpec(name=str(image)) if image else None,
        tags=_tags(order),
        timeout=max(task.timeout, _SHORTEST) if task.timeout else None,
        artifacts=ArtifactSpec(paths=task.save, reports={"dotenv": (OUTPUT_FILE,)} if task.outputs else {}),
        files_of=tuple(files_of),
        entrusted=bool(order.all_secrets),
        sources=sources,
        requires_worker=task.requires_worker,
    )


def private_variables(order: TaskOrder) -> tuple[Variable, ...]:
    """The credentials of a task, which no record has."""
    return (
        *(
            Variable(key=key, value=value.reveal(), masked=True, raw=True)
            for key, value in order.secrets.items()
        ),
        *(
            Variable(key=key, value=value.reveal(), masked=True, raw=True, file=True)
            for key, value in order.secret_files.items()
        ),
    )


def _tags(order: TaskOrder) -> tuple[str, ...]:
    """Those of its executor; or its `runner`, a tag or a description, which counts for a tag."""
    task = order.task.definition
    settings = task.executor.settings if task.executor and task.executor.type == "runner" else {}
    tags = settings.get("tags", ())
    found = [tags] if isinstance(tags, str) else [str(tag) for tag in tags]
    return tuple(dict.fromkeys([*found, *filter(None, (settings.get("runner"), task.runner))]))


def project_of(order: TaskOrder) -> Project:
    """Of a pipeline's tasks; without sources."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", order.run.pipeline).strip("-") or "pipeline"
    return Project(full_path=f"{ROOT_NAMESPACE}/{name}")


def job_script(entries: Sequence[str], *, tolerant: bool) -> str:
    """One command for bash or any POSIX shell; ends with the last status that was not 0."""
    lines = [f"# {len(entries)} commands" if len(entries) != 1 else "# 1 command", "(", "set +e"]
    lines.append("(set +o pipefail) 2>/dev/null && set +o pipefail")
    for number, entry in enumerate(entries, 1):
        lines.append(f"paas_shown_{number}={shlex.quote(echo(entry))}")
        lines.append(f"paas_entry_{number}={shlex.quote(entry + _END)}")
    lines.append(
        f"paas_count={len(entries)} paas_next=1 paas_last=0 paas_tolerant={'yes' if tolerant else ''}"
    )
    lines.append(f"paas_go={shlex.quote(_GO)}")
    if tolerant:
        lines += [f"paas_left={shlex.quote(_LEFT)}", 'trap "$paas_left" EXIT']
    return "\n".join([*lines, 'eval "$paas_go"', ") </dev/null"])


def _text(text: str) -> str:
    """Without lone surrogates: values come from outside, and no job may have what no answer can tell."""
    return text.encode(errors="replace").decode()
