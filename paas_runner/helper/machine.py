"""This machine as the helper service sees it: it runs one inner runner, and is cleaned after it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import attrs

from paas_runner.docker.engine import Client, Engine
from paas_runner.docker.labels import HELPER
from paas_runner.errors import RemoteError
from paas_runner.helper import cleaning
from paas_runner.helper.order import SHARED_BUILDS, Order
from paas_runner.helper.running import InnerRunnerChild, Patience, begun

_LOOK_SECONDS = 5.0


@attrs.define(kw_only=True)
class Machine:
    """What belongs to a job here is in `workspace`, has the label of the `instance`, or descends from us."""

    instance: str
    workspace: Path
    environ: Mapping[str, str] = attrs.field(repr=False)
    engine: Engine | None
    """None where jobs run on the host itself alone."""

    patience: Patience = attrs.field(factory=Patience)
    shared_builds: Path = Path(SHARED_BUILDS)
    """Emptied between jobs where it is a volume."""

    _ended_well: bool = attrs.field(init=False, default=False)
    """Whether the last inner runner has ended by itself, having waited for all it had asked of an engine."""

    async def trouble(self) -> str:
        """Why no job can run now."""
        if self.engine is None:
            return ""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self.engine.call("reach the Docker engine", Client.ping)
        except TimeoutError:
            return f"the {self.engine.address.service} does not answer"
        except RemoteError as error:
            return str(error)
        return ""

    @contextlib.asynccontextmanager
    async def running(self, ordered: Order) -> AsyncIterator[InnerRunnerChild]:
        """Begin the job; raises OSError."""
        self._ended_well = False
        async with begun(ordered, self.workspace, self._labels, self.environ, self.patience) as child:
            yield child
            self._ended_well = child.ended_well

    async def clean(self) -> str:
        """All of it, in the order in which one could make another."""
        left = [await cleaning.processes_ended()]
        if self.engine is not None:
            quiet = 0 if self._ended_well else cleaning.QUIET_SECONDS
            left.append(await cleaning.engine_cleaned(self.engine, self._labels, quiet_seconds=quiet))
        left.append(await cleaning.folder_removed(self.workspace))
        if self.shared_builds.is_mount():
            left.append(await cleaning.folder_emptied(self.shared_builds))
        return "; ".join(filter(None, left))

    @property
    def _labels(self) -> Mapping[str, str]:
        return {HELPER: self.instance}
