"""An engine with a clock that is turned by hand, and records that are told short."""

from datetime import UTC, datetime, timedelta

from paas_pipelines.definitions.definition import Definition, OnError, QueueStrategy, TaskDefinition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskEnd

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ONE_TASK = {"only": TaskDefinition(script=("true",))}


def defined(name="p", *, tasks=ONE_TASK, delay=0.0, strategy="append", hook=None, **keys):
    """A definition; `delay` in seconds, `hook` the script of on_error."""
    return Definition(
        name=name,
        source="pipelines.yml",
        tasks=tasks,
        start_delay=timedelta(seconds=delay),
        queue_strategy=QueueStrategy(strategy),
        on_error=None if hook is None else OnError(script=(hook,) if hook else ()),
        **keys,
    )


def task(*needs, script="true", **keys):
    """The definition of one; an empty `script` is none."""
    return TaskDefinition(script=(script,) if script else (), depends_on=needs, **keys)


class ByHand:
    """Short words for all verbs; runs have the ids r1, r2 and so on."""

    def __init__(self, *definitions, stored=()):
        self.now = BEGINNING
        self.written = []  # each record that was saved, None for one removed
        self.numbers = len(stored)
        book = RunBook(stored, written=lambda run_id, run: self.written.append((run_id, run)))
        self.engine = Engine(lambda: self.now, book, self._named(definitions), new_id=self._new_id)

    @staticmethod
    def _named(definitions):
        return {definition.name: definition for definition in definitions}

    def _new_id(self):
        self.numbers += 1
        return f"r{self.numbers}"

    def again(self, *definitions):
        """The server was killed, and is started again with what the disk has."""
        by_hand = ByHand(*definitions or self.engine.definitions.values(), stored=[*self.engine.book.runs()])
        by_hand.now = self.now
        by_hand.engine.recover()
        return by_hand

    def schedule(self, pipeline="p", **more):
        """A run's id."""
        return self.engine.schedule(pipeline, variables={}, **more).run_id

    def reload(self, *definitions):
        return self.engine.replace_definitions(self._named(definitions))

    def passes(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.engine.advance()

    def ends(self, run_id, task="only", code=0, **more):
        return self.engine.task_ended(run_id, task, TaskEnd(exit_code=code, **more))

    def stops(self, run_id, task="only"):
        return self.ends(run_id, task, stopped=True)

    def run(self, run_id):
        return self.engine.book.run(run_id)

    def waiting(self, pipeline="p"):
        return [run.run_id for run in self.engine.book.waiting(pipeline)]

    def active(self, pipeline="p"):
        return [run.run_id for run in self.engine.book.active(pipeline)]

    def kept(self):
        return [run.run_id for run in self.engine.book.runs()]

    def statuses(self, run_id):
        return {task.name: str(task.status) for task in self.run(run_id).tasks}

    def asked_of_the_world(self):
        """The tasks that have to be at work, and those that have to end."""
        works = {(one.run.run_id, one.task.name): one.stop for one in self.engine.activities()}
        return {key for key, stop in works.items() if not stop}, {key for key, stop in works.items() if stop}
