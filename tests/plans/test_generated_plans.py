"""The generated plans that other tests run are worth it: valid, and of every kind."""

from hypothesis import given, settings
from paas_plans.plan import Action, CheckKind, DeferredBatch, When
from paas_plans.walk import items, walk

from tests.plans.generated_plans import CHECKS, WORK, plans
from tests.support.often import often


@given(plans())
@settings(max_examples=30)
def test_nothing_is_empty_and_names_and_keys_differ(plan):
    named = [step.item for step in walk(plan) if hasattr(step.item, "name")]
    assert len({item.name for item in named}) == len(named)
    keys = [step.item.key for step in walk(plan) if getattr(step.item, "key", None)]
    assert len(set(keys)) == len(keys)
    assert {key.version for key in keys} <= {7}
    parents = {id(parent) for step in walk(plan) for parent in step.parents}
    assert all(isinstance(step.item, Action) or id(step.item) in parents for step in walk(plan))


@given(plans())
@settings(max_examples=30)
def test_plugins_are_where_they_belong(plan):
    for step in walk(plan):
        if isinstance(step.item, Action):
            in_checks = any(str(part).endswith("_checks") for part in step.path)
            assert step.item.plugin in (CHECKS if in_checks else WORK)


def is_full(plan):
    every_batch = {batch.when for batch in items(plan, DeferredBatch)} == set(When)
    every_check = all(getattr(level, kind.field) for level in (plan, *plan.blocks) for kind in CheckKind)
    return every_batch and every_check


def test_there_are_plans_with_all_kinds_of_checks_and_batches():
    full = []

    @settings(derandomize=True, database=None, max_examples=often(100))
    @given(plans())
    def look(plan):
        full.append(is_full(plan))

    look()
    assert 1 <= full.count(True) < len(full)
