"""The builder: each call adds to what was begun last, and the first mistake is told at the end."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from paas_plans.builder import Builder
from paas_plans.errors import BuilderError
from paas_plans.ids import fresh_id
from paas_plans.plan import (
    Action,
    Block,
    CheckKind,
    Checks,
    DeferredActions,
    DeferredBatch,
    Plan,
    Sequence,
    When,
)

from tests.plans.generated_plans import plans

LOOK = ("look", "Looks", "tests.looks")
DO = ("do", "Does", "tests.does")


def begun():
    return Builder("roll-out", "Upgrades every host")


def block_begun():
    return begun().block("hosts", "All of them")


def mistake(builder):
    with pytest.raises(BuilderError) as raised:
        builder.plan()
    return str(raised.value)


def test_a_plan_is_built_in_one_expression():
    group, key = fresh_id(), fresh_id()
    built = (
        Builder("roll-out", "Upgrades every host", group_id=group)
        .checks("pre")
        .action(*LOOK, {"url": "http://service"}, retries=2)
        .up()
        .block("hosts", "All of them", concurrency=2, tolerated_failures=1, exit_delay=timedelta(minutes=1))
        .checks(CheckKind.CONTINUOUS, delay=timedelta(seconds=5))
        .action(*LOOK)
        .up()
        .sequence("host a", "The first", key=key)
        .action(*DO, timeout=timedelta(minutes=5))
        .action(*DO)
        .up()
        .sequence("host b", "The second")
        .action(*DO)
        .up()
        .up()
        .deferred_actions()
        .batch("tell", "Tells the team", "on_failure", fail_plan=True)
        .action(*DO)
        .plan()
    )
    look, do = ({"name": name, "description": words, "plugin": plugin} for name, words, plugin in (LOOK, DO))
    assert built == Plan(
        name="roll-out",
        description="Upgrades every host",
        group_id=group,
        pre_checks=Checks(actions=(Action(**look, request={"url": "http://service"}, retries=2),)),
        blocks=(
            Block(
                name="hosts",
                description="All of them",
                concurrency=2,
                tolerated_failures=1,
                exit_delay=timedelta(minutes=1),
                continuous_checks=Checks(actions=(Action(**look),), delay=timedelta(seconds=5)),
                sequences=(
                    Sequence(
                        name="host a",
                        description="The first",
                        key=key,
                        actions=(Action(**do, timeout=timedelta(minutes=5)), Action(**do)),
                    ),
                    Sequence(name="host b", description="The second", actions=(Action(**do),)),
                ),
            ),
        ),
        deferred_actions=DeferredActions(
            batches=(
                DeferredBatch(
                    name="tell",
                    description="Tells the team",
                    when=When.ON_FAILURE,
                    fail_plan=True,
                    actions=(Action(**do),),
                ),
            )
        ),
    )


def rebuilt(plan):
    """The plan, by calls of the builder alone."""
    builder = Builder(plan.name, plan.description, group_id=plan.group_id, meta=plan.meta)

    def add_checks(level):
        for kind in CheckKind:
            if checks := getattr(level, kind.field):
                builder.checks(kind, delay=checks.delay, key=checks.key).actions(*checks.actions).up()

    add_checks(plan)
    for block in plan.blocks:
        own = ("entrance_delay", "exit_delay", "concurrency", "tolerated_failures", "key")
        builder.block(block.name, block.description, **{name: getattr(block, name) for name in own})
        add_checks(block)
        for sequence in block.sequences:
            builder.sequence(sequence.name, sequence.description, key=sequence.key)
            builder.actions(*sequence.actions).up()
        builder.up()
    if deferred := plan.deferred_actions:
        builder.deferred_actions(key=deferred.key)
        for batch in deferred.batches:
            options = {"fail_plan": batch.fail_plan, "key": batch.key}
            builder.batch(batch.name, batch.description, batch.when, **options).actions(*batch.actions).up()
    return builder.plan()


@given(plans())
@settings(max_examples=30)
def test_every_plan_can_be_built(plan):
    assert rebuilt(plan) == plan


@pytest.mark.parametrize("kind", CheckKind)
def test_each_kind_of_checks_is_for_plans_and_blocks_once(kind):
    assert getattr(begun().checks(kind).plan(), kind.field) == Checks(actions=())
    assert getattr(block_begun().checks(str(kind)).plan().blocks[0], kind.field) == Checks(actions=())
    twice = begun().checks(kind).up().checks(kind)
    assert mistake(twice) == f"plan: {kind}_checks are here already: add to them where they are begun"
    assert mistake(block_begun().checks(kind).up().checks(kind)).startswith(f"blocks[0]: {kind}_checks")


@pytest.mark.parametrize(
    ("misplaced", "told"),
    [
        (
            block_begun().sequence("a", "A").checks("pre"),
            "blocks[0].sequences[0]: Checks 'pre_checks' can only be in a Plan or Block",
        ),
        (begun().checks("pre").block("b", "B"), "pre_checks: Block 'b' can only be in a Plan"),
        (block_begun().block("b", "B"), "blocks[0]: Block 'b' can only be in a Plan"),
        (begun().sequence("a", "A"), "plan: Sequence 'a' can only be in a Block"),
        (begun().action(*DO), "plan: Action 'do' can only be in a Checks or Sequence or DeferredBatch"),
        (
            block_begun().action(*DO),
            "blocks[0]: Action 'do' can only be in a Checks or Sequence or DeferredBatch",
        ),
        (
            begun().deferred_actions().action(*DO),
            "deferred_actions: Action 'do' can only be in a Checks or Sequence or DeferredBatch",
        ),
        (begun().batch("c", "C", "always"), "plan: DeferredBatch 'c' can only be in a DeferredActions"),
        (
            block_begun().deferred_actions(),
            "blocks[0]: DeferredActions 'deferred_actions' can only be in a Plan",
        ),
        (
            begun().deferred_actions().checks("post"),
            "deferred_actions: Checks 'post_checks' can only be in a Plan or Block",
        ),
    ],
)
def test_what_is_in_a_wrong_place_is_told_with_where_it_may_be(misplaced, told):
    assert mistake(misplaced) == f"{told}: call up(), or begin that, first"


def test_deferred_actions_are_for_plans_once():
    twice = begun().deferred_actions().up().deferred_actions()
    assert mistake(twice) == "plan: deferred_actions are here already: add to them where they are begun"


def test_checks_of_no_kind_and_batches_for_no_outcome_are_refused_with_those_that_there_are():
    told = mistake(begun().checks("early"))
    assert told == "plan: there are no 'early' checks: give one of bypass, pre, continuous, post, deferred"
    told = mistake(begun().deferred_actions().batch("tell", "Tells", "never"))
    assert told.endswith("the batch 'tell' is for 'never': give one of on_success, on_failure, always")


def test_up_leaves_each_object_for_the_one_that_it_is_in():
    builder = begun().checks("pre").action(*LOOK).up()
    builder.block("a", "A").checks("post").action(*LOOK).up().sequence("s", "S").action(*DO).up().up()
    plan = builder.block("b", "B").up().deferred_actions().up().plan()
    assert [block.name for block in plan.blocks] == ["a", "b"]
    assert [len(block.sequences) for block in plan.blocks] == [1, 0]
    assert plan.deferred_actions == DeferredActions(batches=())


def test_up_does_not_leave_the_plan():
    assert mistake(begun().up()) == "plan: up() would leave the plan: leave it out"
    assert mistake(block_begun().up().up()) == "plan: up() would leave the plan: leave it out"


def test_the_first_mistake_stays_and_nothing_is_added_after_it():
    builder = begun().checks("early")
    assert builder.error is not None
    first = str(builder.error)
    builder.up().block("", "").checks("pre").sequence("s", "S").actions().deferred_actions().batch("", "", "")
    assert mistake(builder) == mistake(builder) == str(builder.error) == first
    assert begun().error is None


def test_a_plan_is_taken_once():
    builder = block_begun()
    taken = builder.plan()
    builder.block("late", "Too late").sequence("s", "S")
    assert mistake(builder) == "blocks[0]: plan() was called: reset() begins another"
    assert [block.name for block in taken.blocks] == ["hosts"]


@pytest.mark.parametrize("spoil", [Builder.plan, Builder.up], ids=["taken", "mistaken"])
def test_another_plan_is_begun_after_one_was_taken_or_spoiled(spoil):
    builder = begun()
    spoil(builder)
    group = fresh_id()
    again = builder.reset("other", "Another", group_id=group).block("b", "B").plan()
    assert (again.name, again.description, again.group_id) == ("other", "Another", group)
    assert [block.name for block in again.blocks] == ["b"]


def test_an_option_that_there_is_not_is_python_s_own_error():
    with pytest.raises(TypeError, match="concurency"):
        begun().block("b", "B", concurency=2)
