"""Why a runner asks for no jobs: decided once, for the report and for the metrics. Pure."""

import enum
from datetime import datetime

import attrs

from paas_runner.dispatch.view import DispatchView
from paas_runner.job.capacity import Bound


class OtherReason(enum.StrEnum):
    """What keeps a runner from asking beside the operator's and the cloud's bounds."""

    ENDING = "ending"
    ELSEWHERE = "elsewhere"
    RECORDS = "records"
    BACKING_OFF = "backing off"


@attrs.frozen
class Standstill:
    """One reason, the first that holds."""

    reason: Bound | OtherReason
    why: str
    until: datetime | None = None
    """When it asks again, where that is known."""


def standstill(view: DispatchView, key: str) -> Standstill | None:
    """What keeps the runner from asking; None of one that asks. Requests in flight take no room here."""
    if view.stopping or view.draining:
        return Standstill(OtherReason.ENDING, "the service takes no more jobs")
    if key in view.elsewhere:
        return Standstill(OtherReason.ELSEWHERE, "it is not this process that has it")
    if key in view.leaving:
        return Standstill(OtherReason.ENDING, "no longer in the configuration: its jobs run to their end")
    obstacle = view.load.without_requests.obstacle(key)
    if obstacle and obstacle.bound is Bound.PAUSED:
        return Standstill(obstacle.bound, obstacle.text)
    if waiting := [job.job_id for job in view.refused if job.runner == key]:
        why = f"asks for no job before the record of job {min(waiting)} can be written"
        return Standstill(OtherReason.RECORDS, why)
    if backoff := view.backoffs.get(key):
        return Standstill(OtherReason.BACKING_OFF, backoff.why, backoff.until)
    return Standstill(obstacle.bound, obstacle.text) if obstacle else None
