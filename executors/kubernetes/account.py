"""What the author of a job may read about its host: facts in, a few plain lines out. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from executors.host_log import log_state, quoted
from executors.kubernetes.manifest import CONTAINER, NOT_ITS_POD
from paas_runner.job.failure import RETRY, fact_sheet, reference
from paas_runner.kubernetes.causes import (
    Cause,
    Who,
    condition,
    container_state,
    is_over,
    of_events,
    of_job,
    of_pod,
)

_OPERATORS = "ask the operators of this runner"
_ADVICE = {
    Who.AUTHOR: "ask for another flavor or image; if that does not help, ask the operators of this runner",
    Who.OPERATORS: _OPERATORS,
    Who.NOBODY: RETRY,
}
_BY_EXIT_CODE: Mapping[int, Cause] = {
    69: Cause("its inner runner could not reach the coordinator any more"),
    78: Cause("its inner runner cannot use its configuration", Who.OPERATORS),
    127: Cause("its image has no inner runner", Who.OPERATORS),
    137: Cause("it was killed"),
    NOT_ITS_POD: Cause("the cluster replaced its pod, in which a job is not begun again"),
}
_REMOVED = Cause("a person, or another program, removed it from the cluster")
_OUT_OF_QUEUE = Cause("its queue took its room back")
_SILENT = Cause(
    "its inner runner does not reach the coordinator, or is none: is `heptapod_runner_main_image` right?",
    Who.OPERATORS,
)


@attrs.frozen(kw_only=True)
class Facts:
    """What is known of a host; `lines` are the end of its log, None when that cannot be read."""

    name: str
    job: Mapping[str, Any] | None
    pod: Mapping[str, Any] | None = None
    events: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[str] | None = None
    hidden: Sequence[str] = attrs.field(default=(), repr=False)

    @property
    def over(self) -> bool:
        """Whether the job cannot go on."""
        if self.job is None or self.job["spec"].get("suspend"):
            return True
        ended = condition(self.job, "Failed") or condition(self.job, "Complete")
        own = self._exit_code is not None  # a container that a webhook put beside ours may go on for ever
        return bool(ended or own or (self.pod and (is_over(self.pod) or self._cause_of_pod.final)))

    @property
    def cause(self) -> Cause:
        """The likely one: the pod's own word, else what was told of it, else its Job's word."""
        if self.job is None:
            return _REMOVED
        if self.job["spec"].get("suspend"):
            return _OUT_OF_QUEUE
        by_code = _BY_EXIT_CODE.get(self._exit_code) if self._exit_code else None
        told = None if self.pod and "running" in self._state else of_events(filter(_matters, self.events))
        own = self._cause_of_pod
        return next(filter(None, (own if own.text else None, by_code, told, of_job(self.job))), _SILENT)

    @property
    def state(self) -> str:
        """As the cluster has it."""
        if self.job is None:
            return "it does not know the Job any more"
        if self.pod is None:
            return "the Job has no pod"
        if self._exit_code is not None:
            return f"the container ended with exit code {self._exit_code}"
        return f"the pod is {(self.pod.get('status') or {}).get('phase') or 'unknown'}"

    @property
    def _cause_of_pod(self) -> Cause:
        return (of_pod(self.pod) if self.pod else None) or Cause("")

    @property
    def _state(self) -> Mapping[str, Any]:
        return container_state(self.pod, CONTAINER) if self.pod else {}

    @property
    def _exit_code(self) -> int | None:
        return (self._state.get("terminated") or {}).get("exitCode")


def _matters(event: Mapping[str, Any]) -> bool:
    """That the Secret was missing is no cause once there is one."""
    return not (event.get("reason") == "FailedMount" and "not found" in str(event.get("message")))


def ended(facts: Facts) -> str:
    """For a host whose job is ended because of it."""
    happened = "was removed by someone else" if facts.job is None else "ended before its job had"
    return f"The host of this job {happened}.\n{particulars(facts)}"


def particulars(facts: Facts) -> str:
    """What is known beyond what happened."""
    sheet = fact_sheet(
        {
            "Kubernetes": facts.state,
            "Likely cause": facts.cause.text,
            "What to do": _ADVICE[facts.cause.who],
            "Reference": reference(facts.name),
            "Its own log": log_state(facts.lines) if facts.pod else "",
        }
    )
    return sheet + quoted(facts.lines, facts.hidden)
