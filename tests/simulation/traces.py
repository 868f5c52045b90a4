"""The traces of a simulated world: a host is given, and a receiver gets, one and the same for each job."""

import tomllib
from collections import defaultdict

from paas_runner.spans import parsed_traceparent
from tests.support.trace_receiver import TraceReceiver

RECEIVER = "http://receiver.test"


class FollowedTraces:
    """What was pushed to hosts, and what the receiver got."""

    def __init__(self, cloud) -> None:
        self.receiver = TraceReceiver()
        self._cloud = cloud
        self._handed: dict[str, set[str]] = defaultdict(set)
        self._received_push = cloud.received_push
        cloud.received_push = self._pushed

    def _pushed(self, ref, commit, files, *, by):
        if configuration := files.get("runner.toml"):  # else it is a host that stays
            name = next(each.name for each in self._cloud.ledger.created if each.app_id == ref)
            self.note_launch(name.rpartition("-")[2], configuration.decode())
        return self._received_push(ref, commit, files, by=by)

    def note_launch(self, job_id: str, configuration: str) -> None:
        """What the inner runner of a job is told."""
        [section] = tomllib.loads(configuration)["runners"]
        for entry in section.get("environment", ()):
            context = parsed_traceparent(entry.removeprefix("TRACEPARENT="))
            self._handed[job_id].add(context.trace_id)

    def contradiction(self) -> str:
        """Where one job is in more than one trace, or two are in one; empty where all is well."""
        found = defaultdict(set, {job_id: set(traces) for job_id, traces in self._handed.items()})
        for span in self.receiver.named("job"):
            if "cicd.worker.name" in span.attributes:
                found[span.attributes["cicd.pipeline.task.run.id"]].add(span.trace_id)
        for job_id, traces in found.items():
            if len(traces) > 1:
                return f"job {job_id} is in several traces: {sorted(traces)}"
        if len(set().union(*found.values())) < len(found):
            return f"several jobs are in one trace: {dict(found)}"
        return ""
