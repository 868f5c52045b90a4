"""What a plan costs, counted: nothing here is timed."""

import sys

from paas_plans.errors import StoreError
from paas_plans.plan import Status
from paas_plans.stores.memory import MemoryStore

from tests.plans.played import play
from tests.plans.plugins import Works, in_virtual_time
from tests.plans.small_plans import block, plan, sequence
from tests.plans.worlds_of_plans import workstream

FIVE = ("a1", "a2", "a3", "a4", "a5")


def lines_run(work):
    """Of the library."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_globals["__name__"].startswith("paas_plans.") else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def lines_for(sequences):
    rows = (sequence(f"a{number}", f"b{number}") for number in range(sequences))
    whole = plan(block(*rows, concurrency=5))
    return lines_run(lambda: play(whole))


def test_a_sequence_costs_the_same_however_many_there_are():
    lines_for(10)  # what is found once and kept
    assert lines_for(300) - lines_for(200) == lines_for(200) - lines_for(100)


class CountedStore(MemoryStore):
    """Knows what it was asked for, and how many objects were written each time."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def create(self, document):
        self.asked.append(("create", len(document.states)))
        await super().create(document)

    async def save(self, changes):
        self.asked.append(("save", len(changes.states)))
        await super().save(changes)

    async def read(self, plan_id):
        self.asked.append(("read", 0))
        return await super().read(plan_id)


ACTIONS = [("save", 2)] * 4  # one action has ended, the next one has begun
END = ("save", 4)  # of the action, the sequence, the block and the plan


@in_virtual_time
async def test_a_plan_of_five_actions_that_is_run_takes_six_transactions():
    store = CountedStore()
    async with workstream(store, *map(Works, FIVE)) as work:
        await work.run(plan(block(sequence(*FIVE))))
    assert store.asked == [("create", 4), *ACTIONS, END]


@in_virtual_time
async def test_a_plan_that_is_submitted_and_started_takes_one_more_and_is_read_once():
    store = CountedStore()
    async with workstream(store, *map(Works, FIVE)) as work:
        plan_id = await work.submit(plan(block(sequence(*FIVE))))
        await work.start(plan_id)
        await work.wait(plan_id)
    assert store.asked == [("create", 1), ("read", 0), ("save", 4), *ACTIONS, END]


class ForgetfulStore(MemoryStore):
    """Does what `create` asks for the first time, and says that it has not."""

    has_failed = False

    async def create(self, document):
        await super().create(document)
        if not self.has_failed:
            self.has_failed = True
            raise StoreError("the connection was lost")


@in_virtual_time
async def test_a_plan_whose_first_write_was_done_without_an_answer_runs():
    async with workstream(ForgetfulStore(), Works("a")) as work:
        ended = await work.run(plan(block(sequence("a"))))
        assert ended.state.status is Status.COMPLETED
        assert await work.plan(ended.id) == ended
