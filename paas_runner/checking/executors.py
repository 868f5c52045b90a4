"""The executors: whether each can be built here, and what it finds out about itself."""

from collections.abc import Sequence

from paas_runner.assembly import Edges, built_executor
from paas_runner.check_result import CheckResult, fault, fine
from paas_runner.config import Runner
from paas_runner.errors import RunnerError
from paas_runner.executor import Examinable, Executor
from paas_runner.job.capacity import NOTHING_KNOWN, Sizes

SUBJECT = "executor"


def built(runner: Runner, edges: Edges, installation: str) -> tuple[Executor | None, CheckResult]:
    """The executor of a section, as the service would build it."""
    try:
        executor = built_executor(runner, edges, installation)
    except (RunnerError, OSError) as error:
        return None, fault(SUBJECT, f"{runner.executor} cannot be used on this machine: {error}")
    return executor, fine(SUBJECT, runner.executor)


async def examined(executor: Executor) -> Sequence[CheckResult]:
    """What the executor says of itself; of one that says nothing, what hosts it has."""
    try:
        if isinstance(executor, Examinable):
            return await executor.examine()
        offered = await executor.sizes()
    except RunnerError as error:
        return [fault(SUBJECT, str(error))]
    return [fine("sizes", ", ".join(offered.weights) or "all alike")]


async def sizes(executor: Executor) -> Sizes:
    """What hosts can be had, as far as that can be told; `examined` tells what is wrong."""
    try:
        return await executor.sizes()
    except RunnerError:
        return NOTHING_KNOWN
