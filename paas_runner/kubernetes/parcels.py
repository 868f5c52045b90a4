"""Files into a pod and out of it, by rights that its Job needs anyway: to create Secrets, and to read logs.

In goes an archive in parts, each a Secret of the Job's. Out it comes by small containers beside the main one:
each prints its part of what the main one has left in the volume that they share. A part fits into a log that
no node rotates, so it is there however late, and however often, it is read.

Source of the bounds: kubernetes.io, "Secrets" (1 MiB each); `containerLogMaxSize` of kubelets (10 MiB).
"""

import asyncio
import base64
import binascii
import gzip
import io
import zlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, cast

from paas_runner.container import Parcel, Wanted
from paas_runner.errors import Rejected
from paas_runner.kubernetes import logs
from paas_runner.kubernetes.api import Cluster, Object

MEBIBYTE = 1024 * 1024
SECRET_BYTES = 1_000_000
PARTS, PART_BYTES = 4, 6 * MEBIBYTE
MOST_BYTES = PARTS * PART_BYTES
"""Of an archive, as it is packed, in each direction."""

FETCH_SECONDS = 600.0

_VOLUME, _FOUND = "task", "/pipeline-load"
_LINE = 8000
_MOST_PRINTED = 2 * PART_BYTES
_LONGEST_SECONDS = 30 * 24 * 3600  # of a container that nobody ends: its pod's owner is gone


def paths_of(content: bytes) -> Sequence[str]:
    """Where the program finds the parts of its archive; raises ValueError for one that is too large."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"load: the files are more than {MOST_BYTES // MEBIBYTE} MiB, packed")
    return [f"{_FOUND}/{number:03}/part" for number in range(-(-len(content) // SECRET_BYTES))]


def with_parcel(pod: dict[str, Any], wanted: Wanted, parcel: Parcel) -> dict[str, Any]:
    """A pod's description, with volumes, and with what prints; its first container is the main one."""
    main = pod["containers"][0]
    folders = [path.rpartition("/")[0] for path in paths_of(parcel.content)]
    shared = {"name": _VOLUME, "mountPath": parcel.folder}
    found = [{"name": f"part-{number}", "mountPath": path} for number, path in enumerate(folders)]
    volumes = [
        {"name": each["name"], "secret": {"secretName": f"{wanted.name}-{each['name']}"}} for each in found
    ]
    return {
        **pod,
        "containers": [
            {**main, "volumeMounts": [shared, *found]},
            *(_printing(wanted, parcel, number, shared) for number in range(PARTS if parcel.leaves else 0)),
        ],
        "volumes": [{"name": _VOLUME, "emptyDir": {}}, *volumes],
    }


def _printing(wanted: Wanted, parcel: Parcel, number: int, shared: Object) -> dict[str, Any]:
    """It writes how many bytes the archive has, and its part of them in lines."""
    archive, begin = f"{parcel.folder}/archive", number * PART_BYTES + 1
    part = f"tail -c +{begin} {archive} | head -c {PART_BYTES} | base64 | tr -d '\\n' | fold -w {_LINE}"
    text = (
        "trap 'exit 0' TERM; waited=0; "
        f"until [ -e {parcel.folder}/ended ] || [ $waited -ge {_LONGEST_SECONDS} ]; "
        "do sleep 1 & wait $!; waited=$((waited + 1)); done; "
        f"if [ -f {archive} ]; then wc -c <{archive}; {part}; else echo 0; fi; echo"
    )
    command = ["sh", "-c", text]
    return {"name": f"files-{number}", "image": wanted.image, "command": command, "volumeMounts": [shared]}


def secrets_of(name: str, parcel: Parcel) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Names and data of those that bring the archive."""
    for number in range(len(paths_of(parcel.content))):
        part = parcel.content[number * SECRET_BYTES :][:SECRET_BYTES]
        yield f"{name}-part-{number}", {"part": part}


async def fetched(cluster: Cluster, pod: str, op: str, *, most_bytes: int, pause: float) -> bytes:
    """What is in the archive that a container has left, without its compression.

    Raises `Rejected` for what is more than it may be, or did not come whole; `Transient`.
    """
    found = bytearray()

    def rejected(text: str) -> Rejected:
        return Rejected(text, service=cluster.service, op=op)

    try:
        async with asyncio.timeout(FETCH_SECONDS):
            for number in range(PARTS):
                told, text = await _printed(cluster, pod, f"files-{number}", pause)
                if (size := int(told or b"0")) > MOST_BYTES:
                    raise rejected(
                        f"its files are more than {MOST_BYTES // MEBIBYTE} MiB when they are packed"
                    )
                found += base64.b64decode(text, validate=True)
                if len(found) >= size:
                    break
    except (TimeoutError, ValueError, binascii.Error):
        raise rejected("its files did not come as they should") from None
    if not found or len(found) != size:
        raise rejected(
            "not all of its files came: the node has kept less of a log than 10 MiB, or they changed"
        )
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(found)) as file:
            content = file.read(most_bytes + 1)
    except (OSError, EOFError, zlib.error):
        raise rejected("its files are no archive") from None
    if len(content) > most_bytes:
        raise rejected(f"its files have more than {most_bytes} bytes")
    return content


async def _printed(cluster: Cluster, pod: str, container: str, pause: float) -> tuple[bytes, bytes]:
    """The first line of a container that prints, and the others together; raises ValueError for too much."""
    text = bytearray()
    first: bytes | None = None
    lines = cast(AsyncGenerator[bytes, None], logs.lines(cluster, pod, container, pause=pause))
    async with aclosing(lines) as each:
        async for line in each:
            if first is None:
                first = line
            else:
                text += line
            if len(text) > _MOST_PRINTED:
                raise ValueError("more than a part can have")
    return first or b"", bytes(text)
