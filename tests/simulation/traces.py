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
        [section] = tomllib.loads(files["runner.toml"].decode())["runners"]
        for entry in section.get("environment", ()):
            name = next(each.name for each in self._cloud.ledger.created if each.app_id == ref)
            context = parsed_traceparent(entry.removeprefix("TRACEPARENT="))
            self._handed[name].add(context.trace_id)
        return self._received_push(ref, commit, files, by=by)

    def contradiction(self) -> str:
        """Where one job is in more than one trace, or two are in one; empty where all is well."""
        found = defaultdict(set, {name: set(traces) for name, traces in self._handed.items()})
        for span in self.receiver.named("job"):
            if name := span.attributes.get("cicd.worker.name"):
                found[name].add(span.trace_id)
        for name, traces in found.items():
            if len(traces) > 1:
                return f"{name} is in several traces: {sorted(traces)}"
        if len(set().union(*found.values())) < len(found):
            return f"several jobs are in one trace: {dict(found)}"
        return ""
