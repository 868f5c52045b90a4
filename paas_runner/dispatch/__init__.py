"""From the coordinator's job to the removed host: one acquisition loop per runner, one loop per job."""

from paas_runner.dispatch.dispatcher import Dispatcher
from paas_runner.dispatch.served import ActiveRunner

__all__ = ["ActiveRunner", "Dispatcher"]
