"""The program that a host runs: one job, from `runner.toml` and `job.json`.

What stands here is imported when it is asked for: a server that needs the keeper of processes alone starts
without the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paas_runner.inner.runner import InnerRunner, OverdueError, UnreportedError
    from paas_runner.inner.settings import InnerRunnerError, Timings
    from paas_runner.inner.stop import Stops

__all__ = ["InnerRunner", "InnerRunnerError", "OverdueError", "Stops", "Timings", "UnreportedError"]

_MODULES = {
    "InnerRunner": "runner",
    "OverdueError": "runner",
    "UnreportedError": "runner",
    "InnerRunnerError": "settings",
    "Timings": "settings",
    "Stops": "stop",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"paas_runner.inner.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
