"""What approvals are as people and programs see them: what is asked, of whom, and what would be approved."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import attrs

from paas_pipelines.access import resources
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.people import marks_of
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import APPROVE, READ
from paas_pipelines.api.definition_shapes import parameter_shape
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import moment
from paas_pipelines.definitions.automation import Approval
from paas_pipelines.runs import approving
from paas_pipelines.runs.approving import DecisionRefusedError, Verdict
from paas_pipelines.runs.digests import before
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Decision, Run, Saved, Task
from paas_pipelines.tasks.files import Entry

MOST_NAMED = 100
"""So many of the files of a task are named."""


@attrs.frozen(kw_only=True)
class SavedFiles:
    """What a task has left to those after it."""

    task: str
    saved: Saved
    entries: Sequence[Entry]
    """The first `MOST_NAMED` of them."""

    @property
    def more(self) -> int:
        """How many are not named; folders may be among them."""
        return max(0, self.saved.count - len(self.entries)) if len(self.entries) == MOST_NAMED else 0


def open_approvals(engine: Engine, access: Access, identity: Identity) -> Iterator[tuple[Run, Task]]:
    """Those that somebody may see, and their pipelines, the oldest run's first."""
    for run, task in engine.blocked():
        asked = resources.pipeline(run.pipeline), resources.task(run.pipeline, task.name)
        if access.may(identity, READ, *asked).allowed:
            yield run, task


def may_decide(run: Run, task: Task, access: Access, identity: Identity, now: datetime) -> bool:
    """Whether a decision of this one would count, and has not been made."""
    if not approving.is_open(task) or task.asked is None:
        return False
    if not access.may(identity, APPROVE, resources.task(run.pipeline, task.name)).allowed:
        return False
    name, marks, people = str(identity), marks_of(identity), access.people
    if approving.has_decided(task, marks, people):
        return False
    tried = Decision(user=name, approved=False, at=now, reason="-", marks=marks)  # which needs no form
    digest, groups = task.asked.digest, identity.groups
    try:
        approving.decided(run, task.name, tried, groups=groups, digest=digest, people=people)
    except DecisionRefusedError as refused:
        return refused.status == HTTPStatus.BAD_REQUEST  # what the form asks for is still to be filled in
    return True


def state_of(task: Task) -> str:
    """One word: waiting (for its turn), open, approved, rejected, or closed with its run."""
    if approving.is_open(task):
        return "open"
    match approving.verdict(task):
        case Verdict.APPROVED:
            return "approved"
        case Verdict.REJECTED:
            return "rejected"
        case None:
            return "closed" if task.ended or task.asked else "waiting"


def approval_shape(
    run: Run, task: Task, *, mine: bool, files: Sequence[SavedFiles] | None = None
) -> Mapping[str, Any]:
    """All that somebody has to know who decides; with `files` those of the tasks before it."""
    approval, asked = approving.of(task), task.asked
    return {
        "run": run.run_id,
        "pipeline": run.pipeline,
        "task": task.name,
        "state": state_of(task),
        "mine": mine,
        "user": run.user,
        "created": moment(run.created),
        "text": asked.text if asked else "",
        "count": approval.count,
        "approvers": list(approval.approvers),
        "fourEyes": approval.four_eyes,
        "reasonRequired": approval.reason_required,
        "onDeadline": approval.on_deadline,
        "params": [parameter_shape(each) for each in approval.params],
        "variables": dict(run.variables),
        "outputs": outputs_before(run, task),
        **({} if files is None else {"files": [files_shape(run, each) for each in files]}),
        "decisions": [decision_shape(each) for each in asked.decisions] if asked else [],
        **(
            {"since": moment(asked.since), "deadline": moment(asked.deadline), "digest": asked.digest}
            if asked
            else {}
        ),
    }


async def files_before(served: Served, run: Run, task: Task, identity: Identity) -> Sequence[SavedFiles]:
    """Of the tasks before an approval whose logs somebody may read, in the run's order."""
    found = []
    for each in tasks_before(run, task):
        log = resources.log(run.pipeline, each.name)
        if each.saved and served.files and served.access.may(identity, READ, log).allowed:
            entries = await asyncio.to_thread(served.files.entries, run.run_id, each.name, MOST_NAMED)
            found.append(SavedFiles(task=each.name, saved=each.saved, entries=entries))
    return found


def files_shape(run: Run, files: SavedFiles) -> Mapping[str, Any]:
    """Those of one task, and where the archive is."""
    return {
        "task": files.task,
        "href": f"/runs/{run.run_id}/files/{quote(files.task)}",
        "size": files.saved.size,
        "digest": files.saved.digest,
        "names": [{"name": each.name, "size": each.size} for each in files.entries],
        "more": files.more,
    }


def decision_shape(decision: Decision) -> Mapping[str, Any]:
    """What one person has said."""
    return {
        "user": decision.user,
        "approved": decision.approved,
        "at": moment(decision.at),
        "reason": decision.reason,
        "values": dict(decision.values),
    }


def outputs_before(run: Run, task: Task) -> Mapping[str, Mapping[str, Any]]:
    """By the names of the tasks that have come before it; of those that have none nothing."""
    return {each.name: dict(each.outputs) for each in tasks_before(run, task) if each.outputs}


def tasks_before(run: Run, task: Task) -> Sequence[Task]:
    """In the run's order."""
    names = before(run, task.name)
    return [each for each in run.tasks if each.name in names]


def approval_of(task: Task) -> Approval | None:
    """None for a task that is none."""
    return task.definition.approval
