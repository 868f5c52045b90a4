"""Plans with states, made by hand: of every kind of object, and of every status."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs
from paas_plans.plan import (
    Action,
    ActionError,
    Attempt,
    Block,
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
from paas_plans.walk import at as walk_at
from paas_plans.walk import replaced, walk

T0 = datetime(2026, 3, 14, 9, 26, 53, 589_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
COMPLETED, FAILED, RUNNING = Status.COMPLETED, Status.FAILED, Status.RUNNING


def at(seconds):
    return T0 + seconds * SECOND


def state(status=Status.NOT_STARTED, start=None, end=None, until=None):
    times = {"start": start, "end": end, "until": until}
    return State(status=status, **{name: None if time is None else at(time) for name, time in times.items()})


def tried(start, end, error=None, response=None):
    """An attempt, from second to second."""
    ended = None if end is None else at(end)
    return Attempt(start=at(start), end=ended, error=error, response=response)


def action(name, *attempts, status=None, **more):
    """What became of it follows from its attempts."""
    last = attempts[-1] if attempts else None
    if status is None and last is not None:
        status = RUNNING if last.end is None else FAILED if last.error else COMPLETED
    times = {"start": attempts[0].start, "end": None if status is RUNNING else last.end} if attempts else {}
    more = {"description": f"{name} there", "plugin": "fleet.plugins.ssh", **more}
    return Action(
        name=name, state=State(status=status or Status.NOT_STARTED, **times), attempts=attempts, **more
    )


def checks(name, start, end, **more):
    response = {"healthy": 12, "of": 12}
    done = action(
        name,
        tried(start, end, response=response),
        plugin="fleet.plugins.health",
        request={"url": "http://edge/health"},
    )
    return Checks(actions=(done,), state=state(COMPLETED, start, end), **more)


def not_yet(name, **more):
    return Checks(actions=(action(name, plugin="fleet.plugins.health"),), **more)


REFUSED = ActionError(
    message="connection refused by host-2:22", code=111, cause="ConnectionRefusedError(111)"
)
FULL = ActionError(message="no space left on device: /srv", permanent=True)


def host(number, start, *, name=None, becomes=COMPLETED):
    copied = action(
        "copy the release",
        tried(start, start + 1.2, REFUSED),
        tried(start + 3.2, start + 5, None, {"bytes": 18_322_144, "sha256": "9f86d081"}),
        request={"host": f"host-{number}", "files": ["edge.tar.zst", "edge.toml"]},
        retries=3,
    )
    attempts = {
        COMPLETED: [tried(start + 5, start + 7, response={"pid": 4711})],
        FAILED: [tried(start + 5, start + 9, FULL)],
        RUNNING: [tried(start + 5, None)],
    }[becomes]
    restarted = action("restart", *attempts, request={"unit": "edge.service"}, timeout=20 * SECOND)
    seen = (
        action("look at the log")
        if becomes is not COMPLETED
        else action("look at the log", tried(start + 7, start + 7.4))
    )
    end = {COMPLETED: start + 7.4, FAILED: start + 9, RUNNING: None}[becomes]
    return Sequence(
        name=name or f"host-{number}",
        description=f"Bring the release to host-{number}",
        actions=(copied, restarted, seen),
        state=state(becomes, start, end),
    )


def identified(plan, seed=0):
    """With an id for each object, the same each time."""
    chance, milliseconds = random.Random(seed), int(T0.timestamp() * 1000)
    for number, step in enumerate(list(walk(plan))):
        given = UUID(int=milliseconds + number << 80 | 0x7 << 76 | 0x2 << 62 | chance.getrandbits(62))
        plan = replaced(plan, step.path, attrs.evolve(walk_at(plan, step.path), id=given))
    return plan


def failed_plan():
    """A roll-out of which one host failed, and was cleaned up after."""
    return identified(
        Plan(
            name="Roll out edge 7.3",
            description="Release 7.3 of the edge to the fleet of Frankfurt, with a health gate",
            group_id=UUID("0195941f-0000-7000-8000-000000000001"),
            pre_checks=checks("the fleet is healthy", 0, 1.5),
            continuous_checks=checks("no alarm is ringing", 14, 14.5, delay=10 * SECOND),
            bypass_checks=Checks(
                actions=(action("7.3 is there already", tried(0, 0.4, ActionError(message="7.2 is there"))),),
                state=state(FAILED, 0, 0.4),
            ),
            post_checks=not_yet("the new version answers"),
            blocks=(
                Block(
                    name="Canary",
                    description="One host first",
                    sequences=(host(1, 4),),
                    entrance_delay=2 * SECOND,
                    exit_delay=3 * SECOND,
                    pre_checks=checks("the canary has no traffic", 3.5, 4),
                    state=state(COMPLETED, 3.5, 14.6),
                ),
                Block(
                    name="The rest",
                    description="Two at once; one may fail",
                    concurrency=2,
                    tolerated_failures=1,
                    sequences=(
                        host(2, 15),
                        host(3, 15, becomes=FAILED),
                        host(4, 22.4, becomes=FAILED),
                        Sequence(
                            name="host-5", description="Never begun", actions=(action("copy the release"),)
                        ),
                    ),
                    deferred_checks=checks("traffic is back", 32, 33),
                    state=state(FAILED, 14.7, 33),
                ),
            ),
            deferred_actions=DeferredActions(
                batches=(
                    DeferredBatch(
                        name="take it back",
                        description="Back to 7.2",
                        when=When.ON_FAILURE,
                        actions=(action("switch back", tried(33, 36)),),
                        state=state(COMPLETED, 33, 36),
                    ),
                    DeferredBatch(
                        name="tell the world",
                        description="Announce it",
                        when=When.ON_SUCCESS,
                        actions=(action("announce"),),
                    ),
                ),
                state=state(COMPLETED, 33, 36),
            ),
            deferred_checks=checks("nothing is left behind", 36, 36.5),
            submitted=at(-20),
            state=state(FAILED, 0, 36.6),
            reason=Reason.BLOCK,
        )
    )


def running_plan():
    """The same at its sixth second after half a minute: one host at work, one waiting for another attempt."""
    waiting = action("copy the release", tried(22, 25, REFUSED), status=RUNNING, retries=3)
    waiting = attrs.evolve(waiting, state=state(RUNNING, 22, until=40))
    rest = Block(
        name="The rest",
        description="Two at once",
        concurrency=2,
        sequences=(
            host(2, 15, becomes=RUNNING),
            Sequence(name="host-3", description="Slow", actions=(waiting,), state=state(RUNNING, 22)),
            Sequence(name="host-4", description="Not yet", actions=(action("copy the release"),)),
        ),
        state=state(RUNNING, 14.7),
    )
    failed = failed_plan()
    done = attrs.evolve(failed, blocks=(failed.blocks[0], rest), deferred_actions=None, deferred_checks=None)
    return identified(attrs.evolve(done, state=state(RUNNING, 0), reason=Reason.UNKNOWN), seed=1)


def large_plan(sequences=1000):
    one = [
        host(number, 3 * number, becomes=FAILED if number == 700 else COMPLETED)
        for number in range(sequences)
    ]
    block = Block(
        name="All",
        description="A thousand",
        concurrency=3,
        tolerated_failures=-1,
        sequences=tuple(one),
        state=state(COMPLETED, 0, 3 * sequences + 10),
    )
    plan = Plan(name="A thousand hosts", description="Many", blocks=(block,), submitted=T0)
    return attrs.evolve(plan, state=state(COMPLETED, 0, 3 * sequences + 10))
