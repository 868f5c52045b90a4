"""Limits are never exceeded, whoever asks when."""

from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.capacity import Limits, next_to_ask
from paas_runner.job.tracked import Phase
from tests.job.records import job, job_in

LIMITS = Limits(concurrent=3, provisioning=2, per_runner={"a": 0, "b": 1})


def test_requests_in_flight_take_a_place():
    assert next_to_ask(["a"], [], [], LIMITS) == "a"
    assert next_to_ask(["a"], [], ["a"], LIMITS) == "a"
    assert next_to_ask(["a"], [], ["a", "a"], LIMITS) is None


def test_jobs_that_run_take_no_place_among_those_being_provisioned():
    running = job_in(Phase.RUNNING)
    assert next_to_ask(["a"], [running, running], [], LIMITS) == "a"
    assert next_to_ask(["a"], [running, running, running], [], LIMITS) is None
    assert next_to_ask(["a"], [job(1), job(2)], [], LIMITS) is None


def test_a_runner_at_its_own_limit_lets_the_others_pass():
    assert next_to_ask(["b", "a"], [job(1, runner="b")], [], LIMITS) == "a"
    assert next_to_ask(["b"], [job(1, runner="b")], [], LIMITS) is None


def test_who_waits_longest_is_next():
    assert next_to_ask(["b", "a"], [], [], LIMITS) == "b"


runners = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(runners, max_size=10),
    st.lists(st.tuples(runners, st.sampled_from([Phase.ACQUIRED, Phase.RUNNING])), max_size=6),
    st.integers(1, 6),
    st.integers(1, 6),
    st.dictionaries(runners, st.integers(0, 3)),
)
def test_however_often_turns_are_given_no_limit_is_passed(waiting, tracked, concurrent, provisioning, own):
    limits = Limits(concurrent=concurrent, provisioning=provisioning, per_runner=own)
    records = [
        job_in(phase, key=job(number, runner=runner).key) for number, (runner, phase) in enumerate(tracked, 1)
    ]
    asking: list[str] = []
    while runner := next_to_ask(waiting, records, asking, limits):
        asking.append(runner)
        waiting.remove(runner)
    if asking:
        assert len(records) + len(asking) <= concurrent
        for runner, limit in own.items():
            taken = sum(record.key.runner == runner for record in records)
            assert not limit or runner not in asking or taken + asking.count(runner) <= limit
