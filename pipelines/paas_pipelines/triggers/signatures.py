"""Whether a delivery comes from whom it says: by its raw bytes, in constant time, before anything is parsed.

`github` is what Gitea and Forgejo send, too; `standard` is <https://www.standardwebhooks.com>. What a
provider signs is the only thing of a delivery that counts as said by it.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from paas_runner.secret import Secret

TOLERANCE = timedelta(minutes=5)
"""So far may the moment in a signature be from ours."""

WHSEC = "whsec_"
"""Before the base64 of a key of Standard Webhooks."""

_GITHUB_PREFIX = b"sha256="


class SecretFormError(ValueError):
    """A secret that cannot be one of its provider; the text does not quote it."""


class Headers:
    """Those of a delivery: names in any case, and how often each is there."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def only(self, name: str) -> str:
        """The value of one that is there exactly once; else empty."""
        values = self._values.get(name, [])
        return values[0] if len(values) == 1 else ""


def is_genuine(
    provider: str, secrets: Sequence[Secret], headers: Headers, body: bytes, now: datetime
) -> bool:
    """Whether one of the secrets proves it; raises `SecretFormError`, and `KeyError` for no known provider.

    Every secret is tried, so that the time does not tell which one it was.
    """
    prove = _PROVERS[provider]
    proven = [prove(secret.reveal(), headers, body, now) for secret in secrets if secret.reveal()]
    return any(proven)


def why_not(provider: str, secrets: Sequence[Secret], headers: Headers, now: datetime) -> str:
    """For the log, of a delivery that is not genuine: what an operator looks at first; it quotes nothing."""
    if not any(secret.reveal() for secret in secrets):
        return "the secret is empty"
    by_key = provider != "github" and is_signed_id(provider, secrets)
    wanted = _SIGNED if by_key else (_PROOFS[provider],)
    missing = [name for name in wanted if not headers.only(name)]
    if missing:
        return f"not there, or not once: {', '.join(missing)}"
    moment = headers.only("webhook-timestamp")
    if by_key and not (
        _is_moment(moment) and abs(now.timestamp() - int(moment)) <= TOLERANCE.total_seconds()
    ):
        return "webhook-timestamp is not within five minutes of this machine's clock"
    return f"{wanted[-1]} does not fit the secret"


def event_of(provider: str, headers: Headers) -> str:
    """What the provider calls it; empty where it says nothing, or not once."""
    return headers.only(_EVENTS[provider]) if provider in _EVENTS else ""


def delivery_of(provider: str, headers: Headers, *, signed: bool = False) -> str:
    """By what a repetition is known; empty where the provider does not say.

    GitLab's `X-Gitlab-Event-UUID` is shared by the hooks that cause one another. Its `webhook-id` has the
    same value as its `Idempotency-Key`, but is `signed`.
    """
    return headers.only("webhook-id" if signed else _DELIVERIES[provider])


def is_signed_id(provider: str, secrets: Iterable[Secret]) -> bool:
    """Whether the id of a delivery is part of what is signed."""
    by_key = any(secret.reveal().startswith(WHSEC) for secret in secrets)
    return provider == "standard" or (provider == "gitlab" and by_key)


def is_signed_body(provider: str, secrets: Sequence[Secret]) -> bool:
    """Whether whichever of these secrets has proven it, what the delivery says is signed."""
    by_key = all(secret.reveal().startswith(WHSEC) for secret in secrets if secret.reveal())
    return provider in ("github", "standard") or (provider == "gitlab" and by_key)


def standard_key(secret: str) -> bytes:
    """The key in the text of a secret of Standard Webhooks; raises `SecretFormError`."""
    try:
        return base64.b64decode(secret.removeprefix(WHSEC), validate=True)
    except (binascii.Error, ValueError):
        raise SecretFormError(f"the secret is no base64, with or without {WHSEC} before it") from None


def _github(secret: str, headers: Headers, body: bytes, _now: datetime) -> bool:
    given = headers.only("x-hub-signature-256").encode(errors="replace")
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(given, _GITHUB_PREFIX + digest)


def _gitlab(secret: str, headers: Headers, body: bytes, now: datetime) -> bool:
    if secret.startswith(WHSEC):
        return _standard(secret, headers, body, now)
    return _same(headers.only("x-gitlab-token"), secret)


def _standard(secret: str, headers: Headers, body: bytes, now: datetime) -> bool:
    key = standard_key(secret)
    delivery, moment = headers.only("webhook-id"), headers.only("webhook-timestamp")
    if not delivery or not _is_moment(moment):
        return False
    if abs(now.timestamp() - int(moment)) > TOLERANCE.total_seconds():
        return False
    signed = b".".join((delivery.encode(errors="replace"), moment.encode(), body))
    wanted = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = headers.only("webhook-signature").encode(errors="replace").split(b" ")
    return any(hmac.compare_digest(each, wanted) for each in given)


def _is_moment(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 12


def _token(secret: str, headers: Headers, _body: bytes, _now: datetime) -> bool:
    scheme, _, token = headers.only("authorization").partition(" ")
    return _same(token.strip(), secret) and scheme.lower() == "bearer"


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


_PROVERS: Mapping[str, Callable[[str, Headers, bytes, datetime], bool]] = {
    "github": _github,
    "gitlab": _gitlab,
    "standard": _standard,
    "token": _token,
}
_PROOFS = {
    "github": "x-hub-signature-256",
    "gitlab": "x-gitlab-token",
    "standard": "webhook-signature",
    "token": "authorization",
}
_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")
PROVIDERS = tuple(_PROVERS)
_EVENTS = {"github": "x-github-event", "gitlab": "x-gitlab-event"}
_DELIVERIES = {
    "github": "x-github-delivery",
    "gitlab": "idempotency-key",
    "standard": "webhook-id",
    "token": "idempotency-key",
}
