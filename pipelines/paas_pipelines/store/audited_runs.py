"""What happens to runs, noted in the audit: who has started them, and what people have decided.

Told by the book with every record that is saved, so that the note is in the transaction of the record.
"""

from collections.abc import Iterator
from typing import Any

from paas_pipelines.access import resources
from paas_pipelines.access.people import person_in
from paas_pipelines.runs.book import Observer
from paas_pipelines.runs.run import Decision, Run, Task
from paas_pipelines.store.audit import Audit


def noting(audit: Audit) -> Observer:
    """For the book's `observers`."""

    def saved(before: Run | None, after: Run) -> None:
        if before is None:
            _note_start(audit, after)
        elif before.tasks is not after.tasks:
            for task, decision in _new_decisions(before, after):
                what = "approve" if decision.approved else "reject"
                told = {"run": after.run_id, "person": person_in(decision.marks), "reason": decision.reason}
                told = {name: value for name, value in told.items() if value}
                audit.note(decision.user, what, resources.task(after.pipeline, task.name), **told)

    return saved


def _note_start(audit: Audit, run: Run) -> None:
    origin, actor = run.origin, run.actor
    told: dict[str, Any] = {
        "way": str(actor.way) if actor else "",
        "as": str(actor.identity) if actor and str(actor.identity) != run.user else "",
        "groups": actor.identity.groups if actor else (),
        "trigger": origin.trigger,
        "event": origin.event_id,
        "caller": origin.caller_run,
    }
    audit.note(
        run.user,
        "start",
        resources.pipeline(run.pipeline),
        run=run.run_id,
        **{name: value for name, value in told.items() if value},
    )


def _new_decisions(before: Run, after: Run) -> Iterator[tuple[Task, Decision]]:
    known = {task.name: task for task in before.tasks}
    for task in after.tasks:
        old = known.get(task.name)
        if task.asked is None or old is task:
            continue
        said = old.asked.decisions if old and old.asked else ()
        for decision in task.asked.decisions:
            if decision not in said:
                yield task, decision
