"""Stands between the inner runner and one program of a job, so that nothing of it outlives either.

Run as a script of its own, with little of the standard library, so that it starts in no time:

- standard input: what to run (`process.py` writes it), then one byte for each request to terminate the
  program's group, or to interrupt it; its end means that the inner runner wants an end, or is no more;
- standard output: the program's, and its errors unless an argument names another descriptor for them;
- the second argument, if there is one: a file that is made before the program is started, once and for all:
  where it is there already, the program is not started;
- standard error: why the program could not be started, or at its end, after a NUL, what it has used: the
  KiB of memory of its largest process, and the seconds of CPU of all;
- exit code: the program's, as a shell counts.

Whatever the program leaves behind, in other sessions too, becomes the keeper's child and is killed with it.
First there are two seconds for those who hold the output: they may still be writing what the program has said
(`exec > >(tee log)`). The inner runner sees when no one holds it any more, and ends our input.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36
_REQUESTS = 0
_ERRORS = int(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else 1
_GATE = sys.argv[2] if __name__ == "__main__" and len(sys.argv) > 2 else ""
_INTERRUPT = b"I"
_NOT_STARTED, _KILLED = 126, 137
_LAST_OUTPUT_SECONDS = 2.0  # for those who hold the output when the program has ended
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # the end comes from the other end of our input


def main() -> int:
    """Run what the input says, to its end or to ours."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    news, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        task = _task()
        if _GATE:
            pass_gate(_GATE)
        program = _start(task)
    except (OSError, ValueError) as error:
        os.write(2, str(error).encode(errors="replace"))
        return _NOT_STARTED
    code = _watch(program, news)
    if code is not None:
        _let_output_end(news)
    _kill_all()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with contextlib.suppress(OSError):  # whoever has killed us no longer reads
        os.write(2, b"\0%d %.3f" % (used.ru_maxrss, used.ru_utime + used.ru_stime))
    return _KILLED if code is None else code


def pass_gate(path: str) -> None:
    """Have it on the disk that the program begins; raises FileExistsError where that was decided before."""
    for each, flags in ((path, os.O_CREAT | os.O_EXCL | os.O_WRONLY), (os.path.dirname(path), os.O_RDONLY)):  # noqa: PTH120
        descriptor = os.open(each, flags | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _task() -> list[bytes]:
    """The folder, the number of arguments, these, and the environment's entries.

    As a line with the length, then that many bytes, in which NUL separates the parts.
    """
    head = b""
    while not head.endswith(b"\n"):
        head += _read(1)
    return _read(int(head)).split(b"\0")


def _read(length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        piece = os.read(_REQUESTS, length - len(found))
        if not piece:
            raise ValueError("the input ended before it said what to run")
        found += piece
    return bytes(found)


def _start(task: list[bytes]) -> int:
    """The process id of the program, which leads a session of its own and reads nothing."""
    folder, number, *rest = task
    arguments, entries = rest[: int(number)], rest[int(number) :]
    os.chdir(folder)
    return os.posix_spawn(
        arguments[0],
        arguments,
        dict(entry.split(b"=", 1) for entry in entries),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, _ERRORS, 2),
            *([(os.POSIX_SPAWN_CLOSE, _ERRORS)] if _ERRORS > 2 else ()),
        ],
        setsid=True,
        setsigdef=(*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ),
    )


def _watch(program: int, news: int) -> int | None:
    """The program's exit code, once it has ended; None when our input ended before."""
    while True:
        ready, _, _ = select.select([_REQUESTS, news], [], [])
        if _REQUESTS in ready:
            requests = os.read(_REQUESTS, 64)
            if not requests:
                return None
            number = signal.SIGINT if _INTERRUPT in requests else signal.SIGTERM
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program, number)
        if news in ready:
            os.read(news, 4096)
            code = _reap(program)
            if code is not None:
                return code


def _reap(program: int) -> int | None:
    """Reap every child that has ended; the program's exit code if it is one of them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == program:
                code = os.waitstatus_to_exitcode(found[1])
    return code if code is None or code >= 0 else 128 - code


def _let_output_end(news: int) -> None:
    """Hold the output no longer, and wait for those who do: until our input ends, or two seconds are over."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, _ERRORS):
        os.dup2(nowhere, output)
    end = time.monotonic() + _LAST_OUTPUT_SECONDS
    while _has_children() and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([_REQUESTS, news], [], [], left)
        if _REQUESTS in ready and not os.read(_REQUESTS, 64):
            return
        if news in ready:
            os.read(news, 4096)


def _has_children() -> bool:
    """Whether any is alive, after those that have ended were reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _kill_all() -> None:
    """Kill children until there are none: the children of each become ours.

    All that have ended are reaped before the next look: some go on making others while they are killed.
    """
    with contextlib.suppress(ChildProcessError):
        while True:
            for child in children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def children() -> Iterator[int]:
    """As the kernel lists them; where it does not, what it takes longer to find among all processes."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as listed:  # noqa: PTH123 - no pathlib here
            return map(int, listed.read().split())
    except OSError:
        return _searched_children()


def _searched_children() -> Iterator[int]:
    own = str(os.getpid()).encode()
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError), open(f"{entry.path}/stat", "rb") as stat:  # noqa: PTH123 - no pathlib here
                if stat.read().rpartition(b")")[2].split()[1] == own:
                    yield int(entry.name)


if __name__ == "__main__":
    raise SystemExit(main())
