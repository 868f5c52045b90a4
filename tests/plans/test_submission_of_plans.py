"""A plan is looked at as a whole before it is stored, and all that is wrong with it is told at once."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import attrs
import pytest
from hypothesis import given
from paas_plans.errors import PlanRefusedError
from paas_plans.ids import fresh_id, made_at
from paas_plans.plan import (
    NIL,
    Action,
    Attempt,
    Block,
    Checks,
    DeferredActions,
    Plan,
    Reason,
    State,
    Status,
    When,
)
from paas_plans.plugin import BasePlugin
from paas_plans.registry import Registry
from paas_plans.secret import not_secret, scrubbed, secret
from paas_plans.validation import complaints_of_start, ready_to_submit
from paas_plans.walk import items, walk

from tests.plans.generated_plans import CHECKS, WORK, plans
from tests.plans.small_plans import action, batch, block, checks, plan, sequence

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Does(BasePlugin):
    request_type: Any = Any

    def __init__(self, name: str, *, is_check: bool = False) -> None:
        self._name, self.is_check = name, is_check

    @property
    def name(self) -> str:
        return self._name

    def execute(self, request, context):
        return None


@attrs.frozen
class Login:
    user: str
    password: str = secret()
    pass_through: bool = not_secret(default=False)

    def defaults(self):
        return attrs.evolve(self, user=self.user or "root")


@dataclasses.dataclass
class InPlace:
    size: int = 0

    def defaults(self):
        self.size = self.size or 10


@attrs.frozen
class Divided:
    names: list[str] = attrs.field(converter=lambda text: text.split(","))


class SilentError(Exception):
    def __str__(self):
        raise ValueError


class LogsIn(Does):
    request_type = Login | InPlace | Divided

    def validate(self, request):
        if request == Login("root", "wrong"):
            raise ValueError(f"the password {request.password} is too short")
        if request == InPlace(13):
            raise ZeroDivisionError
        if request == InPlace(14):
            raise SilentError


REGISTRY = Registry(
    Does("do"), Does("look", is_check=True), LogsIn("log-in"), *map(Does, WORK), Does(*CHECKS, is_check=True)
)


def submitted(wanted):
    return ready_to_submit(wanted, REGISTRY, NOW)


def refusal(wanted):
    with pytest.raises(PlanRefusedError) as told:
        submitted(wanted)
    assert all(text in str(told.value) for text in told.value.complaints)
    return list(told.value.complaints)


def one(**others):
    """A plan of one action."""
    return plan(block(sequence("do", **others)))


@given(plans())
def test_a_valid_plan_gets_fresh_ids_and_the_time_of_its_submission_and_stays_the_same_otherwise(wanted):
    ready = submitted(wanted)
    ids = [step.item.id for step in walk(ready)]
    assert len(set(ids)) == len(ids) == len(list(walk(wanted)))
    assert {(one.version, made_at(one)) for one in ids} == {(7, NOW)}
    assert ready.submitted == NOW
    assert [step.item for step in walk(ready) if step.item.state != State()] == []
    assert [without_id(step.item) for step in walk(ready)][1:] == [without_id(s.item) for s in walk(wanted)][
        1:
    ]
    assert complaints_of_start(ready, REGISTRY) == []


def without_id(item):
    """Its own fields, without its parts."""
    return {
        field.name: getattr(item, field.name)
        for field in attrs.fields(type(item))
        if field.name != "id" and "actions" not in field.name and "checks" not in field.name
        if field.name not in ("sequences", "batches")
    }


def test_an_object_may_be_in_a_plan_twice():
    shared = action("do")
    line = attrs.evolve(sequence("do"), actions=[shared, shared])
    ready = submitted(plan(block(line, line), block(line)))
    assert len({one.id for one in items(ready, Action)}) == len(list(items(ready, Action))) == 6


def test_parts_may_be_given_as_any_iterable():
    wanted = Plan(
        name="a",
        description="-",
        blocks=[Block(name="b", description="-", sequences=(one for one in [sequence("do")]))],
        pre_checks=Checks(actions=[action("look")]),
        deferred_actions=DeferredActions(batches=[batch(When.ALWAYS, "do")]),
    )
    assert submitted(wanted).blocks[0].sequences[0].actions[0].plugin == "do"


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ({"timeout": timedelta(0)}, {"timeout": timedelta(seconds=30)}),
        ({"timeout": timedelta(seconds=5)}, {"timeout": timedelta(seconds=5)}),
        ({"retries": -3}, {"retries": 0}),
        ({"retries": 3}, {"retries": 3}),
        ({}, {"timeout": timedelta(seconds=30), "retries": 0}),
    ],
)
def test_what_is_left_out_of_an_action_is_filled_in(given_, stored):
    ready = submitted(one(**given_)).blocks[0].sequences[0].actions[0]
    assert {name: getattr(ready, name) for name in stored} == stored


@pytest.mark.parametrize(("wanted", "stored"), [(-1, 1), (0, 1), (1, 1), (8, 8)])
def test_a_block_runs_at_least_one_sequence_at_once(wanted, stored):
    assert submitted(plan(block(sequence("do"), concurrency=wanted))).blocks[0].concurrency == stored


@pytest.mark.parametrize(
    ("request_", "completed"), [(Login("", "abc"), Login("root", "abc")), (InPlace(), InPlace(10))]
)
def test_a_request_completes_itself(request_, completed):
    ready = submitted(one(plugin="log-in", request=request_))
    assert ready.blocks[0].sequences[0].actions[0].request == completed


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Login("", "wrong"), "refused by log-in: the password [secret hidden] is too short"),
        (scrubbed(Login("", "abc")), "had its secrets struck out: clone it with keep_secrets=True"),
        (InPlace(13), "refused by log-in: ZeroDivisionError"),
        (InPlace(14), "refused by log-in: SilentError"),
        (Divided("a,b"), "refused by log-in: it is refused by Divided: AttributeError"),
        (InPlace("3"), "size is of the type str, not int"),
        (None, "is of the type NoneType, not "),
        ({"user": "me"}, "is of the type dict, not "),
    ],
)
def test_a_request_is_looked_at_by_its_type_and_its_plugin(request_, words):
    (told,) = refusal(one(plugin="log-in", request=request_))
    assert told.startswith("blocks[0].sequences[0].actions[0].request ")
    assert words in told


KEY = fresh_id()
BAD = {"name": " ", "description": ""}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (plan(), ["blocks has to be a list of at least one Block"]),
        (plan(block()), ["blocks[0].sequences has to be a list of at least one Sequence"]),
        (
            plan(block(attrs.evolve(sequence("do"), actions=()))),
            ["blocks[0].sequences[0].actions has to be a list of at least one Action"],
        ),
        (
            plan(block(sequence("do")), pre_checks=Checks(actions=[])),
            ["pre_checks.actions has to be a list of at least one Action"],
        ),
        (
            attrs.evolve(one(), deferred_actions=DeferredActions(batches=())),
            ["deferred_actions.batches has to be a list of at least one DeferredBatch"],
        ),
        (
            plan(block(sequence("do")), batches=(attrs.evolve(batch(When.ALWAYS, "do"), when="always"),)),
            ["deferred_actions.batches[0].when is of the type str, not When"],
        ),
        (
            one(plugin=""),
            ["blocks[0].sequences[0].actions[0] calls the plugin '', which is not registered: "],
        ),
        (one(plugin=["do"]), ["plugin is of the type list, not str", "calls the plugin"]),
        (one(timeout=timedelta(seconds=4.9)), ["timeout is below five seconds: 0 is the usual 30"]),
        (one(timeout=timedelta(-1)), ["timeout is below five seconds"]),
        (one(timeout=timedelta.max), ["timeout is above a hundred years"]),
        (one(timeout=30), ["timeout is of the type int, not timedelta"]),
        (one(retries="1"), ["retries is of the type str, not int"]),
        (one(key=uuid4()), ["key is no UUID of version 7: make it with paas_plans.fresh_id()"]),
        (one(key="key"), ["key is of the type str, not "]),
        (one(id=fresh_id()), ["id is for the engine to set: submit a clone of the plan"]),
        (one(state=State(status=Status.RUNNING)), ["state is for the engine to set"]),
        (one(attempts=(Attempt(start=NOW),)), ["attempts is for the engine to set"]),
        (attrs.evolve(one(), reason=Reason.BLOCK, submitted=NOW), ["reason is for", "submitted is for"]),
        (
            attrs.evolve(one(), heartbeat=NOW, stop_requested=NOW),
            ["heartbeat is for", "stop_requested is for"],
        ),
        (
            attrs.evolve(one(), meta="text", group_id=3),
            ["group_id is of the type int", "meta is of the type str"],
        ),
        (plan(block(sequence("do"), entrance_delay=timedelta(-1))), ["entrance_delay is below zero"]),
        (plan(block(sequence("do"), exit_delay=timedelta(-1))), ["exit_delay is below zero"]),
        (plan(block(sequence("do"), exit_delay=timedelta.max)), ["exit_delay is above a hundred years"]),
        (plan(block(sequence("do"), tolerated_failures=-2)), ["tolerated_failures is below -1"]),
        (
            plan(block(sequence("do")), continuous_checks=checks("look", delay=timedelta(-1))),
            ["continuous_checks.delay is below zero"],
        ),
        (
            plan(block(sequence("do")), pre_checks=checks("do")),
            ["pre_checks.actions[0] is a check, and do is no plugin for checks"],
        ),
        (plan(block(sequence("look"))), ["actions[0] is no check, and look is a plugin for checks alone"]),
        (
            plan(block(sequence("do")), batches=(batch(When.ALWAYS, "look"),)),
            ["deferred_actions.batches[0].actions[0] is no check, and look"],
        ),
        (plan(sequence("do")), ["blocks[0] is of the type Sequence, not Block"]),
        (
            plan(block(sequence("do")), pre_checks=[action("look")]),
            ["pre_checks is of the type list, not Checks"],
        ),
        (attrs.evolve(plan(), blocks=block()), ["blocks has to be a list of at least one Block"]),
        ({"name": "a plan"}, ["plan is of the type dict, not Plan"]),
        (
            attrs.evolve(
                plan(
                    attrs.evolve(block(attrs.evolve(sequence("do"), **BAD)), **BAD),
                    batches=(attrs.evolve(batch(When.ALWAYS, "do"), **BAD),),
                ),
                **BAD,
            ),
            [
                "name is blank",
                "description is blank",
                *(
                    f"{place}.{field} is blank"
                    for place in ("blocks[0]", "blocks[0].sequences[0]", "deferred_actions.batches[0]")
                    for field in ("name", "description")
                ),
            ],
        ),
    ],
)
def test_all_that_is_wrong_is_told_at_once_with_its_place(wanted, told):
    complaints = refusal(wanted)
    assert len(complaints) == len(told)
    assert [text for text, said in zip(told, complaints, strict=True) if text not in said] == []


def test_a_key_is_unique_in_the_whole_plan():
    deferred = attrs.evolve(batch(When.ALWAYS, "do"), key=KEY)
    same = plan(
        block(sequence("do", key=KEY)),
        block(sequence("do")),
        batches=(deferred,),
        pre_checks=checks("look", key=KEY),
    )
    assert refusal(same) == [
        "pre_checks.key is that of blocks[0].sequences[0].actions[0], too",
        "deferred_actions.batches[0].key is that of blocks[0].sequences[0].actions[0], too",
    ]


def test_a_nil_key_is_none():
    assert submitted(plan(block(sequence("do", "do", key=NIL)), block(sequence("do", key=KEY))))


def test_a_plan_that_is_refused_is_named():
    with pytest.raises(PlanRefusedError, match="the plan 'plan' is refused: blocks has to be"):
        submitted(plan())


def test_only_what_is_fresh_is_started_and_only_by_plugins_that_are_there():
    fresh = submitted(plan(block(sequence("do")), pre_checks=checks("look")))
    started = attrs.evolve(
        fresh,
        reason=Reason.BLOCK,
        pre_checks=attrs.evolve(fresh.pre_checks, state=State(start=NOW)),
    )
    assert complaints_of_start(fresh, REGISTRY) == []
    assert complaints_of_start(started, Registry(Does("look", is_check=True))) == [
        "plan has run before: submit a clone of the plan",
        "pre_checks has run before: submit a clone of the plan",
        "blocks[0].sequences[0].actions[0] calls the plugin 'do', which is not registered: look are",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"state": State(status=Status.COMPLETED)},
        {"state": State(end=NOW)},
        {"state": State(until=NOW)},
        {"attempts": (Attempt(start=NOW),)},
    ],
)
def test_an_action_that_has_run_is_not_fresh(change):
    assert len(complaints_of_start(one(**change), REGISTRY)) == 1
