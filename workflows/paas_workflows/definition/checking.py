"""What a workflow file must not be although its shape is right, and what is right but seldom meant."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from paas_runner.job.images import InvalidReferenceError, is_image_id, parse
from paas_runner.plain_text import did_you_mean
from paas_workflows.definition.decoding import Examined, Remark, decoded
from paas_workflows.definition.workflow_file import Step, WorkflowFile

OWN_KEYS = frozenset({"task_name", "step_name", "action_name", "correlation_id", "run_id", "log"})
"""What every step finds in its context, put there by us."""


def examined(name: str, data: bytes) -> Examined:
    """All that can be said of a file before it runs; raises `DocumentError`."""
    found = decoded(name, data)
    if found.file is None:
        return found
    check = _Check(name, found.file, found.lines)
    complaints = tuple(check.complaints())
    return attrs.evolve(
        found,
        file=None if complaints else found.file,
        complaints=complaints,
        warnings=(*found.warnings, *(() if complaints else check.warnings())),
    )


@attrs.frozen
class _Check:
    name: str
    file: WorkflowFile
    lines: Mapping[tuple[str, ...], int]

    def complaints(self) -> Iterator[Remark]:
        workflow, step = self.file.current_workflow, self.file.current_step
        if workflow not in self.file.workflows:
            text = f"there is no workflow `{workflow}`, with which it begins"
            yield self._remark(("current_workflow",), text, self.file.workflows, workflow)
        elif step not in self.file.steps:
            text = f"the workflow `{workflow}` has no step `{step}`, with which it begins"
            yield self._remark(("current_step",), text, self.file.steps, step)
        for workflow, steps in self.file.workflows.items():
            for name, step_ in steps.items():
                for mode, target in step_.targets.items():
                    if target not in steps:
                        at = ("workflows", workflow, name, mode)
                        text = f"{'.'.join(at)}: no step `{target}` is in this workflow"
                        yield self._remark(at, text, steps, target)

    def warnings(self) -> Iterator[Remark]:
        for workflow, steps in self.file.workflows.items():
            begins = self.file.current_step if workflow == self.file.current_workflow else "start"
            after = {name: _reached(steps, name) for name in steps}
            for name, step in steps.items():
                at = ("workflows", workflow, name)
                if begins in steps and name != begins and name not in after[begins]:
                    yield self._remark(at, f"the step `{workflow}.{name}` is never reached from `{begins}`")
                if step.action not in self.file.actions:
                    text = f"no action `{step.action}`, so `{workflow}.{name}` aborts"
                    yield self._remark((*at, "action"), text, self.file.actions, step.action)
                else:
                    before = [steps[other].action for other in steps if name in after[other]]
                    yield from self._unprovided(f"{workflow}.{name}", step.action, before)

        for name, action in self.file.actions.items():
            try:
                is_image_id(action.reference) or parse(action.reference)
            except InvalidReferenceError as error:
                text = f"actions.{name}: {action.reference!r} is no image name: {error}"
                yield self._remark(("actions", name, "image"), text)

    def _unprovided(self, step: str, action: str, before: list[str]) -> Iterator[Remark]:
        known = self.file.actions
        outputs = [known[other].output for other in before if other in known]
        for path in known[action].required_paths:
            in_context = has_path(self.file.context, path) or path in OWN_KEYS
            if not in_context and not any(has_path(output, path) for output in outputs):
                text = f"`{step}` requires `{path}`, which no earlier step's output nor the context provides"
                yield self._remark(("actions", action, "requirements", "context_paths", path), text)

    def _remark(
        self, at: tuple[str, ...], text: str, known: Mapping[str, object] | None = None, word: str = ""
    ) -> Remark:
        hint = did_you_mean(word, list(known)) if known else ""
        while at and at not in self.lines:
            at = at[:-1]
        return Remark(file=self.name, line=self.lines.get(at, 1), text=f"{text}; {hint}" if hint else text)


def has_path(context: Mapping[str, Any], path: str) -> bool:
    """Whether a dotted path leads to a key; what it has may be null."""
    at: Any = context
    for key in path.split("."):
        if not isinstance(at, Mapping) or key not in at:
            return False
        at = at[key]
    return True


def _reached(steps: Mapping[str, Step], begins: str) -> frozenset[str]:
    """Every step that may come after one."""
    found: set[str] = set()
    left = [begins]
    while left:
        for target in steps[left.pop()].targets.values():
            if target not in found:
                found.add(target)
                left.append(target)
    return frozenset(found)
