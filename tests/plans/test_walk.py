"""A plan is walked in the order in which it is run; what is found is replaced without a copy of the rest."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from paas_plans.plan import (
    Action,
    Attempt,
    Block,
    Checks,
    DeferredActions,
    DeferredBatch,
    Plan,
    Sequence,
    State,
    When,
    path_words,
)
from paas_plans.walk import at, items, last_update, replaced, walk

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = EARLY + timedelta(minutes=1)


def action(name):
    return Action(name=name, description="it does", plugin="does")


def checks(name):
    return Checks(actions=(action(f"{name} 1"), action(f"{name} 2")))


def five_checks(level):
    kinds = ("bypass", "pre", "continuous", "post", "deferred")
    return {f"{kind}_checks": checks(f"{level} {kind}") for kind in kinds}


@pytest.fixture
def full():
    """A plan in which nothing is left out."""
    sequences = (
        Sequence(name="left", description="d", actions=(action("left 1"), action("left 2"))),
        Sequence(name="right", description="d", actions=(action("right 1"),)),
    )
    batch = DeferredBatch(name="bury", description="d", when=When.ALWAYS, actions=(action("buried"),))
    return Plan(
        name="whole",
        description="d",
        blocks=(Block(name="only", description="d", sequences=sequences, **five_checks("block")),),
        deferred_actions=DeferredActions(batches=(batch,)),
        **five_checks("plan"),
    )


def test_actions_come_in_the_order_in_which_they_are_run(full):
    assert [action.name for action in items(full, Action)] == [
        *(
            "plan bypass 1",
            "plan bypass 2",
            "plan pre 1",
            "plan pre 2",
            "plan continuous 1",
            "plan continuous 2",
        ),
        *("block bypass 1", "block bypass 2", "block pre 1", "block pre 2"),
        *("block continuous 1", "block continuous 2", "left 1", "left 2", "right 1"),
        *("block post 1", "block post 2", "block deferred 1", "block deferred 2"),
        *("plan post 1", "plan post 2", "buried", "plan deferred 1", "plan deferred 2"),
    ]


def test_an_object_comes_before_what_is_in_it_and_all_come_once(full):
    paths = [step.path for step in walk(full)]
    assert paths[0] == ()
    for step in walk(full):
        inside = [path for path in paths if path[: len(step.path)] == step.path]
        assert inside[0] == step.path
    assert len(set(paths)) == len(paths) == 1 + 1 + 2 + 10 + 2 + 10 * 2 + 3 + 1


def test_each_object_is_found_at_its_path_and_knows_its_parents(full):
    for step in walk(full):
        assert at(full, step.path) is step.item
        assert [type(parent) for parent in step.parents] == [
            type(at(full, step.path[:length]))
            for length in range(len(step.path))
            if not isinstance(at(full, step.path[:length]), tuple)
        ]
    last = list(walk(full.blocks[0]))[-1]
    assert path_words(last.path) == "deferred_checks.actions[1]"
    assert last.parents == (full.blocks[0], full.blocks[0].deferred_checks)


def test_a_part_can_be_walked_with_the_paths_of_the_whole(full):
    block = ("blocks", 0)
    assert [step.path for step in walk(full.blocks[0], block, (full,))] == [
        step.path for step in walk(full) if step.path[:2] == block
    ]


def test_objects_of_one_type_are_picked(full):
    assert [sequence.name for sequence in items(full, Sequence)] == ["left", "right"]
    assert list(items(full, Plan)) == [full]
    assert len(list(items(full, Checks))) == 10
    assert [batch.name for batch in items(full, DeferredBatch)] == ["bury"]


def test_any_object_can_be_replaced_and_all_that_is_beside_it_is_shared(full):
    for step in walk(full):
        new = attrs.evolve(step.item, state=State(start=EARLY))
        after = replaced(full, step.path, new)
        assert at(after, step.path) is new
        below_or_above = {
            other.path
            for other in walk(full)
            if other.path[: len(step.path)] == step.path or step.path[: len(other.path)] == other.path
        }
        assert all(
            at(after, other.path) is other.item for other in walk(full) if other.path not in below_or_above
        )
        assert replaced(after, step.path, step.item) == full


def test_objects_are_equal_if_all_of_them_is(full):
    again = replaced(full, (), attrs.evolve(full))
    assert again == full
    for step in walk(full):
        changed = replaced(full, step.path, attrs.evolve(step.item, state=State(start=EARLY)))
        assert changed != full
    assert hash(full) == hash(again)


def test_the_last_update_is_the_newest_time_of_any_object(full):
    assert last_update(full) is None
    started = attrs.evolve(full, submitted=EARLY, state=State(start=EARLY))
    assert last_update(started) == EARLY
    for step in walk(started):
        for state in (State(start=LATE), State(start=EARLY, end=LATE)):
            assert last_update(replaced(started, step.path, attrs.evolve(step.item, state=state))) == LATE


def test_an_attempt_or_a_heartbeat_is_an_update_and_the_end_of_a_wait_is_not(full):
    started = attrs.evolve(full, submitted=EARLY, state=State(start=EARLY, until=LATE))
    assert last_update(started) == EARLY
    assert last_update(attrs.evolve(started, heartbeat=LATE)) == LATE
    path = ("blocks", 0, "sequences", 0, "actions", 0)
    tried = attrs.evolve(at(full, path), attempts=(Attempt(start=EARLY, end=LATE),))
    assert last_update(replaced(started, path, tried)) == LATE


def test_a_state_says_how_long_it_took_and_an_action_what_came_of_it():
    assert State(start=EARLY, end=LATE).duration == timedelta(minutes=1)
    assert State(start=EARLY).duration is None
    first, last = Attempt(start=EARLY), Attempt(start=LATE)
    assert attrs.evolve(action("tried"), attempts=(first, last)).final_attempt is last
    assert action("not tried").final_attempt is None
