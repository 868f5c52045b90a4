"""What is said of each case: what happened, the likely cause, and who can do what (spec §4.6, §5.3)."""

import re
from collections.abc import Mapping, Sequence

import attrs

from executors.clever.cases import Case
from paas_runner.job.failure import RETRY


@attrs.frozen(kw_only=True)
class Words:
    """`happened` continues "The host of this job …"; `{place}` in a cause is where the host was to run."""

    happened: str = "did not start"
    cause: str
    advice: str


WORDS: Mapping[Case, Words] = {
    Case.REMOVED: Words(
        happened="was removed by somebody else",
        cause="somebody, or another program, deleted the application in its organisation",
        advice=RETRY,
    ),
    Case.MODERATED: Words(
        cause="Clever Cloud has blocked the application",
        advice="ask the operators of this runner: only they can settle it with Clever Cloud",
    ),
    Case.UNPAID: Words(
        cause="Clever Cloud waits for a payment of the organisation",
        advice="ask the operators of this runner: the organisation's payments are for them to settle",
    ),
    Case.FAILED: Words(
        happened="failed",
        cause="its image could not be built, or the inner runner on it ended with an error",
        advice=f"{RETRY}, who find its whole log at Clever Cloud",
    ),
    Case.NEVER_UP: Words(
        happened="failed",
        cause="its machine never came up",
        advice="retry the job; operators can list other zones (cc_zones)",
    ),
    Case.CANCELLED: Words(
        happened="was stopped",
        cause="somebody cancelled its deployment, or stopped the application, at Clever Cloud",
        advice=RETRY,
    ),
    Case.LOST: Words(
        happened="was lost",
        cause="Clever Cloud no longer reached its machine: it broke down, or ran out of memory or disk",
        advice="retry the job; if that happens again, choose a larger flavor (CI_CLEVER_CLOUD_FLAVOR)",
    ),
    Case.STOPPED: Words(
        happened="stopped before the job had ended",
        cause="the inner runner on it ended without a word to the coordinator",
        advice=f"{RETRY}: can the coordinator be reached from the zone?",
    ),
    Case.ABSENT: Words(
        cause="no credit or no means of payment in the organisation, or an incident at Clever Cloud",
        advice="ask the operators of this runner, who can see both",
    ),
    Case.NO_ROOM: Words(
        cause="no room for {place}, or an incident at Clever Cloud",
        advice="retry the job later, or choose another flavor (CI_CLEVER_CLOUD_FLAVOR); "
        "operators can list other zones (cc_zones) and flavors (cc_flavor_fallback)",
    ),
    Case.STARTING: Words(
        cause="the machine is up, but what Clever Cloud runs on it does not start",
        advice="retry the job; operators can list other zones (cc_zones)",
    ),
    Case.DEPLOYING: Words(
        cause="the image of the inner runner takes long to be fetched or built",
        advice="retry the job; operators can name a nearer image (heptapod_runner_main_image) "
        "or wait longer (timeout_seconds of paas_job_trace_watch)",
    ),
    Case.RUNNING: Words(
        cause="the host runs, but its inner runner does not reach the coordinator, or is none",
        advice="ask the operators of this runner: can the coordinator be reached from the zone, "
        "is heptapod_runner_main_image right?",
    ),
    Case.UNKNOWN: Words(
        cause="not to be told from here",
        advice=RETRY,
    ),
}


@attrs.frozen(kw_only=True)
class _Trace:
    """Words in a host's log that tell more than the state of its deployment."""

    pattern: re.Pattern[str]
    cause: str
    advice: str


def _trace(pattern: str, *, cause: str, advice: str) -> _Trace:
    return _Trace(pattern=re.compile(pattern, re.IGNORECASE), cause=cause, advice=advice)


_TRACES = (
    _trace(
        r"toomanyrequests|pull rate limit",
        cause="the image registry limits downloads",
        advice="retry the job later; operators can log in to the registry "
        "(CC_DOCKER_LOGIN_… in cc_extra_env) or name a mirror (heptapod_runner_main_image)",
    ),
    _trace(
        r"manifest unknown|pull access denied|failed to resolve source metadata|base image does not exist",
        cause="the image of the inner runner cannot be had from its registry",
        advice="ask the operators of this runner: is heptapod_runner_main_image right, "
        "does the registry need a login (CC_DOCKER_LOGIN_… in cc_extra_env)?",
    ),
    _trace(
        r"no space left on device",
        cause="the machine's disk is full",
        advice="choose a larger flavor (CI_CLEVER_CLOUD_FLAVOR)",
    ),
    _trace(
        r"^build succeeded in",
        cause="its image was built, but then the inner runner on it ended with an error, or its machine died",
        advice=RETRY,
    ),
    _trace(
        r"nothing listening on|health check failed",
        cause="Clever Cloud took the host for a web application, which it has to reach, instead of a task",
        advice="ask the operators of this runner: are cc_extra_env and cc_instance_variant_uuid right?",
    ),
)
_READ_FOR_TRACES = frozenset({Case.FAILED, Case.DEPLOYING})


def words(case: Case, lines: Sequence[str] | None) -> Words:
    """What is said of the case, more exactly where the host's log gives the cause away."""
    said = WORDS[case]
    if case in _READ_FOR_TRACES:
        for line in reversed(lines or ()):
            for trace in _TRACES:
                if trace.pattern.search(line):
                    return attrs.evolve(said, cause=trace.cause, advice=trace.advice)
    return said
