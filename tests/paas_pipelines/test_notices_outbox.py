"""What is to be told is kept until it has arrived: in order of what is due, for a day, over every crash."""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import structlog
from paas_pipelines.definitions.automation import Notify
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.notices.notice import UndeliveredError
from paas_pipelines.notices.of_runs import NoticesOfRuns
from paas_pipelines.notices.outbox import KIND, MOST_WAITING, Outbox
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.store.disk import DiskJournal

from paas_runner.store.protocol import StoreError
from paas_runner.testing.virtual_time import EPOCH, run_virtual, virtual_now
from tests.support.memory_journal import MemoryJournal
from tests.support.served_pipelines import definition


class Receiver:
    """Somebody who takes notices, or does not: `troubles` are raised in turn."""

    def __init__(self, *troubles, hangs=False):
        self.troubles, self.hangs = list(troubles), hangs
        self.got, self.times = [], []

    async def deliver(self, notice):
        self.times.append(virtual_now())
        if self.hangs:
            await asyncio.sleep(10**9)
        if self.troubles:
            raise self.troubles.pop(0)
        self.got.append(notice)

    async def aclose(self):
        pass


@asynccontextmanager
async def running(journal, **receivers):
    outbox = await Outbox.opened(journal, receivers, virtual_now)
    outbox._rng = random.Random(1)
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_notice_is_told_once_however_often_its_key_comes_also_after_a_restart():
    async def main():
        journal, ops = MemoryJournal(), Receiver()
        async with running(journal, ops=ops) as outbox:
            for _ in range(2):
                outbox.tell("ops", text="hello", key="a")
            await asyncio.sleep(1)
            outbox.tell("ops", text="hello", key="a")
            await asyncio.sleep(1)
        async with running(journal, ops=ops) as outbox:
            outbox.tell("ops", text="hello", key="a")
            await asyncio.sleep(60)
        assert [each.text for each in ops.got] == ["hello"]
        assert "hello" not in journal.texts[KIND, "a"]

    run_virtual(main())


def test_one_that_is_not_taken_is_tried_less_and_less_often_and_as_the_receiver_wishes():
    async def main():
        ops = Receiver(*[UndeliveredError("no")] * 3, UndeliveredError("later", retry_after=900))
        async with running(MemoryJournal(), ops=ops) as outbox:
            outbox.tell("ops", text="x", key="a")
            await asyncio.sleep(7200)
        seconds = [
            (later - now).total_seconds() for now, later in zip(ops.times, ops.times[1:], strict=False)
        ]
        assert seconds[0] < seconds[1] < seconds[2] < seconds[3]
        assert 3 < seconds[0] < 7
        assert 900 <= seconds[3] < 910
        assert len(ops.got) == 1

    run_virtual(main())


def test_after_a_day_it_is_lost_and_the_log_says_so():
    async def main():
        journal, ops = MemoryJournal(), Receiver(*[UndeliveredError("answered 500")] * 1000)
        with structlog.testing.capture_logs() as told:
            async with running(journal, ops=ops) as outbox:
                outbox.tell("ops", text="x", key="a")
                await asyncio.sleep(30 * 3600)
                assert outbox.waiting() == []
        [lost] = [line for line in told if line["event"] == "notice_lost"]
        assert (lost["log_level"], lost["reason"], lost["notifier"]) == ("error", "answered 500", "ops")
        assert 24 <= lost["tries"] < 60

    run_virtual(main())


def test_after_a_downtime_of_days_it_is_tried_once_more_at_least():
    async def main():
        journal, ops = MemoryJournal(), Receiver()
        outbox = await Outbox.opened(journal, {"ops": ops}, virtual_now)
        outbox.tell("ops", text="x", key="a")
        await asyncio.sleep(3 * 86400)
        async with running(journal, ops=ops):
            await asyncio.sleep(1)
        assert len(ops.got) == 1

    run_virtual(main())


def test_one_that_hangs_or_breaks_delays_no_other():
    async def main():
        hung, broken, ops = Receiver(hangs=True), Receiver(ZeroDivisionError()), Receiver()
        async with running(MemoryJournal(), hung=hung, broken=broken, ops=ops) as outbox:
            for to in ("hung", "broken", "ops"):
                outbox.tell(to, text="x", key=to)
            await asyncio.sleep(60)
        assert (len(hung.got), len(broken.got), len(ops.got)) == (0, 1, 1)

    run_virtual(main())


def test_nothing_is_told_before_it_is_on_the_disk():
    class Full(MemoryJournal):
        full = True

        async def flushed(self):
            if self.full:
                raise StoreError("no space left on device")

    async def main():
        journal, ops = Full(), Receiver()
        async with running(journal, ops=ops) as outbox:
            outbox.tell("ops", text="x", key="a")
            await asyncio.sleep(30)
            assert ops.got == []
            journal.full = False
            await asyncio.sleep(30)
        assert len(ops.got) == 1

    run_virtual(main())


def test_a_notifier_that_there_is_not_any_more_loses_its_notices_with_a_word():
    async def main():
        journal = MemoryJournal()
        outbox = await Outbox.opened(journal, {"old": Receiver()}, virtual_now)
        outbox.tell("old", text="x", key="a")
        with structlog.testing.capture_logs() as told:
            outbox.tell("nobody", text="x", key="b")
            async with running(journal, new=Receiver()):
                await asyncio.sleep(61)
        assert [(line["event"], line["notifier"]) for line in told] == [
            ("notice_lost", "nobody"),
            ("notice_lost", "old"),
        ]

    run_virtual(main())


def test_keys_are_forgotten_after_a_week_and_texts_are_bounded():
    async def main():
        journal, ops = MemoryJournal(), Receiver()
        async with running(journal, ops=ops) as outbox:
            outbox.tell("ops", text="x" * 100_000 + "\ud800", key="a")
            await asyncio.sleep(60)
            assert len(ops.got[0].text) == 4000
            await asyncio.sleep(8 * 86400)
            assert journal.texts == {}
            for number in range(MOST_WAITING + 5):
                outbox.tell("ops", text="x", key=f"n{number}")
            assert len(outbox.waiting()) == MOST_WAITING

    run_virtual(main())


async def test_what_was_told_of_in_a_transaction_is_there_when_the_next_one_opens_the_disk(tmp_path):
    journal = await DiskJournal.open(tmp_path)
    outbox = await Outbox.opened(journal, {"ops": Receiver()}, lambda: EPOCH)
    journal.put("run", "r", "{}")
    outbox.tell("ops", text="x", subject="s", channel="#c", link="https://x", key="a/b")
    await journal.aclose()
    journal = await DiskJournal.open(tmp_path)
    [notice] = (await Outbox.opened(journal, {}, lambda: EPOCH)).waiting()
    assert (notice.text, notice.subject, notice.channel, notice.link) == ("x", "s", "#c", "https://x")
    assert await journal.stored("run")
    await journal.aclose()


# --- the key `notify` of a pipeline ----------------------------------------------------------------------


class Told:
    def __init__(self):
        self.notices = {}

    def tell(self, to, *, channel="", text, subject="", link="", key):
        self.notices.setdefault(key, (to, subject, text, link))


ALL = tuple(Notify(to="ops", at=at) for at in ("blocked", "failed", "succeeded", "canceled"))


@pytest.mark.parametrize(
    ("notify", "end", "subjects"),
    [
        (ALL, "success", ["site succeeded"]),
        (ALL, "failure", ["site failed"]),
        (ALL, "cancel", ["site was canceled"]),
        (ALL[:1], "success", []),
        ((), "failure", []),
    ],
)
def test_the_end_of_a_run_is_told_to_whom_its_pipeline_names(notify, end, subjects):
    told, moment = Told(), EPOCH + timedelta(days=1)
    tasks = {"a": TaskDefinition(script=("x",))}
    engine = Engine(lambda: moment, RunBook(), {"site": definition("site", tasks=tasks, notify=notify)})
    engine.book.observers.append(NoticesOfRuns(told, "https://ci.example.com/"))
    run = engine.schedule("site", variables={}, user="ada")
    assert told.notices == {}
    if end == "cancel":
        engine.cancel(run.run_id)
        assert told.notices == {}  # its task is still ending
    engine.task_ended(run.run_id, "a", TaskEnd(exit_code=int(end == "failure"), stopped=end == "cancel"))
    assert [subject for _, subject, _, _ in told.notices.values()] == subjects
    for to, _, text, link in told.notices.values():
        assert to == "ops"
        assert "of ada" in text
        assert link == f"https://ci.example.com/run?id={run.run_id}"


def test_trouble_with_notices_is_no_trouble_of_a_run():
    class Broken:
        def tell(self, *_, **__):
            raise ZeroDivisionError

    engine = Engine(lambda: EPOCH, RunBook(), {"site": definition("site", tasks={}, notify=ALL)})
    engine.book.observers.append(NoticesOfRuns(Broken()))
    assert engine.schedule("site", variables={}).completed
