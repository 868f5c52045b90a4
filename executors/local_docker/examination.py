"""Whether hosts could be had of an engine: it answers, its machine, the image of hosts.

For `paas-runner check`: everything is read, nothing is created. What is said is for the operators.
"""

from collections.abc import Sequence
from contextlib import aclosing

from executors.local_docker import look
from executors.local_docker.address import Address
from executors.local_docker.engine import Engine
from paas_runner.check_result import CheckResult, fault, fine, warning
from paas_runner.errors import RemoteError

_GIB = 2**30


async def examine(address: Address, *, image: str) -> Sequence[CheckResult]:
    """What the engine says of itself, and whether it has the image of hosts."""
    async with aclosing(look.engine_at(address)) as engine:
        try:
            machine = await look.machine(engine)
        except RemoteError as error:
            advice = f"the service's user must be able to run `docker --host {address.url} version`"
            return [fault("engine", str(error), advice)]
        return [
            fine("engine", f"Docker {machine.version} answers at {address.url}"),
            fine("machine", f"CPUs: {machine.cpus}, memory: {machine.memory / _GIB:.1f} GiB"),
            await _image(engine, image),
        ]


async def _image(engine: Engine, image: str) -> CheckResult:
    try:
        if await look.has_image(engine, image):
            return fine("image of hosts", image)
    except RemoteError as error:
        return fault("image of hosts", str(error), "is `heptapod_runner_main_image` right?")
    return warning(
        "image of hosts",
        f"the engine has no {image}: the first job waits until it is fetched, and fails if none has it",
        "pull it there, or build it there with packaging/images/build and name it in "
        "`heptapod_runner_main_image`",
    )
