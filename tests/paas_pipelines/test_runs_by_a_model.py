"""Whatever happens in whatever order, the engine does what the simplest reading of the spec does."""

from collections import Counter
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.runs.engine import AlreadyCompletedError, ScheduleRefusedError
from paas_pipelines.runs.run import TaskEnd, TaskStatus

from tests.paas_pipelines.worlds.engine_by_hand import BEGINNING, ByHand, defined, task
from tests.paas_pipelines.worlds.simple_model import Model

RETRY = {"restart": Restart.RETRY}
SHAPES = (
    {},
    {"only": task()},
    {"only": task()},
    {"a": task(script=""), "b": task("a", script="")},
    {"a": task(), "b": task(), "c": task("a", "b", script=""), "d": task("c")},
    {"a": task(allow_failure=True), "b": task("a"), "c": task("b"), "d": task("a", **RETRY)},
    {"a": task(runner="clever"), "b": task(), "c": task("a")},
    {"a": task(**RETRY), "b": task(image="debian"), "on_": task("a", "b")},
)

PIPELINES, PARTITIONS = ("p", "q"), ("", "x")


@st.composite
def definitions(draw):
    """Of one or both pipelines."""
    return {
        name: draw(definition(name)) for name in PIPELINES if draw(st.sampled_from([True, True, True, False]))
    }


@st.composite
def definition(draw, name):
    partitioned = draw(st.booleans())
    delay = draw(st.sampled_from([0, 0, 0, 5, 20]))
    limits = [None, 1, 2, 4] if delay else [None, 0, 1, 2, 4]
    keys = (
        {"strategy": "partitioned_replace", "queue_partition_limit": draw(st.integers(1, 2))}
        if partitioned
        else {
            "strategy": draw(st.sampled_from(["append", "replace"])),
            "queue_limit": draw(st.sampled_from(limits)),
        }
    )
    return defined(
        name,
        tasks=draw(st.sampled_from(SHAPES)),
        delay=delay,
        hook=draw(st.sampled_from([None, "tell", ""])),
        concurrency=draw(st.integers(1, 3)),
        continue_running_tasks_after_failure=draw(st.booleans()),
        retention_count=draw(st.sampled_from([0, 0, 1, 3])),
        retention_period=timedelta(seconds=draw(st.sampled_from([0, 0, 30]))),
        **keys,
    )


ENDS = st.sampled_from(
    [{}, {}, {}, {"exit_code": 1}, {"error": "no such variable"}, {"stopped": True}, {"exit_code": 2}]
)
ANY = st.integers(0, 999)


class EngineAndModel(RuleBasedStateMachine):
    """Both are told the same, and must be in the same state after each word."""

    @initialize(given=definitions())
    def begins(self, given):
        self.model = Model(BEGINNING)
        self.by_hand = ByHand()
        self.starts = Counter()
        self.ended = {}
        self._watch()
        self.reloads(given)

    def _watch(self):
        """What is written is looked at when it is written: the number of slots at the start of a run."""
        book = self.by_hand.engine.book
        known = {run.run_id: run for run in book.runs()}

        def written(run_id, run):
            before = known.get(run_id)
            known[run_id] = run
            assert before is None or before.waiting or before.active or run is None
            if run is None:
                return
            self._counted(run, before)
            if run.active and not (before and before.active):
                definition = self.by_hand.engine.definitions[run.pipeline]
                assert book.slots_in_use(run.pipeline) <= definition.concurrency
                assert run.not_before is None or run.not_before <= self.by_hand.now

        book._written = written

    def _counted(self, run, before):
        old = {one.name: one for one in before.tasks} if before else {}
        for one in run.tasks:
            was = old.get(one.name)
            did_run = was and was.status is TaskStatus.RUNNING and was.attempt == one.attempt
            if one.status is TaskStatus.RUNNING and not did_run:
                self.starts[run.run_id, one.name, one.attempt] += 1
            if one.status is TaskStatus.RUNNING:
                assert all(run.task(name).satisfies for name in one.definition.depends_on)
                assert one.attempt == 1 or one.definition.restart is Restart.RETRY

    # --- what happens --------------------------------------------------------------------------------------

    @rule(pipeline=st.sampled_from(PIPELINES), partition=st.sampled_from(PARTITIONS))
    def schedules(self, pipeline, partition):
        known = self.model.definitions.get(pipeline)
        promised = known and self.by_hand.engine.pipeline(pipeline).schedulable
        refused = ""
        try:
            run_id = self.by_hand.schedule(pipeline, partition=partition)
        except ScheduleRefusedError as error:
            run_id, refused = "", str(error)
        assert self.model.schedule(pipeline, partition, run_id) == refused
        assert bool(promised) == (not refused)

    @rule(which=ANY)
    def cancels(self, which):
        if self.model.runs:
            run = self.model.runs[which % len(self.model.runs)]
            over, changes = run.completed and not run.canceled, not run.completed and not run.canceled
            try:
                self.by_hand.engine.cancel(run.run_id)
                assert not over
            except AlreadyCompletedError:
                assert over
            if changes:  # what changes nothing is no occasion to look who may start
                run.cancel()
                self.model.sweep(run.definition.name)

    @rule(which=ANY, end=ENDS)
    def a_task_ends(self, which, end):
        working = [
            (run, name)
            for run in self.model.runs
            for name, status in run.status.items()
            if status == "running"
        ]
        if working:
            run, name = working[which % len(working)]
            self.by_hand.engine.task_ended(run.run_id, name, TaskEnd(**end))
            run.ends(name, TaskEnd(**end))
            self.model.sweep(run.definition.name)

    @rule(seconds=st.sampled_from([1, 5, 19, 40]), looks=st.booleans())
    def time_passes(self, seconds, looks):
        self.model.passes(seconds)
        self.by_hand.now = self.model.now
        if looks:
            self.by_hand.engine.advance()
            self.model.sweep(*self.model.definitions)
            moment = self.by_hand.engine.next_moment()
            assert moment == min(self.model.delays(), default=None)

    @rule(given=definitions())
    def reloads(self, given):
        changed = self.by_hand.engine.replace_definitions(given)
        assert changed == (given != self.model.definitions)
        if changed:
            self.model.reload(given)

    @rule(given=st.none() | definitions())
    def is_killed(self, given):
        given = self.model.definitions if given is None else given
        numbers = self.by_hand.numbers
        stored = list(self.by_hand.engine.book.runs())
        self.by_hand = ByHand(*given.values(), stored=stored)
        self.by_hand.now, self.by_hand.numbers = self.model.now, numbers
        self._watch()
        self.by_hand.engine.recover()
        self.model.restart(given)

    @rule()
    def forgets(self):
        self.by_hand.engine.retain()
        self.model.retain()

    # --- what is always true -------------------------------------------------------------------------------

    @invariant()
    def both_are_in_the_same_state(self):
        runs = list(reversed(list(self.by_hand.engine.book.runs())))
        assert [run.run_id for run in runs] == [run.run_id for run in self.model.runs]
        for run, told in zip(runs, self.model.runs, strict=True):
            assert {one.name: one.status for one in run.tasks} == told.status
            assert (run.waiting, run.active, run.canceled) == (told.waiting, told.active, told.canceled)
            assert (run.completed, run.first_failed) == (told.completed, told.first_failed)
            assert run.completed == (run.end is not None)

    @invariant()
    def the_indexes_say_what_the_records_say(self):
        for name in PIPELINES:
            assert self.by_hand.waiting(name) == [run.run_id for run in self.model.waiting(name)]
            active = [run.run_id for run in self.model.active(name)]
            assert sorted(self.by_hand.active(name)) == sorted(active)

    @invariant()
    def what_has_ended_never_changes(self):
        for run in self.by_hand.engine.book.runs():
            if run.ended:
                assert self.ended.setdefault(run.run_id, run) is run

    @invariant()
    def an_active_run_has_something_at_work_and_no_other_run_has(self):
        for run in self.by_hand.engine.book.runs():
            assert run.active == any(one.status is TaskStatus.RUNNING for one in run.tasks)

    @invariant()
    def no_task_is_started_twice(self):
        assert set(self.starts.values()) <= {1}
        hooks = Counter(run_id for run_id, name, _ in self.starts if name == "on_error")
        assert set(hooks.values()) <= {1}

    @invariant()
    def nobody_is_forgotten_by_the_clock(self):
        delays = self.model.delays()
        if delays:
            assert self.by_hand.engine.next_moment() <= min(delays)

    def teardown(self):
        """Without anything new, all comes to an end: nothing starves that the rules do not starve."""
        if not hasattr(self, "model"):
            return
        for _ in range(20 * (len(self.model.runs) + 1)):
            engine = self.by_hand.engine
            for activity in list(engine.activities()):
                run_id, name = activity.run.run_id, activity.task.name
                self.model_run(run_id).ends(name, TaskEnd(stopped=activity.stop))
                engine.task_ended(run_id, name, TaskEnd(stopped=activity.stop))
            if (moment := engine.next_moment()) is not None:
                self.model.now = self.by_hand.now = max(moment, self.by_hand.now)
                engine.advance()
            if all(run.ended for run in engine.book.runs()):
                return
        raise AssertionError("it does not come to an end")

    def model_run(self, run_id):
        return next(run for run in self.model.runs if run.run_id == run_id)


EngineAndModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestTheEngineIsTheModel = EngineAndModel.TestCase
