"""Some seeds with every run of the tests, those that once failed among them; more with the long ones."""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from tests.simulation.simulate import (
    AUDITED_PAIRS,
    AUDITS,
    CROWDS,
    NEIGHBOURS,
    PAIRS,
    STAYING,
    quiet,
    simulate,
)
from tests.support.often import often

SEEDS = {0: often(15), NEIGHBOURS: 6, CROWDS: often(10), PAIRS: often(8), AUDITS: 5, STAYING: 5}
"""How many of each kind of world; `make simulate` has as many as there is time for."""

ONCE_FAILED = (128, 165, 387, 1667, 998, 1057, 1371, 1648, 1000035, 4000005, 5000204)


@pytest.fixture(scope="module")
def outcomes():
    """Simulates in a process of its own: logging is silenced there."""
    with ProcessPoolExecutor(max_workers=1, initializer=quiet) as pool:
        yield lambda seeds, **how: list(pool.map(partial(simulate, **how), seeds))


@pytest.fixture(scope="module")
def notified():
    """The same with somebody who is told what goes wrong."""
    with ProcessPoolExecutor(max_workers=1, initializer=quiet) as pool:
        yield lambda seeds: list(pool.map(partial(simulate, notified=True), seeds))


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(900)  # hours of virtual time
@pytest.mark.parametrize("kind", SEEDS)
def test_no_seed_breaks_the_promise(outcomes, kind):
    count = SEEDS[kind]
    ended = outcomes(range(kind + 1, kind + 1 + count))
    broken = {outcome.seed: outcome.violation for outcome in ended if outcome.violation}
    assert not broken, f"make simulate SEED={min(broken)}\n{broken[min(broken)]}"
    totals = sum((outcome.counts for outcome in ended), start=Counter())
    assert totals["crash"] > count * 10
    assert {"unanswered", "twice", "hangs", "store refusal", "clock jump"} <= set(totals)
    if kind == STAYING:
        assert {"helpers", "reused", "day without us"} <= set(totals)
    elif kind == AUDITS:
        assert {"audit: cancel", "audit: retry"} <= set(totals)
    elif kind == PAIRS:
        kinds = {"takeover: crash", "takeover: stop", "takeover: freeze", "takeover: balance"}
        assert kinds | {"database: stalled", "split: database"} <= set(totals)
    else:
        assert totals["late"]
    if kind == CROWDS:
        assert {"several requests in flight", "wait for room"} <= set(totals)
    elif kind == NEIGHBOURS:
        troubles = {"refused", "rotated", "forgotten", "sold_out", "stopped"}
        assert {f"trouble: {each}" for each in troubles} <= set(totals)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [NEIGHBOURS + 1, NEIGHBOURS + 2])
def test_nothing_is_held_for_no_job_where_payers_tokens_and_flavors_come_and_go(outcomes, seed):
    [outcome] = outcomes((seed,))
    assert not outcome.violation


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [STAYING + 3, STAYING + 6])
def test_hosts_that_stay_keep_the_promise_whatever_their_helpers_say(outcomes, seed):
    """Reuse, leases and faults of helpers; nothing is left after a day without us (H131, H142, H143)."""
    [outcome] = outcomes((seed,))
    assert not outcome.violation
    assert outcome.counts["helpers"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_seed_that_once_broke_the_promise_does_so_again(outcomes):
    broken = {outcome.seed: outcome.violation for outcome in outcomes(ONCE_FAILED) if outcome.violation}
    assert broken == {}


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [PAIRS + 1, PAIRS + 5082, STAYING + 9])
def test_several_processes_on_one_store_keep_the_promise_and_act_for_a_job_one_at_a_time(outcomes, seed):
    [outcome] = outcomes((seed,))
    assert not outcome.violation
    assert outcome.counts["takeover"] > 20


@pytest.mark.long
@pytest.mark.timeout(300)
def test_what_one_process_has_lost_is_found_by_whoever_has_its_section(outcomes):
    """In a world with a member that knows no quota, too."""
    [outcome] = outcomes((AUDITED_PAIRS + 4,))
    assert not outcome.violation
    assert outcome.counts["takeover"] > 20


def test_a_seed_tells_the_same_story_each_time(outcomes):
    once, again = outcomes((7, 7))
    assert once == again


@pytest.mark.parametrize("seed", [7, pytest.param(NEIGHBOURS + 2, marks=pytest.mark.long)])
def test_a_story_is_the_same_whether_its_numbers_are_looked_at_or_not(outcomes, seed):
    [unseen], [seen] = outcomes((seed,)), outcomes((seed,), watched=True)
    assert seen == unseen
    assert seen.scrapes > 100


def test_the_promise_holds_where_somebody_is_told_and_beginnings_and_ends_take_turns(notified):
    kinds = Counter()
    for outcome in notified((3, 9, NEIGHBOURS + 1)):
        assert not outcome.violation
        told = {}
        for notice in outcome.told:
            told.setdefault((notice["kind"], notice["subject"]), []).append(notice["state"])
            kinds[notice["kind"]] += 1
        for states in told.values():
            lasting = [("begun", "over")[number % 2] for number in range(len(states))]
            assert states in (["happened"] * len(states), lasting)
    assert {"launch_failed", "coordinator_failing", "cost_above", "drain_done"} <= set(kinds)
