"""Two processes that share a store, alpha and beta, as either of them knows it at one fixed moment."""

import attrs

from paas_runner.job.lease import Allotment, Lease, Member, Mode, Tenancy
from paas_runner.status.sharing import Observed, sharing
from tests.support.records import NOW
from tests.support.watched_world import BUILD, NAMES

HOUR = 3600.0
STORE = "postgresql://paas-runner@db.internal/paas-runner"
ALPHA = Member(
    holder="a1",
    name="alpha",
    version="1.4.0",
    serves=frozenset(NAMES),
    allotment=Allotment(jobs=20, provisioning=10, weight=24.0),
    seconds_left=14.0,
    present_seconds=3 * HOUR,
)
BETA = Member(
    holder="b2",
    name="beta",
    version="1.5.0",
    serves=frozenset(NAMES),
    seconds_left=11.0,
    present_seconds=HOUR,
)


def leases(*holders):
    return {
        runner: Lease(
            runner=runner, holder=holder, epoch=4, seconds_left=14.0 if holder else 0.0, held_seconds=2 * HOUR
        )
        for runner, holder in zip(NAMES, holders, strict=True)
    }


ALL_ALPHAS = leases("a1", "a1")


def standby(holder="b2", *, leases=ALL_ALPHAS, members=(ALPHA, BETA), **more):
    known = {
        "now": NOW,
        "store": STORE,
        "holder": holder,
        "member": "beta" if holder == "b2" else "alpha",
        "mode": Mode.STANDBY,
        "tenancy": Tenancy(leases=leases, members={member.holder: member for member in members}),
        "answered_ago": 2.0,
        "stages": {},
        "allotment": Allotment(),
        "trouble": "",
        "silent_for": None,
        "suspended": False,
        "names": NAMES,
        "own_jobs": {},
        "jobs_elsewhere": {BUILD: 14},
        "counters": {"taken": 0, "lost": 0},
    }
    return sharing(Observed(**(known | more)))


def holding(**more):
    return standby("a1", stages=dict.fromkeys(NAMES, "served"), own_jobs={BUILD: 3}, **more)


def shared_by(runners):
    """As alpha knows it, which has all of these."""
    return standby(
        "a1",
        stages=dict.fromkeys(runners, "served"),
        names={runner: runner for runner in runners},
        leases={runner: attrs.evolve(ALL_ALPHAS[BUILD], runner=runner) for runner in runners},
        allotment=ALPHA.allotment,
    )
