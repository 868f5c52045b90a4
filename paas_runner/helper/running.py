"""One job's inner runner as a child of the service, with files and an environment of its own."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import attrs

from paas_runner.docker.labels import OBJECT_LABELS_VARIABLE, format_labels, parse_labels
from paas_runner.helper import attached
from paas_runner.helper.order import Order
from paas_runner.helper.protocol import LEASE_VARIABLE, START_UNTIL_VARIABLE, TOKEN_VARIABLE
from paas_runner.helper.slot import LOST

_OURS = frozenset({TOKEN_VARIABLE, LEASE_VARIABLE, START_UNTIL_VARIABLE})


@attrs.frozen(kw_only=True)
class Patience:
    """How long each way to end a job is waited for, in seconds."""

    in_good_order: float = 40.0  # SIGTERM: scripts have 2 s, the report to the coordinator has 20
    at_once: float = 5.0  # a second SIGTERM
    killed: float = 5.0


class InnerRunnerChild:
    """The process, which leads a group of its own."""

    def __init__(self, process: asyncio.subprocess.Process, patience: Patience) -> None:
        self._process = process
        self._patience = patience

    async def wait(self) -> int:
        """Its exit code, as a shell counts."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def end(self) -> int:
        """The same; one that not even the kernel can end counts as killed."""
        for number, seconds in (
            (signal.SIGTERM, self._patience.in_good_order),
            (signal.SIGTERM, self._patience.at_once),
            (signal.SIGKILL, self._patience.killed),
        ):
            self._signal(number)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self.wait(), seconds)
        return LOST

    @property
    def ended_well(self) -> bool:
        """Whether it has ended by itself."""
        code = self._process.returncode
        return code is not None and 0 <= code < 128

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL and self._process.returncode is None:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)


@contextlib.asynccontextmanager
async def begun(
    ordered: Order,
    workspace: Path,
    labels: Mapping[str, str],
    environ: Mapping[str, str],
    patience: Patience,
) -> AsyncIterator[InnerRunnerChild]:
    """The inner runner of this job; it is killed when the context is left. Raises OSError.

    The folder `workspace` is made, with the job's two files and a place for the inner runner's own; all that
    it makes on an engine has the `labels`, beside those that this host's owner wants.
    """
    config, job = _written(ordered, workspace)
    process = await asyncio.create_subprocess_exec(
        *attached.command(os.getpid(), "exec-fetched-job", "--config", str(config), str(job)),
        env=_environment(environ, labels, workspace),
        cwd=workspace,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    child = InnerRunnerChild(process, patience)
    try:
        yield child
    finally:
        child.kill()


def _written(ordered: Order, workspace: Path) -> tuple[Path, Path]:
    """`runner.toml` and `job.json` for nobody else; raises OSError, also where another job's folder is."""
    workspace.mkdir(mode=0o700)
    (workspace / "tmp").mkdir(mode=0o700)
    texts = {"runner.toml": ordered.config, "job.json": ordered.specification}
    for name, text in texts.items():
        with os.fdopen(os.open(workspace / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode())
    return workspace / "runner.toml", workspace / "job.json"


def _environment(environ: Mapping[str, str], labels: Mapping[str, str], workspace: Path) -> dict[str, str]:
    """That of the service, without what is the service's alone."""
    wanted = {**parse_labels(environ.get(OBJECT_LABELS_VARIABLE, "")), **labels}
    return {
        **{name: value for name, value in environ.items() if name not in _OURS},
        OBJECT_LABELS_VARIABLE: format_labels(wanted),
        "TMPDIR": str(workspace / "tmp"),
    }
