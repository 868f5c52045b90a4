"""Documents of no particular plan, for tests of what keeps them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
from paas_plans.ids import fresh_id
from paas_plans.plan import Status
from paas_plans.stores.protocol import Changes, Document, Summary

MORNING = datetime(2026, 7, 1, 8, 0, 0, 123456, UTC)


def summary(minute: float = 0, **fields: Any) -> Summary:
    """Of a plan submitted that many minutes after eight."""
    submitted = MORNING + timedelta(minutes=minute)
    given = {"id": fresh_id(), "name": "Deploy", "description": "Brings it", "submitted": submitted}
    return Summary(**(given | {"updated": submitted} | fields))


def document(minute: float = 0, states: dict[UUID, str] | None = None, **fields: Any) -> Document:
    return Document(summary=summary(minute, **fields), definition='{"of": "it"}', states=states or {})


def running(of: Document, states: dict[UUID, str], **fields: Any) -> Changes:
    """The plan runs, and objects of it have these states."""
    fields = {"status": Status.RUNNING, "updated": of.summary.updated + timedelta(seconds=1)} | fields
    return Changes(summary=attrs.evolve(of.summary, **fields), states=states)
