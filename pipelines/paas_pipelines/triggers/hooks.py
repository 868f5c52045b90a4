"""Deliveries of other systems: whose they are, whether they are new, and what is answered.

Nothing is parsed before the signature has been compared, and nothing is answered before the event is on the
disk: whoever gets no answer sends it again, and is then told that it is a duplicate.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
import structlog

from paas_pipelines.access.people import mark_of_sender
from paas_pipelines.definitions.automation import FromCredential, TriggerType, Webhook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.codec import as_json
from paas_pipelines.store.journal import Journal
from paas_pipelines.triggers import signatures
from paas_pipelines.triggers.delivery import Delivery, is_json, read
from paas_pipelines.triggers.event import Event, Identity
from paas_pipelines.triggers.event_book import EventBook, TooManyWaitError
from paas_pipelines.triggers.judging import full_name
from paas_pipelines.triggers.signatures import Headers
from paas_pipelines.triggers.trust import sender_of
from paas_runner.loop.timing import Clock
from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError

log = structlog.stdlib.get_logger(__name__)

MOST_BODY_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 5
_MINUTE = 60.0


@attrs.frozen(kw_only=True)
class HookLimits:
    """What one hook may send."""

    body_bytes: int = MOST_BODY_BYTES
    depth: int = 64
    deliveries_a_minute: int = 60
    read_seconds: float = 10.0
    """So long may a body take."""


@attrs.frozen(kw_only=True)
class Answer:
    """What the sender is told."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = attrs.field(factory=dict)


class Secrets(Protocol):
    """Who has the values of credentials."""

    async def accepted(self, pipeline: str, ref: FromCredential) -> Sequence[Secret]:
        """The newest, and those before it that still count, for a pipeline that may use it.

        Raises any Exception that says what is wrong.
        """

    def used(self, pipeline: str, ref: FromCredential, purpose: str) -> None:
        """Have it noted, in the transaction of this moment."""


class NoSecrets:
    """Where no credentials are configured."""

    async def accepted(self, pipeline: str, ref: FromCredential) -> Sequence[Secret]:  # noqa: ARG002
        raise LookupError(f'no credentials are configured, so there is no "{ref.name}"')

    def used(self, pipeline: str, ref: FromCredential, purpose: str) -> None:
        """None was ever given."""


@attrs.frozen(kw_only=True)
class Listener:
    """A trigger at a path."""

    pipeline: str
    trigger: str
    """Its full name."""

    webhook: Webhook


class Hooks:
    """All paths of a server."""

    def __init__(
        self,
        engine: Engine,
        book: EventBook,
        journal: Journal,
        *,
        clock: Clock,
        secrets: Secrets,
        limits: HookLimits,
    ) -> None:
        self.limits = limits
        self.secrets = secrets
        self._engine = engine
        self._book = book
        self._journal = journal
        self._clock = clock
        self._recent: dict[str, deque[float]] = defaultdict(deque)

    def at(self, path: str) -> Sequence[Listener]:
        """The triggers of a path."""
        return [found for found in self._all() if found.webhook.path == path]

    def only_github_path(self) -> str:
        """That of the only hook of GitHub's; empty where there is none, or are several."""
        paths = {each.webhook.path for each in self._all() if each.webhook.provider == "github"}
        return paths.pop() if len(paths) == 1 else ""

    async def deliver(self, path: str, pairs: Iterable[tuple[str, str]], body: bytes) -> Answer:
        """Kept, a duplicate, or refused; whatever comes, nothing is raised for it."""
        triggers, headers = self.at(path), Headers(pairs)
        if not triggers:
            return _refused(404, "There is no such hook")
        if len(body) > self.limits.body_bytes:
            return _refused(413, f"Request body is larger than {self.limits.body_bytes} bytes")
        hook = triggers[0].webhook
        triggers, accepted = await self._trusting(path, triggers)
        if not triggers:
            return _unavailable("The secret of this hook cannot be read")
        if not signatures.is_genuine(hook.provider, accepted, headers, body, self._clock()):
            log.warning(
                "hook_refused",
                hook=path,
                reason=signatures.why_not(hook.provider, accepted, headers, self._clock()),
            )
            return _refused(401, "Invalid signature")
        if not is_json(headers):
            return _refused(415, "The content type must be application/json")
        signed = signatures.is_signed_id(hook.provider, accepted)
        try:
            delivery = read(
                path, hook.provider, headers, body, most_depth=self.limits.depth, signed_id=signed
            )
        except ValueError as error:
            return _refused(400, f"Error decoding JSON: {error}")
        if not self._may_come(path):
            return _refused(429, "Too many deliveries", {"Retry-After": str(int(_MINUTE))})
        sender = ""
        if signatures.is_signed_body(hook.provider, accepted) and (
            name := sender_of(hook.provider, delivery.payload)
        ):
            sender = mark_of_sender(hook.secret.name, name)
        return await self._kept(delivery, triggers, sender)

    async def _trusting(
        self, path: str, triggers: Sequence[Listener]
    ) -> tuple[Sequence[Listener], Sequence[Secret]]:
        """Those of a path whose pipelines may use its secret, which is the same for all, and its values."""
        found: list[Listener] = []
        accepted: Sequence[Secret] = ()
        for each in triggers:
            try:
                accepted = await self.secrets.accepted(each.pipeline, each.webhook.secret)
            except Exception as error:  # noqa: BLE001 - whatever a source of secrets raises; its text has none
                log.error("hook_secret_missing", hook=path, reason=str(error) or type(error).__name__)
            else:
                found.append(each)
        return found, accepted

    async def _kept(self, delivery: Delivery, triggers: Sequence[Listener], sender: str) -> Answer:
        """A new event, unless all triggers of the path have had it."""
        if self._journal.trouble:
            return _unavailable("Deliveries cannot be stored")
        keys = {each.trigger: delivery.keys_for(each.trigger, each.webhook) for each in triggers}
        try:
            seen = await self._book.seen(key for name in keys for key in keys[name])
        except StoreError:
            return _unavailable("Deliveries cannot be stored")
        events = {name: [seen[key] for key in keys[name] if key in seen] for name in keys}
        spent = {name: found[0] for name, found in events.items() if found}
        if spent.keys() == keys.keys():
            return await self._answered(200, {"event": next(iter(spent.values())), "duplicate": True})
        event = Event(
            event_id=self._book.next_id(),
            identity=Identity(trigger=delivery.path, type=TriggerType.WEBHOOK),
            created=self._clock(),
            meta=delivery.meta,
            sender=sender,
            spent=tuple(spent),
            barred=tuple(each.trigger for each in self.at(delivery.path) if each.trigger not in keys),
        )
        new = {key for name in keys if name not in spent for key in keys[name]}
        try:
            self._book.add(event, as_json(delivery.payload), sorted(new))
        except TooManyWaitError:
            return _unavailable("Too many deliveries wait")
        for each in triggers:
            if each.trigger not in spent:
                self.secrets.used(each.pipeline, each.webhook.secret, f"trigger {each.trigger}")
        log.info("event_received", trigger_event=event.event_id, trigger=delivery.path)
        return await self._answered(202, {"event": event.event_id})

    async def _answered(self, status: int, body: Mapping[str, Any]) -> Answer:
        """Once the disk has what is told; the event of a duplicate perhaps has not been there yet."""
        try:
            await self._journal.flushed()
        except StoreError:
            return _unavailable("Deliveries cannot be stored")
        return Answer(status=status, body=body)

    def _may_come(self, path: str) -> bool:
        """Whether it is one of the first of the last minute; what has no signature does not count."""
        now, recent = asyncio.get_running_loop().time(), self._recent[path]
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= self.limits.deliveries_a_minute:
            return False
        recent.append(now)
        return True

    def _all(self) -> Iterator[Listener]:
        for definition in self._engine.definitions.values():
            for trigger in definition.triggers.values():
                if trigger.webhook is not None:
                    name = full_name(definition.name, trigger.name)
                    yield Listener(pipeline=definition.name, trigger=name, webhook=trigger.webhook)


def _refused(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, body={"error": text}, headers=headers or {})


def _unavailable(text: str) -> Answer:
    return _refused(503, text, {"Retry-After": str(RETRY_AFTER_SECONDS)})
