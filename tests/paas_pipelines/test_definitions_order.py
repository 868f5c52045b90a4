"""Tasks are listed in topological order, ties by name (P130)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_pipelines.definitions.definition import Definition, TaskDefinition, in_order

NAMES = "abcdefgh"


def graphs():
    """Any graph of a few tasks: also with cycles, and with tasks that do not exist."""
    return st.dictionaries(st.sampled_from(NAMES[:-1]), st.lists(st.sampled_from(NAMES), max_size=3))


def naive(depends_on):
    """The words of the specification, one after the other."""
    found = []
    queue = sorted(name for name, others in depends_on.items() if not others)
    while queue:
        found.append(queue.pop(0))
        queue += [
            name
            for name, others in depends_on.items()
            if name not in found + queue and all(other in found for other in others)
        ]
        queue.sort()
    return tuple(found)


@pytest.mark.parametrize(
    ("depends_on", "order"),
    [
        ({"zeta": "", "alpha": ""}, ("alpha", "zeta")),
        ({"b": "ae", "c": "db", "d": "a", "e": "a", "f": "be", "g": "cf", "a": ""}, tuple("adebcfg")),
    ],
)
def test_the_examples_of_the_specification(depends_on, order):
    assert in_order(depends_on) == order


@given(graphs())
def test_the_order_is_that_of_the_naive_model(depends_on):
    assert in_order(depends_on) == naive(depends_on)


@given(graphs())
def test_each_task_stands_behind_those_it_depends_on(depends_on):
    order = in_order(depends_on)
    assert len(set(order)) == len(order)
    for position, name in enumerate(order):
        assert set(depends_on[name]) <= set(order[:position])


def test_a_definition_tells_the_order_of_its_tasks():
    tasks = {"z": TaskDefinition(), "a": TaskDefinition(depends_on=("z", "z"))}
    assert Definition(name="p", source="f", tasks=tasks).order == ("z", "a")


def test_thousands_of_tasks_are_ordered_at_once():
    chain = {f"t{number:05}": [f"t{number - 1:05}"] if number else [] for number in range(20000)}
    assert in_order(chain) == tuple(sorted(chain))
