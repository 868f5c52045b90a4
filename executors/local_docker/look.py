"""A look at an engine for somebody who waits for the answer: short time limits, nothing is made.

Whether hosts could be had of an engine: it answers, its machine, the image of hosts.

For `paas-runner check`: everything is read, nothing is created. What is said is for the operators.
"""

from collections.abc import Sequence
from contextlib import aclosing

import attrs
from docker import APIClient

from executors.local_docker.engine import Engine
from executors.local_docker.settings import Address
from executors.local_docker.troubles import AbsentError
from paas_runner.errors import RemoteError
from paas_runner.executor.checks import CheckResult, fault, fine, warning

SECONDS = 5  # how long the engine may be silent

UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Machine:
    """What the engine says of itself; `memory` is in bytes."""

    version: str
    cpus: int
    memory: int


def engine_at(address: Address) -> Engine:
    """An engine of one's own, so that no long call holds up whoever looks; to be closed."""
    return Engine(address, seconds=SECONDS)


async def version(engine: Engine) -> str:
    """Docker's version; raises `RemoteError`."""
    return str((await engine.call("ask its version", APIClient.version)).get("Version", UNKNOWN))


async def engine_machine(engine: Engine) -> Machine:
    """The engine and the machine under it; raises `RemoteError`."""
    found = await engine.call("ask about its machine", APIClient.info)
    return Machine(
        version=str(found.get("ServerVersion", UNKNOWN)),
        cpus=int(found.get("NCPU") or 0),
        memory=int(found.get("MemTotal") or 0),
    )


async def has_image(engine: Engine, image: str) -> bool:
    """Whether the image needs not be fetched; raises `RemoteError`."""
    try:
        await engine.call("look for an image", lambda client: client.inspect_image(image))
    except AbsentError:
        return False
    return True


_GIB = 2**30


async def examine(address: Address, *, image: str) -> Sequence[CheckResult]:
    """What the engine says of itself, and whether it has the image of hosts."""
    async with aclosing(engine_at(address)) as engine:
        try:
            machine = await engine_machine(engine)
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
        if await has_image(engine, image):
            return fine("image of hosts", image)
    except RemoteError as error:
        return fault("image of hosts", str(error), "is `heptapod_runner_main_image` right?")
    return warning(
        "image of hosts",
        f"the engine has no {image}: the first job waits until it is fetched, and fails if none has it",
        "pull it there, or build it there with packaging/images/build and name it in "
        "`heptapod_runner_main_image`",
    )
