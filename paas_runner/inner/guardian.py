"""Runs a program as a child of this process, and ends it at its last moment, whatever state it is in.

What the child does to keep its time needs its event loop, its interpreter, an engine that answers. This does
not: it waits, passes signals on, and kills. With the child all its keepers learn of the end and remove what
they keep (`keeper.py`, `containers/keeper.py`); they are waited for, and killed with all that they have kept
when even that takes too long. As a container's first process it reaps what others leave, and ends with them.

Killed itself, it takes the child with it.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

from paas_runner.inner.keeper import children
from paas_runner.job.lifetime import Deadlines

OVERDUE = 124
"""How it ends when it had to end the child; so does timeout(1)."""

KEEPERS_SECONDS = 30.0
"""For keepers whose inner runner has died before its time."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PASSED_ON = (signal.SIGTERM, signal.SIGINT)
_HEARD = frozenset({signal.SIGCHLD, *_PASSED_ON})
_LONGEST_WAIT_SECONDS = 3600.0
_KILLING_SECONDS = 1.0
_BETWEEN_KILLS_SECONDS = 0.01

prctl: Callable[..., int] = ctypes.CDLL(None).prctl


def guarded(run: Callable[[], int], deadlines: Deadlines, *, began: float) -> int:
    """The exit code of `run`, called in a child of this process: 128+N when a signal N has ended it.

    `began` is the monotonic clock's reading from which the deadlines count.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own = os.getpid()
    child = os.fork()
    if not child:
        _exit_with(run, guardian=own)
    return _Guardian(child, deadlines, began).watch()


def _exit_with(run: Callable[[], int], *, guardian: int) -> None:
    """The child's whole life; in a group of its own, so that a terminal's signals come once, passed on."""
    code = 1
    try:
        os.setpgid(0, 0)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guardian:  # which has died before that was said
            os.kill(os.getpid(), signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        code = run()
    except BaseException:  # noqa: BLE001 - whatever it is, it must not go on as the guardian
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class _Guardian:
    """Of one child."""

    def __init__(self, child: int, deadlines: Deadlines, began: float) -> None:
        self._child = child
        self._deadlines = deadlines
        self._began = began

    def watch(self) -> int:
        code = self._until_its_end(self._began + self._deadlines.kill_seconds)
        end = self._began + self._deadlines.end_seconds
        if code is None:
            self._say("its time is over by far, and it has not ended: it is killed")
            self._signal(signal.SIGKILL)
            code = OVERDUE
        else:
            end = min(end, time.monotonic() + KEEPERS_SECONDS)
        if not self._until_all_have_ended(end):
            self._say("something that it has started does not end: it is killed")
            _kill_all(time.monotonic() + _KILLING_SECONDS)
        return code

    def _until_its_end(self, moment: float) -> int | None:
        """The child's exit code; None when it lives longer. Signals are passed on."""
        while (left := moment - time.monotonic()) > 0:
            heard = signal.sigtimedwait(_HEARD, min(left, _LONGEST_WAIT_SECONDS))
            if heard is not None and heard.si_signo in _PASSED_ON:
                self._signal(heard.si_signo)
            for pid, code in _reaped():
                if pid == self._child:
                    return code
        return None

    def _until_all_have_ended(self, moment: float) -> bool:
        while True:
            list(_reaped())
            if not any(children()):
                return True
            left = moment - time.monotonic()
            if left <= 0:
                return False
            signal.sigtimedwait(_HEARD, left)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # who listens may be gone
            os.write(2, f"paas-runner-inner: {text}\n".encode())


def _reaped() -> list[tuple[int, int]]:
    """All children that have ended by now, and how, as a shell counts."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(ended[1])
            found.append((ended[0], code if code >= 0 else 128 - code))
    return found


def _kill_all(moment: float) -> None:
    """Kill children until there are none, or it is that late: the children of each become ours."""
    while time.monotonic() < moment:
        for child in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(_BETWEEN_KILLS_SECONDS)
        _reaped()
        if not any(children()):
            return
