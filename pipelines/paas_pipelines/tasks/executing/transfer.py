"""How files come into a container and out of it: as tars, through the API of its engine or its cluster.

What comes out was made by a stranger: it is unpacked within bounds, into a private folder, and nothing of it
that leads anywhere else.
"""

import asyncio
import gzip
import io
import tarfile
from pathlib import Path
from typing import IO, Protocol

import attrs

from paas_pipelines.runs.run import Saved
from paas_pipelines.tasks.executing.container_script import FOLDER
from paas_pipelines.tasks.files import MOST_ENTRIES, FilesError, RunFiles
from paas_pipelines.tasks.outputs import MOST_BYTES, OutputsError
from paas_pipelines.tasks.place import TaskOrder
from paas_pipelines.tasks.workspace import Workspaces
from paas_runner.errors import Rejected

_OUTPUT, _FILES = f"{FOLDER}/output", f"{FOLDER}/files"
_TAR_BYTES = 64 * 1024  # what a tar has beside its files
_FOR_ALL, _FILE_FOR_ALL = 0o777, 0o666  # whoever the image's user is; nobody else is in there


class Fetching(Protocol):
    """A place of which files can be had."""

    async def get(self, name: str, path: str, most_bytes: int) -> bytes: ...


class Copying(Fetching, Protocol):
    """To which they can be brought, too, once there is the container."""

    async def put(self, name: str, archive: bytes) -> None: ...


@attrs.frozen(kw_only=True)
class Parcels:
    """Where a place cannot copy: what is loaded goes with the container, what is saved is fetched."""

    place: Fetching
    files: RunFiles | None
    workspaces: Workspaces

    async def loaded(self, order: TaskOrder) -> bytes:
        """An archive of `files`, the same each time; raises `FilesError`."""
        created = int(order.run.created.timestamp())
        with self.workspaces.fresh() as workspace:
            if self.files and (load := order.task.definition.load):
                await asyncio.to_thread(self.files.load, order.run, load, workspace.files)
            archive = await asyncio.to_thread(_packed, workspace.files, moment=created)
        return await asyncio.to_thread(gzip.compress, archive, mtime=0)

    async def saved(self, name: str, order: TaskOrder) -> Saved:
        """What its task saves, kept; raises `RemoteError`, `FilesError`."""
        run_id, task = order.run.run_id, order.task
        if self.files is None:
            raise FilesError("save: this server keeps no files")
        most = 2 * self.files.most_task_bytes
        try:
            archive = await self.place.get(name, _FILES, most)
        except Rejected as error:
            raise FilesError(f"save: {error}") from None
        with self.workspaces.fresh() as workspace:
            await asyncio.to_thread(_unpacked, io.BytesIO(archive), workspace.path, most)
            saved = await asyncio.to_thread(
                self.files.save, run_id, task.name, workspace.path / "files", task.definition.save
            )
        self.files.durable(run_id, task.name)
        return saved


@attrs.frozen(kw_only=True)
class Transfer(Parcels):
    """On one engine."""

    place: Copying

    async def filled(self, name: str, order: TaskOrder) -> None:
        """It has its folder, with what its task loads; raises `RemoteError`, `FilesError`."""
        with self.workspaces.fresh() as workspace:
            if self.files and (load := order.task.definition.load):
                await asyncio.to_thread(self.files.load, order.run, load, workspace.files)
            archive = await asyncio.to_thread(_packed, workspace.files)
        await self.place.put(name, archive)

    async def output(self, name: str) -> bytes:
        """What its task has told; raises `RemoteError`, `OutputsError`."""
        try:
            archive = await self.place.get(name, _OUTPUT, MOST_BYTES + _TAR_BYTES)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                entry = tar.next()
                file = tar.extractfile(entry) if entry and entry.isfile() else None
                if file is None:
                    raise OutputsError("the file of its outputs was replaced by something else")
                return file.read(MOST_BYTES + 1)
        except Rejected:
            raise OutputsError(f"its outputs are more than {MOST_BYTES // 1024} KiB, or gone") from None
        except tarfile.TarError:
            raise OutputsError("its outputs cannot be read") from None


def _packed(folder: Path, *, moment: int | None = None) -> bytes:
    """A tar for the root of a container, readable and writable for its user.

    With a `moment`, which all in it then has, it is one for the container's own folder.
    """
    content = io.BytesIO()

    def for_all(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode |= _FOR_ALL if entry.isdir() else _FILE_FOR_ALL
        entry.mtime = entry.mtime if moment is None else moment
        return entry

    with tarfile.open(fileobj=content, mode="w") as tar:
        if moment is None:
            tar.add(folder, FOLDER.strip("/"), recursive=False, filter=for_all)
        tar.add(folder, (_FILES if moment is None else "files").strip("/"), filter=for_all)
    return content.getvalue()


def _unpacked(archive: IO[bytes], folder: Path, most_bytes: int) -> None:
    """Raises `FilesError`."""
    try:
        with tarfile.open(fileobj=archive) as tar:
            count = size = 0
            for entry in tar:
                count, size = count + 1, size + entry.size
                if count > 2 * MOST_ENTRIES or size > most_bytes:
                    raise FilesError("save: its working directory has more than can be saved")
                if entry.isfile() or entry.isdir() or entry.issym():
                    tar.extract(entry, folder, filter=_harmless)
    except (tarfile.TarError, OSError) as error:
        raise FilesError(f"save: its working directory cannot be read: {error}") from None


def _harmless(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """Raises `tarfile.FilterError`, above all for what leads out."""
    found = tarfile.data_filter(entry, path)
    return found.replace(mode=(entry.mode & 0o777) | (0o700 if entry.isdir() else 0o600), deep=False)
