"""An address that notices are posted to: the path of its URL is a secret, and nothing of an answer is read.

No redirect is followed: whoever sends us elsewhere is not whom the operator meant.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from paas_runner.errors import RemoteError
from paas_runner.http import Connect, Tls, receiver_of
from paas_runner.logs import redactor
from paas_runner.notify.delivery import DeliveryError
from paas_runner.secret import Secret

_MOST_BYTES = 64 * 1024  # of an answer


class Address:
    """One of them, for one document after the other."""

    def __init__(
        self, name: str, url: Secret, connect: Connect, *, ca_file: Path | None, within: timedelta
    ) -> None:
        """Raises OSError for certificates that cannot be read, and `ProxyError`."""
        parts = urlsplit(url.reveal())
        self._path = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
        if self._path:
            redactor.add([Secret(self._path), Secret(f"/{self._path}")])
        self._within = within.total_seconds()
        self._client = connect(
            f"{parts.scheme}://{parts.netloc}",
            service=receiver_of(f"notices {name}"),
            at_once=1,
            tls=Tls(ca_file=ca_file),
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> str:
        """What was answered, in words; raises `DeliveryError`."""
        try:
            answer = await self._client.call(
                "POST",
                self._path,
                op="deliver a notice",
                headers={"content-type": "application/json", **headers},
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
