"""Pipelines with triggers, a feed, and whoever sends them something."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from paas_pipelines.definitions.automation import (
    FromCredential,
    PipelineSource,
    Schedule,
    Trigger,
    TriggerType,
    Webhook,
)
from paas_pipelines.definitions.definition import Definition, TaskDefinition

from paas_runner.secret import Secret

HOOK_SECRET = Secret("a secret of the hook")
PUSH = {"ref": "refs/heads/main", "deleted": False, "repository": {"id": 1}}


class KnownSecrets:
    """Credentials by name, the newest first."""

    def __init__(self, **known: Sequence[Secret]) -> None:
        self.known: dict[str, Sequence[Secret]] = {"hook": [HOOK_SECRET], **known}
        self.refused: set[str] = set()
        self.uses: list[tuple[str, str, str]] = []

    async def accepted(self, pipeline: str, ref: FromCredential) -> Sequence[Secret]:
        if pipeline in self.refused:
            raise PermissionError(f"pipeline/{pipeline} may not use credential={ref.name}")
        return self.known[ref.name]

    def used(self, pipeline: str, ref: FromCredential, purpose: str) -> None:
        self.uses.append((pipeline, ref.name, purpose))


def hook(name: str = "push", *, provider: str = "github", path: str = "ci/push", **more: Any) -> Trigger:
    """A webhook; what `Webhook` has not is the trigger's."""
    own = {key: more.pop(key) for key in ("events", "match", "dedupe", "drops_untrusted") if key in more}
    webhook = Webhook(provider=provider, secret=FromCredential(name="hook"), path=path, **own)
    return Trigger(name=name, type=TriggerType.WEBHOOK, webhook=webhook, **more)


def schedule(name: str = "often", **more: Any) -> Trigger:
    """A schedule, of every ten minutes where nothing else is said."""
    of_trigger = {key: more.pop(key) for key in ("enabled", "condition", "params_from") if key in more}
    if "cron" not in more:
        more.setdefault("every", timedelta(minutes=10))
    return Trigger(name=name, type=TriggerType.SCHEDULE, schedule=Schedule(**more), **of_trigger)


def after(
    *pipelines: str, name: str = "after", results: tuple[str, ...] = ("success",), **more: Any
) -> Trigger:
    """The end of others' runs."""
    source = PipelineSource(pipelines=pipelines, results=results)
    return Trigger(name=name, type=TriggerType.PIPELINE, source=source, **more)


def pipeline(name: str, *triggers: Trigger, **more: Any) -> Definition:
    """One with a task `first`."""
    more.setdefault("tasks", {"first": TaskDefinition(script=("true",))})
    return Definition(
        name=name, source="pipelines.yml", triggers={each.name: each for each in triggers}, **more
    )


def signed(
    body: bytes, *, event: str = "push", delivery: str = "1", secret: Secret = HOOK_SECRET
) -> Mapping[str, str]:
    """The headers of GitHub."""
    digest = hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={digest}",
    }


def pushed(**changes: Any) -> bytes:
    return json.dumps({**PUSH, **changes}).encode()
