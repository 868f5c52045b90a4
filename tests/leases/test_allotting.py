"""How much of the common bounds each process may use: never more than there is, and nobody goes without."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.job.lease import Allotment, Mode
from tests.support.fleet import Fleet

NOTHING = Allotment()


def of(jobs, provisioning=0, weight=0.0):
    return Allotment(jobs=jobs, provisioning=provisioning or jobs, weight=weight)


def spread(demands, *, total, heaviest=0.0):
    """A section for each process; each would use so much."""
    fleet = Fleet()
    sections = [f"section {number}" for number in range(len(demands))]
    for number, demand in enumerate(demands):
        more = {"mode": Mode.SPREAD, "demand": demand, "total": total, "heaviest": heaviest}
        fleet.add(f"p{number}", *sections, **more)
        fleet.turn(f"p{number}")
    fleet.run(100)
    assert [len(fleet.held(name)) for name in fleet.processes] == [1] * len(demands)
    return fleet


def rounds(fleet, number, ended=lambda _round: ()):
    """In each everybody begins what it may; of those that `ended` names a third has ended before."""
    used = []
    for each in range(number):
        for name in fleet.processes:
            if name in ended(each):
                fleet.end_a_third(name)
            fleet.turn(name)
            fleet.use(name)
        used.append([fleet.processes[name].in_use.jobs for name in fleet.processes])
        fleet.now += 5.0
    return used


def test_who_alone_holds_sections_may_use_everything():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.run(5)
    fleet.add("two", "a", "b")
    fleet.run(20)
    allotments = [process.allotment.jobs for process in fleet.processes.values()]
    assert allotments == [10, 0]


def test_who_takes_over_may_use_everything_with_the_sections():
    fleet = Fleet()
    fleet.add("one", "a", "b")
    fleet.add("two", "a", "b")
    fleet.run(10)
    fleet.kill("one")
    fleet.run(20)
    assert fleet.processes["two"].allotment.jobs == 10


def test_two_that_need_everything_get_a_half_each():
    fleet = spread([of(100), of(100)], total=of(100))
    rounds(fleet, 12)
    assert rounds(fleet, 12, ended=lambda _: ("p0", "p1"))[-1] == [50, 50]


def test_what_one_leaves_idle_is_lent_to_the_other():
    fleet = spread([of(100), of(1)], total=of(100))
    [busy, idle] = rounds(fleet, 15)[-1]
    assert idle == 1
    assert busy >= 95


def test_what_was_lent_comes_back_within_some_renewals():
    fleet = spread([of(100), of(1)], total=of(100))
    rounds(fleet, 15)
    fleet.processes["p1"].demand = of(100)
    used = rounds(fleet, 12, ended=lambda _: ("p0",))
    assert used[-1][1] == 50


@pytest.mark.parametrize("processes", [2, 3])
def test_a_single_place_goes_round(processes):
    fleet = spread([of(1)] * processes, total=of(1))
    used = rounds(fleet, 40, ended=lambda _: list(fleet.processes))
    assert all(sum(each) <= 1 for each in used)
    for number in range(processes):
        turns = [each for each in used if each[number]]
        assert len(turns) >= 5


def test_a_single_place_stays_where_a_job_runs_and_then_goes_on():
    fleet = spread([of(1), of(1)], total=of(1))
    while sum(rounds(fleet, 1)[-1]) == 0:
        pass
    first = next(name for name, process in fleet.processes.items() if process.in_use.jobs)
    assert len({tuple(each) for each in rounds(fleet, 20)}) == 1
    used = rounds(fleet, 4, ended=lambda number: [first] if number == 0 else [])
    assert used[-1][list(fleet.processes).index(first)] == 0


def test_a_weight_is_divided_in_portions_with_which_something_can_be_begun():
    fleet = spread([of(5, weight=16.0)] * 2, total=of(10, weight=20.0), heaviest=16.0)
    enough = set()
    for _ in range(20):
        rounds(fleet, 1, ended=lambda _: ("p0", "p1"))
        enough.add(tuple(process.allotment.weight >= 16.0 for process in fleet.processes.values()))
    assert enough >= {(True, False), (False, True)}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_sum_never_exceeds_the_bounds(data):
    whole = data.draw(st.integers(1, 12), label="total")
    count = data.draw(st.integers(2, 4), label="processes")
    total = Allotment(jobs=whole, provisioning=max(1, whole // 2), weight=float(3 * whole))
    fleet = spread([NOTHING] * count, total=total, heaviest=4.0)
    for _ in range(30):
        name = data.draw(st.sampled_from(list(fleet.processes)))
        process = fleet.processes[name]
        match data.draw(st.sampled_from(["turn", "use", "end", "ask"])):
            case "turn":
                fleet.turn(name)
            case "use":
                fleet.use(name)
            case "end":
                process.in_use = NOTHING
            case "ask":
                process.demand = total
        fleet.now += data.draw(st.sampled_from([0.0, 1.0, 5.0]))
        for name in fleet.processes:  # nobody is late
            row = fleet.table.present[name]
            row.until = fleet.now + 15.0
        _assert_within(fleet, total)


def _assert_within(fleet, total):
    granted = [row.allotment for row in fleet.table.present.values()]
    used = [process.in_use for process in fleet.processes.values()]
    for every in (granted, used):
        for bound in ("jobs", "provisioning", "weight"):
            assert sum(getattr(each, bound) for each in every) <= getattr(total, bound) + 1e-9


def test_what_is_in_use_when_the_bounds_are_lowered_stays_and_no_more_is_begun():
    fleet = spread([of(100), of(100)], total=of(10))
    rounds(fleet, 6)
    for process in fleet.processes.values():
        process.total = of(4)
    before = [process.in_use.jobs for process in fleet.processes.values()]
    after = rounds(fleet, 6)[-1]
    assert after == before
    assert sum(rounds(fleet, 12, ended=lambda _: ("p0", "p1"))[-1]) <= 4
    assert attrs.asdict(fleet.processes["p0"].allotment)["jobs"] <= 4
