"""What may have become of a launched host, and how each case is explained. Pure.

A job is ended on the strength of a verdict. So only what the cloud says in so many words is one; whatever is
unknown, contradictory or still going on is none. For a host whose job is given up in any case, the likeliest
explanation is good enough. Each has a cause, and who can do what about it; the host's own log may show a more
exact one (spec `clever-cloud-api.md` §2.6, §4.6, §5.3).
"""

import enum
import re
from collections.abc import Mapping, Sequence

import attrs

from executors.clever.deployments import Sighting
from paas_runner.job.failure import RETRY


class Case(enum.Enum):
    """How a host may have ended, or where it stands still."""

    REMOVED = enum.auto()
    MODERATED = enum.auto()
    UNPAID = enum.auto()
    FAILED = enum.auto()
    NEVER_UP = enum.auto()  # failed without a word in its log
    CANCELED = enum.auto()  # or stopped by hand
    LOST = enum.auto()  # missed by the platform's own monitoring
    STOPPED = enum.auto()  # its machine is gone after a success
    ABSENT = enum.auto()  # pushed, and nothing came of it
    NO_ROOM = enum.auto()  # no machine, or none that gets beyond booting
    STARTING = enum.auto()
    DEPLOYING = enum.auto()
    RUNNING = enum.auto()
    UNKNOWN = enum.auto()

    @property
    def has_log(self) -> bool:
        """Whether its deployment came far enough to write one."""
        return self not in _WITHOUT_LOG


_WITHOUT_LOG = frozenset({Case.REMOVED, Case.MODERATED, Case.UNPAID, Case.ABSENT, Case.NO_ROOM})
BLOCKED: Mapping[str, Case] = {"MODERATED": Case.MODERATED, "DEFAULT_OF_PAYMENT": Case.UNPAID}
_MACHINES: Mapping[str, Case] = {
    "BOOTING": Case.NO_ROOM,
    "STARTING": Case.STARTING,
    "DEPLOYING": Case.DEPLOYING,
    "BUILDING": Case.DEPLOYING,
    "READY": Case.RUNNING,
    "UP": Case.RUNNING,
    "TASK_IN_PROGRESS": Case.RUNNING,
    "MIGRATION_IN_PROGRESS": Case.RUNNING,
}


def verdict(seen: Sighting) -> Case | None:
    """Why the job cannot go on, None as long as it may."""
    if seen.removed:
        return Case.REMOVED
    launch = seen.launch
    if launch is None:
        return BLOCKED.get(seen.state)
    if launch.state == "FAIL":
        return Case.LOST if seen.later and seen.later.monitored else Case.FAILED
    if launch.state == "CANCELLED":
        return Case.CANCELED
    if not seen.open or seen.machines is None or seen.alive:
        return None
    if seen.later:
        return Case.LOST if seen.later.monitored else Case.CANCELED
    return Case.STOPPED


def standstill(seen: Sighting) -> Case:
    """Why a job may have written nothing for too long; a verdict, if there is one by now."""
    if ended := verdict(seen):
        return ended
    if seen.state in BLOCKED:
        return BLOCKED[seen.state]
    launch = seen.launch
    if launch is None:
        return Case.ABSENT
    if launch.state == "TASK_RUNNING":
        return Case.RUNNING
    if seen.machines is None:
        return Case.UNKNOWN
    if not seen.alive:
        return Case.NO_ROOM
    return _MACHINES.get(seen.alive[0].state, Case.UNKNOWN)


def in_the_light_of_its_log(case: Case, lines: Sequence[str] | None) -> Case:
    """The case again, knowing the host's log; None is a log that cannot be read."""
    silent = lines is not None and not lines
    return Case.NEVER_UP if case is Case.FAILED and silent else case


@attrs.frozen(kw_only=True)
class Diagnosis:
    """`happened` continues "The host of this job …"; `{place}` in a cause is where the host was to run."""

    happened: str = "did not start"
    cause: str
    advice: str


DIAGNOSES: Mapping[Case, Diagnosis] = {
    Case.REMOVED: Diagnosis(
        happened="was removed by someone else",
        cause="a person, or another program, deleted the application in its organisation",
        advice=RETRY,
    ),
    Case.MODERATED: Diagnosis(
        cause="Clever Cloud has blocked the application",
        advice="ask the operators of this runner: only they can settle it with Clever Cloud",
    ),
    Case.UNPAID: Diagnosis(
        cause="Clever Cloud waits for a payment of the organisation",
        advice="ask the operators of this runner: the organisation's payments are for them to settle",
    ),
    Case.FAILED: Diagnosis(
        happened="failed",
        cause="its image could not be built, or the inner runner on it ended with an error",
        advice=f"{RETRY}, who find its whole log at Clever Cloud",
    ),
    Case.NEVER_UP: Diagnosis(
        happened="failed",
        cause="its machine never came up",
        advice="retry the job; operators can list other zones (cc_zones)",
    ),
    Case.CANCELED: Diagnosis(
        happened="was stopped",
        cause="a person canceled its deployment, or stopped the application, at Clever Cloud",
        advice=RETRY,
    ),
    Case.LOST: Diagnosis(
        happened="was lost",
        cause="Clever Cloud no longer reached its machine: it broke down, or ran out of memory or disk",
        advice="retry the job; if that happens again, choose a larger flavor (CI_CLEVER_CLOUD_FLAVOR)",
    ),
    Case.STOPPED: Diagnosis(
        happened="stopped before the job had ended",
        cause="the inner runner on it ended without a word to the coordinator",
        advice=f"{RETRY}: can the coordinator be reached from the zone?",
    ),
    Case.ABSENT: Diagnosis(
        cause="no credit or no means of payment in the organisation, or an incident at Clever Cloud",
        advice="ask the operators of this runner, who can see both",
    ),
    Case.NO_ROOM: Diagnosis(
        cause="no room for {place}, or an incident at Clever Cloud",
        advice="retry the job later, or choose another flavor (CI_CLEVER_CLOUD_FLAVOR); "
        "operators can list other zones (cc_zones) and flavors (cc_flavor_fallback)",
    ),
    Case.STARTING: Diagnosis(
        cause="the machine is up, but what Clever Cloud runs on it does not start",
        advice="retry the job; operators can list other zones (cc_zones)",
    ),
    Case.DEPLOYING: Diagnosis(
        cause="the image of the inner runner takes long to be fetched or built",
        advice="retry the job; operators can name a nearer image (heptapod_runner_main_image) "
        "or wait longer (timeout_seconds of paas_job_trace_watch)",
    ),
    Case.RUNNING: Diagnosis(
        cause="the host runs, but its inner runner does not reach the coordinator, or is none",
        advice="ask the operators of this runner: can the coordinator be reached from the zone, "
        "is heptapod_runner_main_image right?",
    ),
    Case.UNKNOWN: Diagnosis(
        cause="not known to this runner",
        advice=RETRY,
    ),
}


@attrs.frozen(kw_only=True)
class _Clue:
    """Words in a host's log that show more than the state of its deployment."""

    pattern: re.Pattern[str]
    cause: str
    advice: str


def _clue(pattern: str, *, cause: str, advice: str) -> _Clue:
    return _Clue(pattern=re.compile(pattern, re.IGNORECASE), cause=cause, advice=advice)


_CLUES = (
    _clue(
        r"toomanyrequests|pull rate limit",
        cause="the image registry limits downloads",
        advice="retry the job later; operators can log in to the registry "
        "(CC_DOCKER_LOGIN_… in cc_extra_env) or name a mirror (heptapod_runner_main_image)",
    ),
    _clue(
        r"manifest unknown|pull access denied|failed to resolve source metadata|base image does not exist",
        cause="the image of the inner runner cannot be fetched from its registry",
        advice="ask the operators of this runner: is heptapod_runner_main_image right, "
        "does the registry need a login (CC_DOCKER_LOGIN_… in cc_extra_env)?",
    ),
    _clue(
        r"no space left on device",
        cause="the machine's disk is full",
        advice="choose a larger flavor (CI_CLEVER_CLOUD_FLAVOR)",
    ),
    _clue(
        r"^build succeeded in",
        cause="its image was built, but then the inner runner on it ended with an error, or its machine died",
        advice=RETRY,
    ),
    _clue(
        r"nothing listening on|health check failed",
        cause="Clever Cloud took the host for a web application, which it has to reach, instead of a task",
        advice="ask the operators of this runner: are cc_extra_env and cc_instance_variant_uuid right?",
    ),
)
_NOT_REACHED = _clue(
    r"nothing listening on|health check failed",
    cause="the helper service on it did not answer on port 8080: it is another program, or it ended at once",
    advice="ask the operators of this runner: is heptapod_paas_runner_helper_image right?",
)
_READ_FOR_CLUES = frozenset({Case.FAILED, Case.DEPLOYING})


def diagnosis(case: Case, lines: Sequence[str] | None, *, stays: bool = False) -> Diagnosis:
    """Of the case, more exactly where the log gives the cause away; in the words of a host that `stays`."""
    usual = DIAGNOSES[case]
    if case in _READ_FOR_CLUES:
        for line in reversed(lines or ()):
            for clue in (_NOT_REACHED, *_CLUES) if stays else _CLUES:
                if clue.pattern.search(line):
                    usual = attrs.evolve(usual, cause=clue.cause, advice=clue.advice)
                    return _of_a_helper(usual) if stays else usual
    return _of_a_helper(usual) if stays else usual


def _of_a_helper(told: Diagnosis) -> Diagnosis:
    """What a host that stays was made of is another image, and another program."""
    words = {
        "heptapod_runner_main_image": "heptapod_paas_runner_helper_image",
        "inner runner": "helper service",
    }
    cause, advice = told.cause, told.advice
    for word, instead in words.items():
        cause, advice = cause.replace(word, instead), advice.replace(word, instead)
    return attrs.evolve(told, cause=cause, advice=advice)
