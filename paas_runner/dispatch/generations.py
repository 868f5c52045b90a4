"""Which generation of each runner's settings is in service, and all others to their end.

A runner that is taken over again before all of its earlier tenure has ended has two with the same settings.
"""

from collections.abc import Callable, Iterator, Sequence

import structlog

from paas_runner.dispatch.loops import Loops
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner, Generation, ServedConfig
from paas_runner.executor.optional import follow

log = structlog.stdlib.get_logger(__name__)


class Generations:
    """Of all runners."""

    def __init__(self, loops: Loops, registry: Registry, *, config: Callable[[], ServedConfig]) -> None:
        """`config` tells what is served now."""
        self.present: dict[str, Generation] = {}
        """Those in service, by the runner's key."""

        self._loops = loops
        self._registry = registry
        self._config = config
        self._all: set[Generation] = set()

    def __iter__(self) -> Iterator[Generation]:
        """Those of which something goes on, too."""
        return iter(list(self._all))

    def begin(self, key: str, runner: ActiveRunner) -> Generation:
        """One that is in service from now on.

        What is left of the runner's former settings reaches its hosts with the present credentials.
        """
        generation = self._loops.generation(runner)
        for former in self._of(key):
            follow(former.runner.executor, runner.executor)
        self.present[key] = generation
        self._all.add(generation)
        return generation

    def retire(self, key: str) -> None:
        """Out of service: what has begun goes on."""
        generation = self.present[key]
        generation.retire()
        self.leave(key)
        self.close_later(generation)

    def leave(self, key: str) -> Sequence[Generation]:
        """None of the runner is in service any more; returns those of which something may go on."""
        self.present.pop(key, None)
        self._registry.accept(key)
        self._registry.dismiss(key)
        return self._of(key)

    def close_later(self, generation: Generation) -> None:
        """No connection of the runner's former setting is closed before its last job is gone.

        Nor at all as long as the setting is the present one: the runner may be taken over again.
        """
        end = self._close_when_finished(generation)
        try:
            self._loops.tasks.create_task(end, name=f"end of {generation.runner.name}")
        except RuntimeError:  # all loops are being cut off: whoever closes the others closes this one, too
            end.close()

    async def _close_when_finished(self, generation: Generation) -> None:
        await generation.finished()
        if generation not in self._all:  # a reload has retired it, and then its section was lost
            return
        self._all.remove(generation)
        runner = generation.runner
        present = self._config().runners.get(runner.key)
        if runner is not present and all(other.runner is not runner for other in self._all):
            await runner.aclose()
        if present is None:
            log.info("runner_removed", runner=runner.name)

    def _of(self, key: str) -> Sequence[Generation]:
        return [generation for generation in self._all if generation.runner.key == key]
