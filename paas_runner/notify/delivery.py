"""How a notice leaves the service: what every way has in common. The ways are `webhook` and `program`."""

from datetime import datetime
from typing import Protocol

import attrs

from paas_runner.config.notify import Receiver
from paas_runner.errors import RunnerError
from paas_runner.http import Connect


class DeliveryError(RunnerError):
    """A receiver did not take a notice; the text says why, and nothing of its address or command."""

    def __init__(self, text: str, *, retry_after: float | None = None) -> None:
        """`retry_after` (seconds) is the receiver's own wish."""
        super().__init__(text)
        self.retry_after = retry_after


@attrs.frozen(kw_only=True)
class Parcel:
    """One try of a delivery."""

    number: str
    """The id of the delivery, the same at every try: by it a receiver knows what it has already."""

    document: str
    at: datetime


class Courier(Protocol):
    """Takes parcels to one receiver."""

    async def deliver(self, parcel: Parcel) -> str:
        """What came back, in words; raises `DeliveryError`. It has a deadline of its own."""

    async def aclose(self) -> None:
        """Let go of connections."""


def courier_to(receiver: Receiver, connect: Connect) -> Courier:
    """Raises `DeliveryError` for certificates or a proxy that cannot be used."""
    from paas_runner.notify.program import Program
    from paas_runner.notify.webhook import Webhook

    if receiver.url is None:
        return Program(receiver.command, within=receiver.timeout_seconds.total_seconds())
    try:
        return Webhook(receiver, receiver.url, connect)
    except (OSError, RunnerError) as error:
        raise DeliveryError(f"cannot be asked: {error}") from error
