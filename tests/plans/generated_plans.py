"""Random plans for hypothesis: all kinds of checks and batches, on both levels, in every combination."""

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
from hypothesis import strategies as st
from paas_plans.plan import (
    UNLIMITED,
    Action,
    ActionError,
    Attempt,
    Block,
    CheckKind,
    Checks,
    DeferredActions,
    DeferredBatch,
    Plan,
    Reason,
    Sequence,
    State,
    Status,
    When,
)
from paas_plans.walk import replaced, walk

WORK = ("tests.does", "tests.does_other")
CHECKS = ("tests.looks",)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
"""Requests and responses of JSON's own types."""


def numbered_id(number: int) -> UUID:
    """A UUID of version 7, the same for the same number."""
    return UUID(int=(0x19000000000 + number) << 80 | 0x7 << 76 | 0x2 << 62 | number)


_TIMES = st.integers(0, 10**12).map(
    lambda microseconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


def _seconds(*choices: float) -> st.SearchStrategy[timedelta]:
    return st.sampled_from([timedelta(seconds=choice) for choice in choices])


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    work: Iterable[str] = WORK,
    checks: Iterable[str] = CHECKS,
    requests: Mapping[str, st.SearchStrategy[Any]] | None = None,
    most: int = 3,
    delays: bool = True,
) -> Plan:
    """Valid plans, not submitted, of at most `most` blocks of that many sequences of that many actions.

    `work` and `checks` name the plugins, `requests` what to ask them for (None). The names of all objects
    of a plan differ. Without `delays` there are none, but for those between runs of continuous checks.
    """
    numbers = itertools.count(1)
    asked = requests or {}
    sizes, delay = st.integers(1, most), _seconds(0, 0, 1, 90) if delays else st.just(timedelta(0))

    def named(kind: str) -> dict[str, Any]:
        number = next(numbers)
        return {"name": f"{kind} {number}", "description": f"the {kind} of number {number}", **keyed()}

    def keyed() -> dict[str, Any]:
        return {"key": numbered_id(next(numbers)) if draw(st.booleans()) else None}

    def actions(plugins: Iterable[str]) -> tuple[Action, ...]:
        return tuple(action(draw(st.sampled_from(list(plugins)))) for _ in range(draw(sizes)))

    def action(plugin: str) -> Action:
        return Action(
            plugin=plugin,
            request=draw(asked.get(plugin, st.none())),
            timeout=draw(_seconds(5, 30, 600)),
            retries=draw(st.integers(0, 2)),
            **named("action"),
        )

    def all_checks() -> dict[str, Checks]:
        kinds = draw(st.sets(st.sampled_from(CheckKind)) | st.just(set(CheckKind)))
        return {
            kind.field: Checks(
                actions=actions(checks),
                delay=draw(st.none() | _seconds(0, 1, 45)) if kind is CheckKind.CONTINUOUS else None,
                **keyed(),
            )
            for kind in CheckKind
            if kind in kinds
        }

    def sequence() -> Sequence:
        return Sequence(actions=actions(work), **named("sequence"))

    def block() -> Block:
        return Block(
            sequences=tuple(sequence() for _ in range(draw(sizes))),
            entrance_delay=draw(delay),
            exit_delay=draw(delay),
            concurrency=draw(sizes),
            tolerated_failures=draw(st.sampled_from([0, 0, 1, 2, UNLIMITED])),
            **all_checks(),
            **named("block"),
        )

    def batch(when: When) -> DeferredBatch:
        return DeferredBatch(
            when=when, actions=actions(work), fail_plan=draw(st.booleans()), **named("batch")
        )

    def deferred_actions() -> DeferredActions | None:
        moments = draw(st.lists(st.sampled_from(When), max_size=3) | st.just(list(When)))
        return DeferredActions(batches=tuple(map(batch, moments)), **keyed()) if moments else None

    return Plan(
        name=f"plan {next(numbers)}",
        description="a generated plan",
        blocks=tuple(block() for _ in range(draw(sizes))),
        group_id=draw(st.none() | st.integers(0, 3).map(numbered_id)),
        meta=draw(st.binary(max_size=8)),
        deferred_actions=deferred_actions(),
        **all_checks(),
    )


_MAYBE = st.none() | _TIMES
_STATES = st.builds(State, status=st.sampled_from(Status), start=_MAYBE, end=_MAYBE, until=_MAYBE)


def attempts(responses: st.SearchStrategy[Any] = ANYTHING) -> st.SearchStrategy[Attempt]:
    """Attempts with any response, any error, and both or none of them."""
    text = st.text(max_size=20)
    error = st.builds(
        ActionError, message=text, code=st.integers(), permanent=st.booleans(), cause=st.none() | text
    )
    return st.builds(Attempt, start=_TIMES, end=_MAYBE, response=responses, error=st.none() | error)


_TRIED = st.lists(attempts(), max_size=2).map(tuple)


@st.composite
def written_plans(
    draw: st.DrawFn,
    unwritten: st.SearchStrategy[Plan] | None = None,
    *,
    responses: Mapping[str, st.SearchStrategy[Any]] | None = None,
) -> Plan:
    """Plans in which the engine has written anything that fits its fields, as it never would as a whole.

    `responses` has what plugins by name answer (anything).
    """
    tried = {
        plugin: st.lists(attempts(answers), max_size=2).map(tuple)
        for plugin, answers in (responses or {}).items()
    }
    plan = draw(plans(most=2) if unwritten is None else unwritten)
    for number, step in enumerate(list(walk(plan)), 1):
        changes: dict[str, Any] = {"id": numbered_id(10_000 + number), "state": draw(_STATES)}
        if isinstance(step.item, Action):
            changes["attempts"] = draw(tried.get(step.item.plugin, _TRIED))
        plan = replaced(plan, step.path, attrs.evolve(step.item, **changes))
    return attrs.evolve(
        plan,
        submitted=draw(_TIMES),
        reason=draw(st.sampled_from(Reason)),
        heartbeat=draw(_MAYBE),
        stop_requested=draw(_MAYBE),
    )
