"""Notices by HTTP: POST of a document, or of a text for a chat, signed where there is a secret.

Headers and signature are those of Standard Webhooks (`webhook-id`, `webhook-timestamp`,
`webhook-signature`): the HMAC-SHA256 of `id.timestamp.body`, in base64 after `v1,`. No redirect is followed:
whoever sends us elsewhere is not whom the operator meant.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from paas_runner.config.notify import Receiver, signing_key
from paas_runner.errors import RemoteError
from paas_runner.http import Connect, Tls, receiver_of
from paas_runner.logs import redactor
from paas_runner.notify.delivery import DeliveryError, Parcel
from paas_runner.notify.document import slack_text
from paas_runner.secret import Secret

_MOST_BYTES = 64 * 1024  # of an answer, which nobody reads


class Webhook:
    """One receiver's address."""

    def __init__(self, receiver: Receiver, url: Secret, connect: Connect) -> None:
        """Raises OSError for certificates that cannot be read, and `ProxyError`."""
        parts = urlsplit(url.reveal())
        self._path = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
        redactor.add([Secret(self._path), Secret(f"/{self._path}")])
        self._slack = receiver.format == "slack"
        self._key = signing_key(receiver.secret) if receiver.secret else None
        self._within = receiver.timeout_seconds.total_seconds()
        self._client = connect(
            f"{parts.scheme}://{parts.netloc}",
            service=receiver_of(f"notices {receiver.name}"),
            at_once=1,
            tls=Tls(ca_file=receiver.tls_ca_file),
        )

    async def deliver(self, parcel: Parcel) -> str:
        body = self._body(parcel.document)
        try:
            answer = await self._client.call(
                "POST",
                self._path,
                op="deliver a notice",
                headers={
                    "content-type": "application/json",
                    **signature_headers(parcel.number, parcel.at, body, self._key),
                },
                content=body,
                within=self._within,
                most_bytes=_MOST_BYTES,
                cut=True,
                redirects=False,
            )
        except RemoteError as error:
            text = f"answered {error.status}" if error.status else error.text
            raise DeliveryError(text, retry_after=error.retry_after) from error
        if 300 <= answer.status < 400:
            raise DeliveryError(f"answered {answer.status}: redirects are not followed")
        if answer.status >= 400:
            raise DeliveryError(f"answered {answer.status}")
        return f"answered {answer.status}"

    async def aclose(self) -> None:
        await self._client.aclose()

    def _body(self, document: str) -> bytes:
        if self._slack:
            return json.dumps({"text": slack_text(json.loads(document))}).encode()
        return document.encode(errors="backslashreplace")


def signature_headers(number: str, at: datetime, body: bytes, key: bytes | None) -> Mapping[str, str]:
    """What tells a receiver which notice it is, from when this try is, and, with a key, that it is ours."""
    timestamp = str(int(at.timestamp()))
    headers = {"webhook-id": number, "webhook-timestamp": timestamp}
    if key is None:
        return headers
    digest = hmac.new(key, f"{number}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {**headers, "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}
