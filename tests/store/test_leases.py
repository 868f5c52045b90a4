"""One contract for stores that several processes share: who holds a section, and whose writes count."""

import asyncio
from contextlib import suppress

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.lease import LEASE_SECONDS, UNBOUNDED, Allotment, Mode, Word
from paas_runner.job.lifecycle import apply
from paas_runner.store import StaleLeaseError
from tests.support.records import NOW, job
from tests.support.stores import SHARED_STORES, SharedMemory, open_place, place_of, tending

A, B = "abc123xyz", "other1234"
BOTH = frozenset({A, B})
EXPIRY = LEASE_SECONDS + 1


@pytest.fixture(params=SHARED_STORES)
def place(request, tmp_path):
    return place_of(request, tmp_path)


@pytest.fixture
async def begin(place):
    """Begin one more process on the store."""
    begun = []

    async def another():
        begun.append(await open_place(place))
        return begun[-1]

    yield another
    for store in begun:
        await store.aclose()


@pytest.fixture
async def pair(begin):
    return await begin(), await begin()


@pytest.fixture
def later(request, place):
    """Let so many seconds pass by the store's clock."""

    def pass_by(seconds):
        if isinstance(place, SharedMemory):
            place.now += seconds
            return
        earlier = [
            f"UPDATE paas_runner.{table} SET until = until - interval '{seconds} s', "
            f"since = since - interval '{seconds} s'"
            for table in ("lease", "member")
        ]
        request.getfixturevalue("postgres").sql(*earlier, database=place.title.rpartition("/")[2])

    return pass_by


async def tend(store, **changes):
    return await store.leases.tend(tending(**changes))


async def take(store, *runners):
    return (await tend(store, take=frozenset(runners))).leases


@pytest.fixture
async def listening():
    """What a process is told from now on, as a list that grows."""
    tasks = []

    async def listen(store, begun_by):
        heard = []

        async def hear(heard):
            async for word in store.leases.told():
                heard += [word]  # one after the other

        tasks.append(asyncio.create_task(hear(heard)))
        async with asyncio.timeout(60):
            while Word.DRAIN not in heard:
                await begun_by.leases.tell(Word.DRAIN)
                await asyncio.sleep(0.01)
            await begun_by.leases.tell(Word.RELOAD)
            while Word.RELOAD not in heard:
                await asyncio.sleep(0.01)
        heard.clear()
        return heard

    yield listen
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def soon(heard, *words):
    async with asyncio.timeout(60):
        while len(heard) < len(words):
            await asyncio.sleep(0.01)
    assert heard == list(words)


# --- who holds what ----------------------------------------------------------------------------------------


async def test_whoever_asks_first_holds_a_section(pair):
    one, other = pair
    lease = (await take(one, A))[A]
    assert (lease.holder, lease.epoch, lease.arrivals) == (one.holder, 1, 0)
    assert 0 < lease.seconds_left <= LEASE_SECONDS
    leases = await take(other, A, B)
    assert {runner: lease.holder for runner, lease in leases.items() if not lease.is_free} == {
        A: one.holder,
        B: other.holder,
    }
    assert leases["zzz"].is_free, "one that is served, and that nobody wants"


async def test_no_two_lives_have_the_same_holder_id(begin):
    assert len({(await begin()).holder for _ in range(3)}) == 3


async def test_a_renewal_makes_a_lease_good_for_as_long_again_and_changes_nothing_else(pair, later):
    one, other = pair
    await take(one, A)
    later(10)
    lease = (await tend(one)).leases[A]
    assert lease.seconds_left == pytest.approx(LEASE_SECONDS, abs=2)
    assert lease.held_seconds == pytest.approx(10, abs=2)
    later(10)
    assert (await take(other, A))[A].holder == one.holder
    assert (await tend(one)).leases[A].epoch == 1


async def test_a_section_whose_lease_has_run_out_is_anybodys_and_its_epoch_grows(pair, later):
    one, other = pair
    await take(one, A)
    later(EXPIRY)
    lease = (await take(other, A))[A]
    assert (lease.holder, lease.epoch) == (other.holder, 2)
    assert lease.held_seconds == pytest.approx(0, abs=2)
    assert A not in (await tend(one)).held_by(one.holder)


async def test_a_lease_that_has_run_out_is_renewed_where_nobody_took_the_section(pair, later):
    one, _ = pair
    await take(one, A)
    await one.save(job(1))
    later(10 * EXPIRY)
    assert (await tend(one)).held_by(one.holder)[A].epoch == 1
    await one.save(job(2))


async def test_what_is_released_can_be_had_at_once(pair):
    one, other = pair
    await take(one, A, B)
    leases = (await tend(one, release=frozenset({A}))).leases
    assert leases[A].is_free
    assert leases[B].holder == one.holder
    lease = (await take(other, A))[A]
    assert (lease.holder, lease.epoch) == (other.holder, 2)


async def test_nobody_releases_what_another_holds(pair):
    one, other = pair
    await take(one, A)
    leases = (await tend(other, release=frozenset({A}))).leases
    assert leases[A].holder == one.holder


async def test_whoever_leaves_holds_nothing_and_is_no_member(pair):
    one, other = pair
    await take(one, A, B)
    await one.leases.leave()
    tenancy = await tend(other)
    assert set(tenancy.members) == {other.holder}
    assert not tenancy.held_by(one.holder)


async def test_of_many_who_ask_at_once_each_section_has_one_holder(begin):
    sections = frozenset(f"section{number}" for number in range(12))
    stores = [await begin() for _ in range(4)]
    await asyncio.gather(*(tend(store, serves=sections, take=sections) for store in stores))
    tenancies = await asyncio.gather(*(tend(store, serves=sections, take=sections) for store in stores))
    held = [set(tenancy.held_by(store.holder)) for store, tenancy in zip(stores, tenancies, strict=True)]
    assert sum(map(len, held)) == len(sections)
    assert frozenset().union(*held) == sections
    assert {lease.epoch for lease in tenancies[0].leases.values()} == {1}


# --- whose writes count ------------------------------------------------------------------------------------


async def test_nothing_is_written_without_a_lease(pair):
    one, _ = pair
    with pytest.raises(StaleLeaseError):
        await one.save(job(1))
    with pytest.raises(StaleLeaseError):
        await one.forget(job(1).key, ended=True, history=job(1).history)
    with pytest.raises(StaleLeaseError):
        await one.leases.confirm(A)
    assert (list(await one.jobs()), await one.ended()) == ([], frozenset())


async def test_a_process_that_slept_through_its_lease_writes_nothing_any_more(pair, later):
    one, other = pair
    await take(one, A, B)
    kept = job(1)
    await one.save(kept)
    later(EXPIRY)
    await take(other, A)
    with pytest.raises(StaleLeaseError):
        await one.save(apply(kept, ev.ProvisionIntended(), NOW))
    with pytest.raises(StaleLeaseError):
        await one.forget(kept.key, ended=True)
    assert list(await other.jobs_of([A])) == [kept]
    assert await other.ended() == frozenset()
    await one.save(job(2, B))


async def test_neither_does_one_that_gets_the_section_again_before_it_has_heard_of_it(pair, later):
    one, other = pair
    await take(one, A)
    later(EXPIRY)
    await take(other, A)
    later(EXPIRY)
    with pytest.raises(StaleLeaseError):
        await one.save(job(1))
    assert (await take(one, A))[A].epoch == 3
    await one.save(job(1))
    with pytest.raises(StaleLeaseError):
        await other.save(job(1))


async def test_a_lease_is_confirmed_as_long_as_nobody_else_has_the_section(pair, later):
    one, other = pair
    await take(one, A)
    await one.leases.confirm(A)
    later(EXPIRY)
    await one.leases.confirm(A)
    await take(other, A)
    with pytest.raises(StaleLeaseError):
        await one.leases.confirm(A)


async def test_a_stale_write_fails_alone(pair, later):
    one, other = pair
    await take(one, A, B)
    later(EXPIRY)
    await take(other, A)
    writes = [one.save(job(number, runner)) for number in range(1, 6) for runner in (A, B)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [StaleLeaseError, type(None)] * 5
    assert [kept.key for kept in await other.jobs()] == [job(number, B).key for number in range(1, 6)]


async def test_a_job_acquired_just_then_is_recorded_whoever_holds_its_section(pair):
    one, other = pair
    await take(one, A)
    await tend(other)
    assert await one.add(job(1))
    assert not await other.add(job(2))
    assert not await other.add(job(3, "nobodys"))
    assert [kept.key.job_id for kept in await one.jobs_of([A])] == [1, 2]
    leases = (await tend(one)).leases
    assert (leases[A].arrivals, leases["nobodys"].arrivals) == (1, 1)
    assert (await take(other, "nobodys"))["nobodys"].epoch == 1


async def test_a_first_record_never_goes_over_one_that_is_there(pair):
    one, other = pair
    await take(one, A)
    begun = apply(job(1), ev.ProvisionIntended(), NOW)
    await one.save(begun)
    assert await one.add(job(1))
    assert not await other.add(job(1))
    assert list(await one.jobs()) == [begun]


async def test_records_that_come_from_elsewhere_take_no_holders_place_and_are_found_by_them(pair):
    one, other = pair
    await take(one, A)
    begun = apply(job(1), ev.ProvisionIntended(), NOW)
    await one.save(begun)
    assert await other.merge([job(1), job(2), job(3, B)], source="a file")
    assert not await other.merge([job(4)], source="a file")
    assert list(await one.jobs()) == [begun, job(2), job(3, B)]
    leases = (await tend(one)).leases
    assert (leases[A].arrivals, leases[B].arrivals) == (1, 1)


async def test_the_records_of_some_sections_come_in_the_order_of_acquisition(pair):
    one, _ = pair
    await take(one, A, B, "zzz")
    for kept in (job(3), job(2, B), job(1), job(4, "zzz")):
        await one.save(kept)
    assert [kept.key.job_id for kept in await one.jobs_of([A, B])] == [1, 2, 3]
    assert list(await one.jobs_of([])) == []
    assert await one.job_counts() == {A: 2, B: 1, "zzz": 1}


# --- bounds of all together --------------------------------------------------------------------------------


def jobs(count):
    return Allotment(jobs=count, provisioning=count / 2, weight=count * 1.5)


async def allotted(store, **changes):
    return (await tend(store, total=jobs(10), **changes)).members[store.holder].allotment


async def test_each_gets_what_it_wants_as_far_as_the_others_leave_it(pair):
    one, other = pair
    assert await allotted(one, wanted=jobs(8)) == jobs(8)
    assert await allotted(other, wanted=jobs(8)) == jobs(2)
    assert await allotted(one, wanted=jobs(3)) == jobs(3)
    assert await allotted(other, wanted=jobs(8)) == jobs(7)
    assert await allotted(one, wanted=jobs(9)) == jobs(3)


async def test_what_one_uses_already_counts_even_beyond_the_bounds(pair):
    one, other = pair
    assert await allotted(one, wanted=jobs(10)) == jobs(10)
    assert await allotted(other, wanted=jobs(8), least=jobs(4)) == jobs(4)
    assert await allotted(one, wanted=jobs(10), least=jobs(2)) == jobs(6)


async def test_of_what_has_no_bound_each_gets_what_it_wants(pair):
    one, other = pair
    for store in (one, other):
        tenancy = await tend(store, total=UNBOUNDED, wanted=UNBOUNDED)
        assert tenancy.members[store.holder].allotment == UNBOUNDED


async def test_a_process_that_is_gone_keeps_its_part_as_long_as_its_sections_are_not_taken(pair, later):
    one, other = pair
    await tend(one, take=frozenset({A}), total=jobs(10), wanted=jobs(8))
    later(EXPIRY)
    assert await allotted(other, wanted=jobs(8)) == jobs(2)
    await take(other, A)
    assert await allotted(other, wanted=jobs(8)) == jobs(8)
    assert set((await tend(other)).members) == {other.holder}


async def test_a_section_that_nobody_alive_serves_keeps_nothing_from_the_others(pair, begin, later):
    one, other = pair
    ours, all_of_them = frozenset({A}), frozenset({A, "only-here"})
    await tend(one, serves=all_of_them, take=all_of_them, total=jobs(10), wanted=jobs(8))
    later(EXPIRY)
    await tend(other, serves=ours, take=ours)
    assert await allotted(other, serves=ours, wanted=jobs(8)) == jobs(8)
    assert set((await tend(other, serves=ours)).members) == {one.holder, other.holder}, "it is told as gone"
    third = await begin()
    await tend(third, serves=all_of_them)
    assert await allotted(other, serves=ours, wanted=jobs(8)) == jobs(2), "soon it is taken over"


async def test_members_say_what_they_are(pair, later):
    one, other = pair
    await tend(one, name="left", version="2.0", mode=Mode.SPREAD, serves=frozenset({A}))
    later(3)
    member = (await tend(other)).members[one.holder]
    assert (member.name, member.version, member.mode, member.serves) == ("left", "2.0", Mode.SPREAD, {A})
    assert member.is_alive
    assert member.present_seconds == pytest.approx(3, abs=2)
    later(EXPIRY)
    assert set((await tend(other)).members) == {other.holder}


# --- what they tell each other -----------------------------------------------------------------------------


async def test_all_others_are_told_and_not_oneself(pair, begin, listening):
    one, other = pair
    heard, own = await listening(other, one), await listening(one, other)
    for word in (Word.RELOAD, Word.RUNNERS):
        await one.leases.tell(word)
    await soon(heard, Word.RELOAD, Word.RUNNERS)
    assert own == []


async def test_those_who_wait_are_woken_when_something_is_given_back(pair, listening):
    one, other = pair
    await tend(other)
    await take(one, A)
    heard = await listening(other, one)
    await tend(one)
    await tend(one, release=frozenset({A}))
    await soon(heard, Word.CHANGED)


async def test_and_when_a_member_comes_or_leaves(pair, listening):
    one, other = pair
    heard = await listening(other, one)
    await tend(one)
    await soon(heard, Word.CHANGED)
    await one.leases.leave()
    await soon(heard, Word.CHANGED, Word.CHANGED)


async def test_the_holder_is_told_of_a_job_that_another_one_acquired(pair, listening):
    one, other = pair
    await take(one, A)
    heard = await listening(one, other)
    await other.add(job(1))
    await soon(heard, Word.ARRIVED)


# --- one service -------------------------------------------------------------------------------------------


async def test_all_processes_have_one_system_id_and_one_installation(pair):
    ids = await asyncio.gather(*(store.leases.system_id(f"r_{number}") for number, store in enumerate(pair)))
    assert len(set(ids)) == 1
    assert ids[0] in {"r_0", "r_1"}
    assert await pair[1].leases.system_id("r_another") == ids[0]
    assert len({await store.installation() for store in pair}) == 1


async def test_what_is_known_of_the_runners_is_known_to_all(pair):
    from paas_runner.job.known_runner import KnownRunner

    one, other = pair
    known = KnownRunner(key=A, url="https://gitlab.example", name="", tokens=(A,))
    await one.save_runners([known])
    assert list(await other.runners()) == [known]
    await other.save_runners([attrs.evolve(known, paused=True)])
    assert [each.paused for each in await one.runners()] == [True]
