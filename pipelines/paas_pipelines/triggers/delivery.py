"""A genuine delivery as it was read, and the keys by which a repetition of it is known."""

import hashlib
from collections.abc import Sequence
from typing import Any

import attrs

from paas_pipelines.definitions.automation import Webhook
from paas_pipelines.store.codec import as_json
from paas_pipelines.store.keys import key_of
from paas_pipelines.triggers import signatures
from paas_pipelines.triggers.judging import RefusedError, dedupe_value
from paas_pipelines.triggers.signatures import Headers
from paas_pipelines.triggers.trust import may_be_repeated
from paas_runner import foreign_json

_MOST_META = 200


@attrs.frozen(kw_only=True)
class Delivery:
    """One of them."""

    path: str
    provider: str
    event: str
    """What the provider calls it."""

    delivery: str
    """Its id; empty where the provider gives none."""

    payload: Any
    body_digest: str

    @property
    def meta(self) -> dict[str, str]:
        """What is kept of it beside its payload."""
        facts = {"provider": self.provider, "event": self.event, "delivery": self.delivery}
        return {name: _bounded(fact) for name, fact in facts.items() if fact}

    def keys_for(self, trigger: str, hook: Webhook) -> Sequence[str]:
        """By any of which a repetition is known.

        By `dedupe`, where the trigger has one that can be computed, else by the delivery's id, else, from
        GitLab, by the body. GitHub signs the body alone, so that its id proves nothing: there the body counts
        in every case, but for what is sent again on purpose.
        """
        return [*self._keys(trigger, hook), *self._signed_body()]

    def _keys(self, trigger: str, hook: Webhook) -> Sequence[str]:
        if hook.dedupe is not None:
            try:
                value = dedupe_value(hook.dedupe, self.event, self.delivery, self.payload)
            except RefusedError:  # the outcome of the trigger tells
                pass
            else:
                return [key_of(self.path, "dedupe", trigger, as_json(value))]
        if self.delivery:
            return [key_of(self.path, "delivery", self.delivery)]
        return [self._body_key] if self.provider == "gitlab" else []

    def _signed_body(self) -> Sequence[str]:
        if self.provider != "github" or may_be_repeated(self.event, self.payload):
            return []
        return [self._body_key]

    @property
    def _body_key(self) -> str:
        return key_of(self.path, "body", self.body_digest)


def read(
    path: str, provider: str, headers: Headers, body: bytes, *, most_depth: int, signed_id: bool
) -> Delivery:
    """Of a body of JSON; raises ValueError, whose text quotes nothing of it."""
    payload = foreign_json.loads(body, most_nesting=most_depth)
    return Delivery(
        path=path,
        provider=provider,
        event=signatures.event_of(provider, headers),
        delivery=signatures.delivery_of(provider, headers, signed=signed_id),
        payload=payload,
        body_digest=hashlib.sha256(body).hexdigest(),
    )


def is_json(headers: Headers) -> bool:
    """Whether the body is announced as JSON."""
    kind = headers.only("content-type").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _bounded(fact: str) -> str:
    return fact.encode(errors="replace").decode()[:_MOST_META]
