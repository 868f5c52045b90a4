"""Who is to have which section: what every process makes of the same answer of the store."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.job.lease import LEASE_SECONDS, SHORTEST_TENURE_SECONDS, Mode
from paas_runner.leases import dividing
from tests.support.fleet import Fleet

SECTIONS = ("a", "b", "c", "d", "e")


def test_a_process_alone_takes_everything_it_serves():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.run(5)
    assert fleet.held("one") == {"a", "b"}


def test_a_standby_takes_nothing_while_another_has_something():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.run(5)
    fleet.add("two", "a", "b")
    fleet.run(600)
    assert fleet.held("one") == {"a", "b"}


def test_a_section_that_only_the_standby_serves_is_the_standbys():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.run(5)
    fleet.add("two", "a", "b", "c")
    fleet.run(60)
    assert (fleet.held("one"), fleet.held("two")) == ({"a", "b"}, {"c"})


def test_a_standby_takes_all_together_when_the_lease_of_a_killed_one_runs_out():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.add("two", "a", "b")
    fleet.run(30)
    fleet.kill("one")
    killed = fleet.now - 5  # its last renewal
    while not fleet.held("two"):
        fleet.turn("two")
        if not fleet.held("two"):
            fleet.now += dividing.next_look(fleet.processes["two"].tenancy, "two")
    assert fleet.held("two") == {"a", "b"}
    assert fleet.now - killed <= LEASE_SECONDS + 0.5


def test_a_standby_takes_all_at_once_when_the_other_leaves():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.add("two", "a", "b")
    fleet.run(30)
    fleet.leave("one")
    fleet.turn("two")
    assert fleet.held("two") == {"a", "b"}


def test_of_two_that_hold_something_the_younger_hands_over_after_a_minute():
    fleet = Fleet()
    fleet.add("one", "a", "b", mode=Mode.SPREAD)
    fleet.run(5)
    fleet.add("two", "a", "b", mode=Mode.SPREAD)
    fleet.run(90)
    assert len(fleet.held("two")) == 1
    for process in fleet.processes.values():
        process.mode = Mode.STANDBY
    fleet.run(90)
    assert fleet.held("one") == {"a", "b"}


def test_as_long_as_one_stands_by_nothing_is_spread():
    fleet = Fleet()
    fleet.add("old", "a", "b", mode=Mode.STANDBY)
    fleet.run(5)
    fleet.add("new", "a", "b", mode=Mode.SPREAD)
    fleet.run(120)
    assert fleet.held("old") == {"a", "b"}
    fleet.leave("old")
    fleet.run(10)
    fleet.add("newer", "a", "b", mode=Mode.SPREAD)
    fleet.run(120)
    assert len(fleet.held("new")) == len(fleet.held("newer")) == 1


def test_a_section_that_left_the_configuration_goes_to_who_serves_it_at_once():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.add("two", "a", "b")
    fleet.run(10)
    fleet.processes["one"].serves = frozenset("a")
    fleet.run(20)
    assert (fleet.held("one"), fleet.held("two")) == ({"a"}, {"b"})


def test_a_section_that_nobody_else_serves_stays_with_its_holder():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.run(10)
    fleet.processes["one"].serves = frozenset("a")
    fleet.run(20)
    assert fleet.held("one") == {"a", "b"}


def test_what_the_entitled_one_does_not_come_for_is_taken_by_another():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.add("two", "a", "b")
    fleet.run(10)
    fleet.table.rows["b"].holder = ""  # released, and "one", which lives, cannot take it
    taken = [fleet.turn("two").take for fleet.now in (11.0, 15.0, 18.9, 19.1)]
    assert taken == [frozenset(), frozenset(), frozenset(), frozenset("b")]


def test_the_next_look_is_when_a_lease_runs_out_that_could_be_taken():
    fleet = Fleet()
    fleet.add("one", "a")
    fleet.turn("one")
    fleet.add("two", "a")
    fleet.add("other", "b")
    fleet.now = 13.0
    fleet.turn("two")
    fleet.turn("other")
    looks = [dividing.next_look(fleet.processes[name].tenancy, name) for name in ("two", "other")]
    assert looks == pytest.approx([2.2, 5.0])


def test_for_balance_nothing_is_handed_over_within_a_minute():
    fleet = Fleet()
    fleet.add("one", *SECTIONS, mode=Mode.SPREAD)
    fleet.run(10)
    fleet.add("two", *SECTIONS, mode=Mode.SPREAD)
    fleet.run(45)
    assert len(fleet.held("one")) == 5
    fleet.run(20)
    assert sorted(map(len, (fleet.held("one"), fleet.held("two")))) == [2, 3]
    _assert_no_ping_pong(fleet)


@st.composite
def courses(draw):
    """What becomes of up to four processes: modes, starts, ends."""
    same = draw(st.booleans())
    names = ["p1", "p2", "p3", "p4"][: draw(st.integers(1, 4))]
    serves = {
        name: frozenset(SECTIONS if same else draw(st.sets(st.sampled_from(SECTIONS)))) for name in names
    }
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(names),
                st.sampled_from(["start", "kill", "leave", "switch"]),
                st.sampled_from([0, 5, 10, 20, 70]),
            ),
            max_size=10,
        )
    )
    return serves, steps, draw(st.sampled_from(Mode)), draw(st.randoms(use_true_random=False))


@settings(max_examples=60, deadline=None)
@given(courses())
def test_whatever_comes_and_goes_all_come_to_rest_and_nothing_moves_twice_within_a_minute(course):
    serves, steps, mode, rng = course
    fleet = Fleet()
    lives = Counter()
    present = {}
    for name, step, seconds in steps:
        if step == "start" and name not in present:
            lives[name] += 1
            present[name] = f"{name}.{lives[name]}"
            fleet.add(present[name], *serves[name], mode=rng.choice(list(Mode)))
        elif name in present and step == "switch":
            fleet.processes[present[name]].mode = rng.choice(list(Mode))
        elif name in present and step in ("kill", "leave"):
            getattr(fleet, step)(present.pop(name))
        fleet.run(seconds, rng)
    for process in fleet.processes.values():
        process.mode = mode
    fleet.run(300, rng)

    before = len(fleet.moved)
    fleet.run(300, rng)
    assert len(fleet.moved) == before, "it does not come to rest"

    served = frozenset().union(*(process.serves for process in fleet.processes.values()))
    held = {runner: holder for runner, holder in fleet.holders.items() if runner in served}
    assert held.keys() == served, "something that is served has no holder"
    assert all(runner in fleet.processes[holder].serves for runner, holder in held.items())
    if len({process.serves for process in fleet.processes.values()}) == 1:
        sizes = [len(fleet.held(name)) for name in fleet.processes]
        if mode is Mode.SPREAD:
            assert max(sizes) - min(sizes) <= 1
        else:
            assert sorted(sizes)[:-1] == [0] * (len(sizes) - 1)
    _assert_no_ping_pong(fleet)


def _assert_no_ping_pong(fleet):
    """Whoever has taken a section keeps it for a minute, but for the end of its life."""
    taken = {}
    for at, runner, before, after in fleet.moved:
        if after:
            taken[runner] = at
        elif before in fleet.processes:
            assert at - taken[runner] >= SHORTEST_TENURE_SECONDS
