"""What the routes and the pages work with."""

from collections.abc import Callable
from datetime import datetime

import attrs

from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Served:
    """One server, as those see it who are asked from outside.

    Whoever changes something by the engine waits for `journal.flushed()` before answering.
    """

    engine: Engine
    journal: Journal
    logs: LogFiles
    secret: Secret
    """With which tokens are signed, at least 16 characters."""

    clock: Callable[[], datetime]
    profiling: bool = False
