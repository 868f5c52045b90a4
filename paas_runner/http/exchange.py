"""What is told of each call: to the clocks of `check`, to metrics, to traces. Nothing of what was sent."""

from collections.abc import Callable
from typing import TypeAlias

import attrs
import structlog

from paas_runner.http.response import Response

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class Exchange:
    """One attempt of a call, as it ended. It is told in the context of the call: its job is bound there."""

    service: str
    """As in messages: `coordinator https://…`, `Clever Cloud`."""

    op: str
    """What was wanted, in words; what stands in brackets differs from call to call."""

    method: str
    seconds: float
    """With redirects and the reading of the body, without the wait for a place among others in flight."""

    attempt: int
    """1 for the first of a call."""

    server: str = ""
    """The name or address of the host that was asked."""

    answer: Response | None
    """Whatever its status; None when there was none."""


OnExchange: TypeAlias = Callable[[Exchange], None]


class Exchanges:
    """Tells all who listen; false while nobody does, so that nothing is measured then."""

    def __init__(self) -> None:
        self._listeners: list[OnExchange] = []

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: OnExchange) -> None:
        """From now on; it must neither wait nor fail."""
        self._listeners.append(listener)

    def __call__(self, exchange: Exchange) -> None:
        for listener in self._listeners:
            try:
                listener(exchange)
            except Exception:
                # whoever watches must not cost a call its answer
                log.exception("observer_error")
