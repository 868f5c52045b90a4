"""Why a runner asks for no jobs: one reason, the first that holds, whoever wants to know."""

import attrs
import pytest

from paas_runner.dispatch.registry import Backoff
from paas_runner.dispatch.standstill import OtherReason, standstill
from paas_runner.job.capacity import Bound, Load
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import JobKey
from tests.support.records import NOW
from tests.support.views import dispatch_view

FULL = Limits(concurrent=0, provisioning=1)
FREE = Limits(concurrent=1, provisioning=1)
PAUSED = {"paused": frozenset({"r"})}
REFUSED = {"refused": {JobKey("r", 7): "no space left"}}
BACKING_OFF = {"backoffs": {"r": Backoff(why="answered 502", until=NOW)}}


def reason(limits=FREE, paused=frozenset(), **more):
    load = Load.of([], attrs.evolve(limits, paused=paused))
    found = standstill(dispatch_view(load=load, runners={"r": "name"}, **more), "r")
    return found and found.reason


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, None),
        ({"limits": FULL}, Bound.CONCURRENT),
        ({"limits": FULL, **BACKING_OFF}, OtherReason.BACKING_OFF),
        ({"limits": FULL, **BACKING_OFF, **REFUSED}, OtherReason.RECORDS),
        ({"limits": FULL, **BACKING_OFF, **REFUSED, **PAUSED}, Bound.PAUSED),
        ({**BACKING_OFF, **REFUSED, **PAUSED, "draining": True}, OtherReason.ENDING),
        ({**PAUSED, "leaving": {"r": "name"}}, OtherReason.ENDING),
        ({**PAUSED, "leaving": {"r": "name"}, "elsewhere": frozenset({"r"})}, OtherReason.ELSEWHERE),
    ],
)
def test_the_first_reason_that_holds_is_told(state, expected):
    assert reason(**state) == expected
