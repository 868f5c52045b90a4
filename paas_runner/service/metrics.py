"""The metrics of a running service: what they read, and what tells them what happens.

The room and its library are imported when somebody wants to see them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs

from paas_runner.config import Config
from paas_runner.dispatch.counters import Costs, Counters
from paas_runner.dispatch.view import DispatchView, Observer
from paas_runner.http import Exchanges
from paas_runner.logs import tally
from paas_runner.loop.timing import Clock
from paas_runner.service.assembly import requests_at_once
from paas_runner.status.reach import Reach
from paas_runner.status.sharing import SharingReport

if TYPE_CHECKING:
    from paas_runner.metrics import Metrics
    from paas_runner.metrics.present import Present


class Watched(Protocol):
    """Whose jobs are measured."""

    @property
    def view(self) -> DispatchView: ...

    def observe(self, observer: Observer) -> None: ...


@attrs.frozen(kw_only=True)
class MetricsSwitch:
    """All that there is to measure in one service."""

    dispatcher: Watched
    config: Callable[[], Config]
    exchanges: Exchanges
    counters: Counters
    costs: Costs
    clock: Clock
    system_id: str
    sharing: Callable[[], SharingReport | None] = lambda: None
    on_renewal: Callable[[Callable[[float, bool], None]], None] = lambda _: None
    """Makes something hear of each renewal of leases: how long it took, and whether it failed."""

    def begin(self, reach: Reach) -> "Metrics":
        """Count from now on; to be done once."""
        from paas_runner.metrics import Metrics

        metrics = Metrics(
            lambda: self._present(reach),
            system_id=self.system_id,
            name_of=self._name_of,
            exemplars=lambda: self.config().paas_metrics_exemplars,
        )
        self.dispatcher.observe(metrics.happenings)
        self.exchanges.add(metrics.happenings.called)
        self.on_renewal(metrics.renewed)
        metrics.start()
        return metrics

    def _present(self, reach: Reach) -> "Present":
        from paas_runner.metrics.present import Present

        config = self.config()
        return Present(
            now=self.clock(),
            view=self.dispatcher.view,
            concurrent=config.concurrent,
            limits={runner.short_token: runner.limit for runner in config.runners},
            requests_at_once={runner.short_token: requests_at_once(runner) for runner in config.runners},
            counters=self.counters.numbers,
            costs=self.costs.totals,
            reached=reach.services,
            log_lines=tally.numbers,
            sharing=self.sharing(),
        )

    def _name_of(self, key: str) -> str:
        return next((runner.title for runner in self.config().runners if runner.short_token == key), key)
