"""A look at an engine for somebody who waits for the answer: short time limits, nothing is made."""

import attrs
from docker import APIClient

from executors.local_docker.address import Address
from executors.local_docker.engine import Engine
from executors.local_docker.troubles import AbsentError

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


async def machine(engine: Engine) -> Machine:
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
