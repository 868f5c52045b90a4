"""Where the inner runner itself is: on the engine's machine, or in a container of that engine.

In a container, what it has under a path is another file for the engine: job containers then get the volume
that it has itself (the image of a host has one at `/builds`). It stays off the job's network.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import attrs

from paas_runner.docker.containers import Mount
from paas_runner.docker.engine import Engine
from paas_runner.docker.errors import AbsentError
from paas_runner.inner.containers.creation import has_names
from paas_runner.inner.ending import Reason, StageError, broken

_MOUNTS = Path("/proc/self/mountinfo")
_ID = re.compile(r"/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf)\b")
_CONFINEMENT = {"userns_mode": "UsernsMode", "security_opt": "SecurityOpt"}
_SHAREABLE = ("volume", "bind")


@attrs.frozen(kw_only=True)
class OwnContainer:
    """The container that this process is in."""

    ref: str
    mounts: tuple[Mapping[str, Any], ...]
    network_mode: str
    image: str
    variables: tuple[str, ...] = ()
    """The names of those in its environment, but for what every program needs."""

    confinement: Mapping[str, Any] = attrs.field(factory=dict)
    """What another container that shares its files has to have in common with it."""

    @property
    def may_join_networks(self) -> bool:
        """One that shares its network with others may not, and need not if it is the machine's."""
        return has_names(self.network_mode)


async def own_container(engine: Engine) -> OwnContainer | None:
    """None when it is in none, or in none of this engine; raises `RemoteError`."""
    ref = _own_id()
    if ref is None:
        return None
    try:
        found = await engine.call(
            "look at the runner's container", lambda client: client.inspect_container(ref)
        )
    except AbsentError:
        return None
    host, names = found["HostConfig"], (each.partition("=")[0] for each in found["Config"].get("Env") or ())
    return OwnContainer(
        ref=ref,
        mounts=tuple(found.get("Mounts") or ()),
        network_mode=str(host["NetworkMode"]),
        image=str(found["Image"]),
        variables=tuple(name for name in names if name != "PATH"),
        confinement={name: host[key] for name, key in _CONFINEMENT.items() if host.get(key)},
    )


def _own_id() -> str | None:
    """By the files that an engine puts into each container."""
    found = _ID.search(_MOUNTS.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else None


def shared(folder: PurePath, own: OwnContainer | None) -> Mount:
    """The mount by which other containers see a folder of ours under the same path; raises `StageError`."""
    if own is None:
        return Mount(str(folder), str(folder), type="bind")
    shareable = [mount for mount in own.mounts if mount["Type"] in _SHAREABLE]
    for mount in sorted(shareable, key=lambda mount: len(mount["Destination"]), reverse=True):
        if folder.is_relative_to(mount["Destination"]):
            source = mount["Name"] if mount["Type"] == "volume" else mount["Source"]
            return Mount(mount["Destination"], source, type=mount["Type"])
    text = f"the runner is in a container without a volume for {folder}, which job containers could share"
    raise StageError(broken(text, Reason.CONFIGURATION))
