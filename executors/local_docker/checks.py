"""Questions to an engine on behalf of a person who waits for the answer: short time limits, nothing is made.

Registration asks for the version and for an image. `paas-runner check` wants to know whether hosts can be
made: whether the engine answers, what its machine has, and whether the image of hosts is there. Its results
are for the operators.
"""

from collections.abc import Sequence
from contextlib import aclosing

from paas_runner.docker.engine import Address, Client, Engine
from paas_runner.docker.errors import AbsentError
from paas_runner.errors import RemoteError
from paas_runner.executor.checks import CheckResult, fault, fine, warning

SECONDS = 5  # how long the engine may be silent

_GIB = 2**30


def impatient_engine(address: Address) -> Engine:
    """One of its own, so that no long call of the service holds up the answer; to be closed."""
    return Engine(address, seconds=SECONDS)


async def version(engine: Engine) -> str:
    """Docker's version; raises `RemoteError`."""
    return str((await engine.call("ask its version", Client.version)).get("Version", "unknown"))


async def has_image(engine: Engine, image: str) -> bool:
    """Whether the image need not be fetched; raises `RemoteError`."""
    try:
        await engine.call("look for an image", lambda client: client.inspect_image(image))
    except AbsentError:
        return False
    return True


async def examine(address: Address, *, images: Sequence[str]) -> Sequence[CheckResult]:
    """What the engine says of itself, and whether it has the images of hosts."""
    async with aclosing(impatient_engine(address)) as engine:
        try:
            found = await engine.call("ask about its machine", Client.info)
        except RemoteError as error:
            advice = f"the service's user must be able to run `docker --host {address.url} version`"
            return [fault("engine", str(error), advice)]
        memory = int(found.get("MemTotal") or 0) / _GIB
        return [
            fine("engine", f"Docker {found.get('ServerVersion', 'unknown')} answers at {address.url}"),
            fine("machine", f"CPUs: {int(found.get('NCPU') or 0)}, memory: {memory:.1f} GiB"),
            *[await _image(engine, image) for image in images],
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
