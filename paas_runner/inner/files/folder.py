"""A job's folder, in which no symbolic link leads anywhere else, and threads for work on its files.

The inner runner handles files in it with rights that the job's scripts may not have, above all when these run
in containers. So whatever is opened here is opened first, and where it is is found out afterwards: a link
that a script has made, even at that very moment, leads to `OutsideError` and not to a file of the host.

Work on files blocks: it is done in a thread, which does not outlive the wish for its result.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias, TypeVar

T = TypeVar("T")

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LISTED_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_TAKEN_APART = _LISTED_DIRECTORY | os.O_NOFOLLOW
_MOST_TAKEN_APART = 100_000  # directories: someone may go on making them
_PRIVATE = 0o600
_USUAL = 0o666  # less what the umask takes
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class OutsideError(OSError):
    """A path that lies outside of the folder."""


class Folder:
    """Paths in it are relative, with `/` between their components.

    Make it before any script runs: a folder that becomes a link later has all its files outside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @contextlib.contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """The directory in which a path ends, for use as `dir_fd`, and the name in it; raises OSError."""
        directory, _, name = path.rpartition("/")
        descriptor = os.open(f"{self.path}/{directory}", _DIRECTORY)
        with _closing(descriptor):
            self._check(descriptor, path)
            yield descriptor, name

    @contextlib.contextmanager
    def opened(self, path: str, flags: int, mode: int = _PRIVATE) -> Iterator[int]:
        """What the path names, if that is no link; what is created gets the mode; raises OSError."""
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            self.parent(path) as (directory, name),
            _closing(os.open(name, flags, mode, dir_fd=directory)) as descriptor,
        ):
            yield descriptor

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[BinaryIO]:
        """A file as it is, and nothing else, whatever it has become meanwhile; raises OSError.

        A pipe would hold us up, and a device may be the machine's disk: neither is opened.
        """
        with self.opened(path, os.O_PATH) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(f"`{path}` is no file")
            with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:
                yield file

    def write(self, path: str, content: bytes) -> None:
        """Make a new file in the place of whatever is there; raises OSError."""
        self.remove_tree(path)
        with (
            self.opened(path, _NEW, _USUAL) as descriptor,
            open(descriptor, "wb", closefd=False) as file,
        ):
            file.write(content)

    def status(self, path: str) -> os.stat_result:
        """What there is; a link stands for itself; raises OSError."""
        with self.parent(path) as (directory, name):
            return os.stat(name or ".", dir_fd=directory, follow_symlinks=False)

    def names(self, path: str) -> list[str]:
        """What is in a directory, in order; raises OSError."""
        with (
            self.parent(f"{path}/.") as (directory, name),
            _closing(os.open(name, _LISTED_DIRECTORY, dir_fd=directory)) as descriptor,
        ):
            return sorted(os.listdir(descriptor))  # noqa: PTH208 - of what was looked at, no path

    def rename(self, path: str, other: str) -> None:
        """Move a file over another; raises OSError."""
        with self.parent(path) as (directory, name), self.parent(other) as (other_directory, other_name):
            os.rename(name, other_name, src_dir_fd=directory, dst_dir_fd=other_directory)

    def remove(self, path: str) -> None:
        """Remove a file or a link, if it is there; raises OSError."""
        with self.parent(path) as (directory, name), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)

    def remove_tree(self, path: str) -> None:
        """Remove whatever a path names, a directory with all that is in it; raises OSError.

        A link is removed itself. What this user may not remove of a directory stays.
        """
        with self.parent(path) as (directory, name), contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                _remove_directory(name, directory)
            else:
                os.unlink(name, dir_fd=directory)

    def change_mode(self, path: str, mode: int) -> None:
        """Set the permissions of a directory; raises OSError."""
        with self.parent(f"{path}/.") as (directory, name):
            os.chmod(name, mode, dir_fd=directory)

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it, where they are missing; raises OSError."""
        try:
            self._make(path)
        except FileNotFoundError:
            if not path:
                raise
            self.make_directory(path.rpartition("/")[0])
            self._make(path)

    def _make(self, path: str) -> None:
        with self.parent(path) as (directory, name), contextlib.suppress(FileExistsError):
            os.mkdir(name or ".", dir_fd=directory)

    def _check(self, descriptor: int, path: str) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not f"{place}/".startswith(f"{self.path}/"):
            raise OutsideError(f"`{path}` lies outside of the project")


def _remove_directory(name: str, directory: int) -> None:
    """As much of it as can be removed; one with more levels than can be open at once is taken apart."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(name, ignore_errors=True, dir_fd=directory)
    waiting, left = [name], _MOST_TAKEN_APART
    while waiting and (left := left - 1):
        name = waiting.pop()
        with contextlib.suppress(OSError), _closing(os.open(name, _TAKEN_APART, dir_fd=directory)) as inner:
            for each in os.listdir(inner):  # noqa: PTH208 - of what is open, no path
                try:
                    os.unlink(each, dir_fd=inner)
                except IsADirectoryError:
                    waiting.append(f".removed-{secrets.token_hex(8)}")
                    os.rename(each, waiting[-1], src_dir_fd=inner, dst_dir_fd=directory)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=directory)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


Checkpoint: TypeAlias = Callable[[], None]
"""Called now and then by work in a thread; raises `NotWantedError` when it may stop."""


class NotWantedError(Exception):
    """The result is not wanted any more."""


def never_stopping() -> None:
    """The checkpoint of work that always goes on."""


async def in_thread(work: Callable[[Checkpoint], T]) -> T:
    """Do blocking work; when this is canceled the work is asked to stop, and its end awaited."""
    stopped = threading.Event()

    def checkpoint() -> None:
        if stopped.is_set():
            raise NotWantedError

    working = asyncio.ensure_future(asyncio.to_thread(work, checkpoint))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait({working})
        working.exception()  # looked at: nothing else will
        raise
