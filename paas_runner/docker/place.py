"""Containers that are run once, on a Docker engine: `paas_runner.container.Place`.

A container has the name that is wanted, and a label by which it is ours. One that was ever started is not
started again, so whoever was killed between two calls begins again with the first.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from paas_runner.container import Ended, Image, Line, Wanted
from paas_runner.docker.containers import (
    LogConfig,
    Mount,
    attached_input,
    feed,
    host_config,
    sent_at_once,
)
from paas_runner.docker.engine import Client, Engine, in_thread
from paas_runner.docker.errors import AbsentError, ConflictError
from paas_runner.docker.labels import (
    ENDS_AT,
    INSTALLATION,
    JOB,
    NO_INSTALLATION,
    RUNNING_STATES,
    Kind,
    moment,
    remove,
)
from paas_runner.docker.output import archived, lines_of
from paas_runner.docker.registries import PullPolicy, RegistryLogin, own_login, pull, registry_of
from paas_runner.docker.states import age, ended, ended_at, is_new
from paas_runner.docker.volumes import parsed_volumes
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.job.images import InvalidReferenceError, is_image_id, parse

WAIT_SECONDS = 20.0
REMOVAL_SECONDS = 10.0
AGAIN_SECONDS = 0.2

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_WHOLE_LOG = LogConfig(
    type="json-file", config={"mode": "blocking", "max-size": "1000g", "max-file": "1", "compress": "false"}
)
"""Against options of the engine by which a log loses its beginning, or lines of a busy container."""

_NO_IMAGE = re.compile(
    r"manifest unknown|not found|does not exist|denied|unauthorized|no basic auth|invalid reference",
    re.IGNORECASE,
)


class DockerPlace:
    """Containers on one engine, which the caller closes."""

    def __init__(
        self,
        engine: Engine,
        *,
        policy: PullPolicy = PullPolicy.IF_NOT_PRESENT,
        login: Callable[[str], RegistryLogin | None] = own_login,
    ) -> None:
        """`login` tells what a registry is shown, and raises ValueError; usually it is what `docker` has."""
        self._engine = engine
        self._policy = policy
        self._login = login
        self._given: set[str] = set()  # names of containers that have their input, and may not run yet

    async def prepare(self, wanted: Wanted) -> Image:
        """Also `Rejected`, in words, for a name, a volume or a variable that no engine would take."""
        op = f"prepare {wanted.name}"
        try:
            parsed_volumes(wanted.volumes)
            _check_words(wanted)
        except ValueError as error:
            raise self._rejected(op, str(error)) from error
        try:
            if self._policy is PullPolicy.ALWAYS:
                await self._pull(wanted)
            found = await self._image(wanted.image)
        except AbsentError:
            if self._policy is PullPolicy.NEVER:
                text = f"the image {wanted.image} is not there, and by the policy `never` it is not pulled"
                raise self._rejected(op, text) from None
            await self._pull(wanted)
            found = await self._image(wanted.image)
        variables = (found.get("Config") or {}).get("Env") or ()
        return Image(environment=dict(each.split("=", 1) for each in variables if "=" in each))

    async def create(self, wanted: Wanted) -> None:
        """One of that name that we have made before is as good.

        If it was not started, and may have been given its input, it is made anew: it would get that twice.
        """
        op = f"create {wanted.name}"
        self._given.discard(wanted.name)
        try:
            await self._engine.shielded_call(op, lambda client: _created(client, wanted))
        except ConflictError as taken:
            facts = await self._inspected(wanted.name)
            if (facts["Config"].get("Labels") or {}).get(JOB) != wanted.name:
                text = "a container of that name exists that we have not made: remove it"
                raise self._rejected(op, text) from taken
            if wanted.takes_input and is_new(facts["State"]):
                await self._remove_new(facts["Id"])
                await self.create(wanted)
        except ValueError as error:
            raise self._rejected(op, str(error)) from error

    async def start(self, name: str, data: bytes | None = None) -> None:
        """What the connection takes at once, 200 KiB or so, is with the engine before the start.

        The rest goes on by itself, as the container reads it: it gets less where we end meanwhile. That there
        is no such program in the image is for `wait` to tell, as an end.
        """
        op = f"start {name}"
        facts = await self._inspected(name)
        if not is_new(facts["State"]):
            return
        takes_input = bool(facts["Config"].get("OpenStdin"))
        if data and not takes_input:
            raise self._rejected(op, "it was created without a standard input")
        if takes_input and name not in self._given:
            await self._give(op, name, data or b"")
        try:
            await self._engine.shielded_call(op, lambda client: client.start(name))
        except RemoteError:
            if is_new((await self._inspected(name))["State"]):
                raise

    async def _give(self, op: str, name: str, data: bytes) -> None:
        connection = await self._engine.shielded_call(op, lambda client: attached_input(client, name))
        self._given.add(name)
        rest = sent_at_once(connection, data)
        feeding = in_thread(lambda: feed(connection, rest))
        feeding.add_done_callback(lambda done: done.cancelled() or done.exception())

    def lines(self, name: str) -> AsyncIterator[Line]:
        """An engine that is away for some minutes is waited for; then, `Transient`."""

        async def runs() -> bool:
            return (await self._started(f"read the output of {name}", name))["Status"] in RUNNING_STATES

        return lines_of(self._engine, name, runs)

    async def wait(self, name: str, limit: timedelta | None = None) -> Ended | None:
        """By the engine's own clock: None, too, for one that has ended later than that."""
        op = f"wait for {name}"
        state = await self._started(op, name)
        loop = asyncio.get_running_loop()
        until = math.inf
        if limit is not None and state["Status"] in RUNNING_STATES:
            until = loop.time() + (limit - age(state, await self._now(op))).total_seconds()
        while state["Status"] in RUNNING_STATES:
            left = until - loop.time()
            if left <= 0:
                return None
            await self._engine.call(op, _waiting(name, min(left, WAIT_SECONDS)))
            state = await self._started(op, name)
            if state["Status"] in RUNNING_STATES:
                await asyncio.sleep(min(max(until - loop.time(), 0), AGAIN_SECONDS))
        if limit is not None and age(state, ended_at(state)) > limit:
            return None
        return ended(state)

    async def stop(self, name: str, grace: timedelta) -> None:
        """One that has ended, or is gone, is as good."""
        seconds = math.ceil(grace.total_seconds())
        with contextlib.suppress(AbsentError):
            await self._engine.call(f"stop {name}", lambda client: client.stop(name, timeout=seconds))

    async def put(self, name: str, archive: bytes) -> None:
        """Unpack a tar at the root of one that exists; files of that name are replaced."""
        op = f"copy into {name}"
        await self._engine.shielded_call(op, lambda client: client.put_archive(name, "/", archive))

    async def get(self, name: str, path: str, most_bytes: int) -> bytes:
        """A file or folder of one that exists, as a tar; `Rejected` where it is larger or not there."""
        op = f"copy from {name}"

        def read(client: Client) -> bytes:
            found = bytearray()
            with archived(client, name, path) as pieces:
                for piece in pieces:
                    found += piece
                    if len(found) > most_bytes:
                        raise self._rejected(op, f"{path} has more than {most_bytes} bytes")
            return bytes(found)

        return await self._engine.call(op, read)

    async def begun(self, name: str) -> bool | None:
        """Whether it was ever started; None where there is none."""
        try:
            return not is_new((await self._inspected(name))["State"])
        except AbsentError:
            return None

    async def facts(self, name: str) -> Mapping[str, str]:
        """What is known of where it runs, and as what."""
        found = await self._inspected(name)
        return {
            "engine": self._engine.address.url,
            "container": str(found.get("Id", ""))[:12],
            "image": str(found.get("Image", "")),
            "started": str(found["State"].get("StartedAt", "")),
        }

    async def remove(self, name: str) -> None:
        """With its volumes that have no name."""
        op = f"remove {name}"
        self._given.discard(name)
        ends = asyncio.get_running_loop().time() + REMOVAL_SECONDS
        while True:
            await self._engine.call(op, lambda client: remove(client, Kind.CONTAINER, name))
            try:
                await self._inspected(name)
            except AbsentError:
                return
            if asyncio.get_running_loop().time() > ends:
                raise Transient("it is still there", service=self._engine.address.service, op=op)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _remove_new(self, ref: str) -> None:
        """By its id, since a request may be late, and without force: what has begun by then stays."""
        try:
            await self._engine.call(f"remove {ref}", lambda client: client.remove_container(ref, v=True))
        except AbsentError:
            return
        except ConflictError:
            await asyncio.sleep(AGAIN_SECONDS)

    async def _pull(self, wanted: Wanted) -> None:
        image = wanted.image
        op = f"pull {image}"
        try:
            login = self._login(registry_of(image))
        except ValueError:
            text = "the credentials in Docker's own configuration cannot be read"
            raise self._rejected(op, text) from None
        try:
            await self._engine.call(
                op, lambda client: pull(client, image, login=login, platform=wanted.platform)
            )
        except Transient as error:
            if _NO_IMAGE.search(error.text):
                raise self._rejected(op, error.text) from error
            raise

    async def _image(self, image: str) -> Mapping[str, Any]:
        return await self._engine.call(f"look for {image}", lambda client: client.inspect_image(image))

    async def _inspected(self, name: str) -> Mapping[str, Any]:
        return await self._engine.call(f"look at {name}", lambda client: client.inspect_container(name))

    async def _started(self, op: str, name: str) -> Mapping[str, Any]:
        """The state of one that was started."""
        state: Mapping[str, Any] = (await self._inspected(name))["State"]
        if is_new(state):
            raise self._rejected(op, "it was not started")
        return state

    async def _now(self, op: str) -> datetime:
        found = await self._engine.call(op, lambda client: client.info())
        return moment(found.get("SystemTime")) or datetime.now(UTC)

    def _rejected(self, op: str, text: str) -> Rejected:
        return Rejected(text, service=self._engine.address.service, op=op)


def _check_words(wanted: Wanted) -> None:
    """Raises ValueError."""
    try:
        is_image_id(wanted.image) or parse(wanted.image)
    except InvalidReferenceError as error:
        raise ValueError(f"{wanted.image!r} is no image name: {error}") from None
    if not _NAME.fullmatch(wanted.name):
        raise ValueError(f"{wanted.name!r} is no name of a container")
    for name, value in wanted.environment.items():
        if not name or "=" in name or "\0" in name + value.reveal():
            raise ValueError(f"the variable {name!r} has a name or a value that no environment can have")


def _created(client: Client, wanted: Wanted) -> None:
    volumes = parsed_volumes(wanted.volumes)
    labels = {JOB: wanted.name, INSTALLATION: NO_INSTALLATION, **wanted.labels}
    if wanted.ends_after is not None:
        labels[ENDS_AT] = (datetime.now(UTC) + wanted.ends_after).isoformat(timespec="seconds")
    client.create_container(
        wanted.image,
        name=wanted.name,
        labels=labels,
        environment=[f"{name}={value.reveal()}" for name, value in wanted.environment.items()],
        stdin_open=wanted.takes_input,
        platform=wanted.platform or None,
        entrypoint=None if wanted.command is None else list(wanted.command),
        host_config=host_config(
            client,
            binds=list(volumes.binds),
            mounts=[Mount(folder, None, type="volume") for folder in volumes.folders],
            log_config=_WHOLE_LOG,
        ),
    )


def _waiting(name: str, seconds: float) -> Callable[[Client], None]:
    """Until it has ended, or for so long; why it took no longer is seen by its state."""

    def waiting(client: Client) -> None:
        with contextlib.suppress(requests.Timeout, requests.ConnectionError):
            client.wait(name, timeout=seconds)  # type: ignore[arg-type]  # a fraction is as good

    return waiting
