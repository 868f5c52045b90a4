"""The rules of the spec's §2 and §3 once more, in the simplest way: a list, and loops over all of it."""

from datetime import timedelta

import attrs
from paas_pipelines.definitions.definition import QueueStrategy, Restart

DISABLED = "concurrency exceeded and queueing disabled for pipeline"
FULL = "concurrency exceeded and queue limit reached for pipeline"
ENDED = ("done", "error", "canceled")


@attrs.define(eq=False)
class ModelRun:
    run_id: str
    definition: object  # as it was when this was scheduled
    partition: str
    created: object
    status: dict = attrs.field(factory=dict)
    started: bool = False
    completed: bool = False
    canceled: bool = False
    first_failed: str = ""

    @property
    def due(self):
        return self.created + self.definition.start_delay

    @property
    def waiting(self):
        return not self.started and not self.canceled

    @property
    def active(self):
        works = "running" in self.status.values()
        return self.started and not self.completed and (works or not self.canceled)

    def stops(self, name):
        fails_fast = self.first_failed and not self.definition.continue_running_tasks_after_failure
        return self.canceled or (bool(fails_fast) and name not in self.hook)

    @property
    def hook(self):
        return ("on_error",) if self.definition.on_error else ()

    def is_elsewhere(self, name):
        return name not in self.hook and self.definition.tasks[name].elsewhere

    def _good(self, name):
        tolerated = self.status[name] == "error" and self.definition.tasks[name].allow_failure
        return self.status[name] == "done" or tolerated

    def settle(self):
        while self._changes():
            pass
        if self.completed or not all(status in ENDED for status in self.status.values()):
            return
        if self.first_failed and self.hook and not self.canceled and "on_error" not in self.status:
            self.status["on_error"] = "running" if self.definition.on_error.script else "done"
            self.settle()
        else:
            self.completed = True

    def _changes(self):
        for name, status in self.status.items():
            if status != "waiting":
                continue
            needs = self.definition.tasks[name].depends_on
            bad = any(self.status[need] in ENDED and not self._good(need) for need in needs)
            if self.stops(name) or bad:
                self.status[name] = "canceled"
                return True
            if all(self._good(need) for need in needs):
                self.status[name] = "running" if self.definition.tasks[name].script else "done"
                return True
        return False

    def ends(self, name, end):
        if end.stopped and self.stops(name):
            self.status[name] = "canceled"
        elif end.error or end.stopped or (end.exit_code and not self._may_fail(name)):
            self.status[name] = "error"
            if name not in self.hook:
                self.first_failed = self.first_failed or name
        else:
            self.status[name] = "done"
        self.settle()

    def _may_fail(self, name):
        return name not in self.hook and self.definition.tasks[name].allow_failure

    def cancel(self):
        if self.waiting:
            self.status = dict.fromkeys(self.status, "canceled")
            self.canceled = True
        elif self.active:
            self.canceled = True
            self.settle()

    def dies_with_the_server(self):
        if not self.active:
            return
        dead = [name for name, status in self.status.items() if status == "running"]
        dead = [name for name in dead if not self.is_elsewhere(name)]
        wanted = [name for name in dead if not self.stops(name) and name not in self.hook]
        lost = any(self.definition.tasks[name].restart is Restart.NEVER for name in wanted)
        for name in dead:
            if lost or name not in wanted:
                self.status[name] = "canceled"
        if lost:
            self.canceled = True
            self.status = {
                name: "canceled" if status == "waiting" else status for name, status in self.status.items()
            }
        else:
            self.settle()


class Model:
    """All runs in one list, oldest first."""

    def __init__(self, now):
        self.now = now
        self.runs = []
        self.definitions = {}

    def of(self, pipeline):
        return [run for run in self.runs if run.definition.name == pipeline]

    def waiting(self, pipeline):
        return [run for run in self.of(pipeline) if run.waiting]

    def active(self, pipeline):
        return [run for run in self.of(pipeline) if run.active]

    def has_a_slot(self, pipeline):
        return len(self.active(pipeline)) < self.definitions[pipeline].concurrency

    def schedule(self, pipeline, partition, run_id):
        """What is said instead of an id, if anything."""
        if pipeline not in self.definitions:
            return f'pipeline "{pipeline}" is not defined'
        definition = self.definitions[pipeline]
        new = ModelRun(run_id, definition, partition, self.now, dict.fromkeys(definition.order, "waiting"))
        if not definition.start_delay and self.has_a_slot(pipeline):
            self._start(new)
        else:
            limit, waiting = definition.queue_limit, self.waiting(pipeline)
            if definition.queue_strategy is QueueStrategy.PARTITIONED_REPLACE:
                limit = definition.queue_partition_limit
                waiting = [run for run in waiting if run.partition == partition]
            elif limit == 0:
                return DISABLED
            if definition.queue_strategy is QueueStrategy.APPEND:
                if limit is not None and len(waiting) >= limit:
                    return FULL
            elif len(waiting) >= (1 if limit is None else limit):
                waiting[-1].cancel()
        self.runs.append(new)
        self.sweep(pipeline)
        return ""

    def sweep(self, *pipelines):
        for pipeline in pipelines:
            for run in self.waiting(pipeline) if pipeline in self.definitions else ():
                if run.due <= self.now and self.has_a_slot(pipeline):
                    self._start(run)

    def _start(self, run):
        run.started = True
        run.settle()

    def reload(self, definitions):
        self.definitions = definitions
        for run in self.runs:
            if run.waiting and run.definition.name not in definitions:
                run.cancel()
        self.sweep(*definitions)

    def restart(self, definitions):
        for run in self.runs:
            run.dies_with_the_server()
        self.reload(definitions)

    def retain(self):
        for pipeline in {run.definition.name for run in self.runs}:
            definition = self.definitions.get(pipeline)
            for position, run in enumerate(reversed(self.of(pipeline))):
                if run.waiting or run.active:
                    continue
                if definition is None or self._is_over(run, position, definition):
                    self.runs.remove(run)

    def _is_over(self, run, position, definition):
        old = definition.retention_period and self.now - run.created > definition.retention_period
        return bool(old) or bool(definition.retention_count and position >= definition.retention_count)

    def delays(self):
        """What is still to pass of those that wait."""
        return [run.due for run in self.runs if run.waiting and run.due > self.now]

    def passes(self, seconds):
        self.now += timedelta(seconds=seconds)
