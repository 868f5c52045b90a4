"""Notices by HTTP: POST of a document, or of a text for a chat, signed where there is a secret.

Headers and signature are those of Standard Webhooks (`webhook-id`, `webhook-timestamp`,
`webhook-signature`): the HMAC-SHA256 of `id.timestamp.body`, in base64 after `v1,`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime

from paas_runner.config.notify import Receiver, signing_key
from paas_runner.http import Connect
from paas_runner.notify.address import Address
from paas_runner.notify.delivery import Parcel
from paas_runner.notify.document import slack_text
from paas_runner.secret import Secret


class Webhook:
    """One receiver's address."""

    def __init__(self, receiver: Receiver, url: Secret, connect: Connect) -> None:
        """As `Address`."""
        self._slack = receiver.format == "slack"
        self._key = signing_key(receiver.secret) if receiver.secret else None
        self._address = Address(
            receiver.name, url, connect, ca_file=receiver.tls_ca_file, within=receiver.timeout_seconds
        )

    async def deliver(self, parcel: Parcel) -> str:
        body = self._body(parcel.document)
        return await self._address.post(body, signature_headers(parcel.number, parcel.at, body, self._key))

    async def aclose(self) -> None:
        await self._address.aclose()

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
