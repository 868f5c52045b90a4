"""What people and machines see of two services with one store, each from where it stands."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from paas_runner.service.systemd import ServiceManager
from paas_runner.status.report import RunnerState
from paas_runner.status.sharing import Role
from paas_runner.status.views import page
from tests.metrics.conftest import Scrape
from tests.support.shared_world import SharedWorld

SITE = 'listen_address = "127.0.0.1:9252"'


@pytest.fixture
def play(tmp_path):
    """A story of `first`, which works, and `second`, which stands by."""

    def play(story, **options):
        async def paired(world):
            first = world.process("first")
            await world.held_by(first, *range(len(world.runners)))
            second = world.process("second")
            await asyncio.sleep(10)
            await story(world, first, second)
            for life in (first, second):
                if not life.serving.done():
                    await life.stop()

        SharedWorld.play(tmp_path, paired, head=SITE, **options)

    return play


async def scraped(life):
    return Scrape((await life.site.get("/metrics")).text)


def test_each_says_who_works_and_the_standby_how_many_jobs_that_are(play):
    async def story(world, first, second):
        jobs = [world.submit("sleep 90") for _ in range(3)]
        await asyncio.sleep(40)
        mine, theirs = first.status, second.status
        assert (mine.sharing.role, theirs.sharing.role) == (Role.HOLDER, Role.STANDBY)
        assert [member.name for member in theirs.sharing.members] == ["first", "second"]
        assert "works; standing by: second" in page(mine)
        assert "standby: first (1 runner) works" in page(theirs)
        [runner] = theirs.runners
        assert (runner.state, runner.jobs) == (RunnerState.ELSEWHERE, 3)
        assert runner.why.startswith("first has it since ")
        assert (len(mine.jobs), theirs.jobs) == (3, [])
        assert mine.sharing.may_use.jobs == 10
        assert theirs.sharing.may_use.jobs == 0
        await world.settled(*jobs)

    play(story)


def test_the_figures_in_the_log_of_a_standby_do_not_say_that_it_could_take_a_job(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        await asyncio.sleep(20)
        with capture_logs() as logs:
            second = world.process("second")
            await asyncio.sleep(20)
        figures = [line for line in logs if line["event"] == "statistics"]
        assert [line["can_take_job"] for line in figures] == [False]
        with capture_logs() as logs:
            await first.stop()
            await world.held_by(second, 0)
            await asyncio.sleep(20)
        assert [line for line in logs if line["event"] == "statistics"][-1]["can_take_job"]
        await second.stop()

    SharedWorld.play(tmp_path, story)


def test_both_are_healthy_and_ready_and_the_standby_says_that_it_is_one(play):
    async def story(_world, first, second):
        for life, role in ((first, "holder"), (second, "standby")):
            health, ready = await life.site.get("/health"), await life.site.get("/ready")
            assert (health.status_code, ready.status_code) == (200, 200), ready.text
            assert (health.json()["role"], ready.json()["role"]) == (role, role)

    play(story)


def test_a_process_without_its_database_lives_and_is_not_ready_once_its_leases_are_over(play):
    async def story(_world, first, second):
        first.store.away = second.store.away = "connection refused"
        await asyncio.sleep(8)
        assert (await first.site.get("/ready")).status_code == 200
        assert "cannot be reached since" in page(first.status)
        await asyncio.sleep(12)
        for life in (first, second):
            ready = await life.site.get("/ready")
            assert (ready.status_code, ready.json()["role"]) == (503, "cut off")
            assert "connection refused" in ready.text
            assert (await life.site.get("/health")).status_code == 200
        silent = (await scraped(first)).value("paas_runner_store_silent_seconds")
        assert 14 < silent < 25  # counted from the first renewal that failed
        first.store.away = second.store.away = ""
        await asyncio.sleep(10)
        assert (await first.site.get("/ready")).status_code == 200

    play(story)


def test_sums_over_both_count_everything_once(play):
    async def story(world, first, second):
        jobs = [world.submit("sleep 90") for _ in range(3)]
        await asyncio.sleep(60)
        one, other = await scraped(first), await scraped(second)
        for name, whole in (
            ("paas_runner_jobs", 3),
            ("paas_runner_hosts", 3),
            ("paas_runner_lease_held", 2),
            ("paas_runner_headroom_jobs", 7),
        ):
            found = [
                sum(sample.value for sample in scrape.samples if sample.name == name)
                for scrape in (one, other)
            ]
            assert found == [whole, 0], name
        assert one.value("paas_runner_allotment", bound="jobs") == 10
        assert other.value("paas_runner_members") == 2
        assert 9 < one.value("paas_runner_lease_seconds", runner=world.keys[0]) <= 15
        assert one.value("paas_runner_lease_renewal_seconds_count") > 5
        assert other.value("paas_runner_blocked", reason="elsewhere") == 2
        assert other.labels("paas_runner_service_state", "service") == set(), "it asks nobody"
        assert one.labels("paas_runner_lease_held", "system_id") == {world.table.system_id}
        await world.settled(*jobs)

    play(story, sections=2)


def test_sums_over_two_that_divide_the_runners_are_right_too(play):
    async def story(world, first, second):
        await asyncio.sleep(120)
        assert set(world.holders) == {first.holder, second.holder}
        jobs = [world.submit("sleep 300") for _ in range(5)]
        await asyncio.sleep(100)
        scrapes = [await scraped(life) for life in (first, second)]

        def total(name, **labels):
            return sum(
                sample.value
                for scrape in scrapes
                for sample in scrape.samples
                if sample.name == name and labels.items() <= sample.labels.items()
            )

        assert (total("paas_runner_jobs"), total("paas_runner_hosts")) == (5, 5)
        assert total("paas_runner_lease_held") == 2
        assert total("paas_runner_allotment", bound="jobs") <= 10
        assert total("paas_runner_headroom_jobs") <= 5
        assert [scrape.value("paas_runner_members") for scrape in scrapes] == [2, 2]
        for life in (first, second):
            assert life.status.sharing.role is Role.HOLDER
            assert "one of 2 that work" in page(life.status)
            assert (await life.site.get("/ready")).status_code == 200
        await world.settled(*jobs)

    play(story, sections=2, mode="spread")


def test_a_takeover_is_counted_by_whoever_took(play):
    async def story(world, first, second):
        await first.kill()
        await world.held_by(second, 0)
        await asyncio.sleep(1)
        scrape = await scraped(second)
        assert scrape.value("paas_runner_lease_changes_total", change="taken_over") == 1
        assert scrape.value("paas_runner_lease_held") == 1
        assert second.status.sharing.role is Role.HOLDER

    play(story)


def test_the_service_manager_is_told_of_a_standby_and_of_its_takeover(tmp_path, listener):
    manager = ServiceManager(address=listener.address, watchdog=timedelta(minutes=3))

    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second", manager=manager)
        await asyncio.sleep(20)
        heard = listener.heard()
        assert heard[0]["READY"] == "1"
        assert listener.all("STATUS")[-1] == "standby: first (1 runner) works"
        await first.stop()
        await asyncio.sleep(20)
        assert listener.all("STATUS")[-1] == "works; nobody stands by; 1 runner, no jobs"
        await second.stop()

    SharedWorld.play(tmp_path, story)


def test_hosts_of_both_are_in_one_ledger_each_once(play):
    async def story(world, first, second):
        early = world.submit("sleep 30")
        await world.settled(early)
        late = [world.submit("sleep 60") for _ in range(2)]
        await asyncio.sleep(40)
        await first.kill()
        await world.settled(*late)
        charges = world.store.charges
        assert sorted(charge.key.job_id for charge in charges) == [
            early.job_id,
            *(job.job_id for job in late),
        ]
        assert len({charge.host for charge in charges}) == 3
        counted = await scraped(second)
        assert counted.value("paas_runner_host_seconds_total") == pytest.approx(
            sum((charge.until - charge.since).total_seconds() for charge in charges[1:])
        )

    play(story)


def test_whoever_hands_a_job_over_keeps_nothing_of_it(play):
    async def story(world, first, second):
        job = world.submit("sleep 200")
        await asyncio.sleep(60)
        first.store.away = "connection refused"
        await world.held_by(second, 0)
        first.store.away = ""
        await asyncio.sleep(10)
        assert (first.jobs, second.jobs) == (set(), {job.job_id})
        one, other = await scraped(first), await scraped(second)
        found = [
            sum(each.value for each in scrape.samples if each.name == "paas_runner_jobs")
            for scrape in (one, other)
        ]
        assert found == [0, 1]
        assert one.value("paas_runner_lease_changes_total", change="lost") == 1
        assert other.value("paas_runner_lease_changes_total", change="taken_over") == 1
        await world.settled(job)

    play(story)
