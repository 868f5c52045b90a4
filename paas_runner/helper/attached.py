"""Begins the inner runner so that it does not outlive the helper service, however that dies.

Run as a script of its own, with little of the standard library: the process id of the service, where Python
finds modules, and the inner runner's arguments. The kernel kills the process when the service ends; whatever
the inner runner has started is its keepers' to end (`paas_runner/inner/keeper.py`), who see it die.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1
_MODULE = "paas_runner.inner"
_ORPHAN = 137


def main() -> None:
    """Become the inner runner; ends at once if the service is no more.

    What the kernel was asked for holds for this process alone: its children have to be asked for themselves.
    """
    service, path, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(service):
        raise SystemExit(_ORPHAN)
    sys.path[:] = path.split(os.pathsep)
    sys.argv[1:] = arguments
    runpy.run_module(_MODULE, run_name="__main__", alter_sys=True)


def command(service: int, *arguments: str) -> list[str]:
    """What starts it so, with these arguments for the inner runner."""
    path = os.pathsep.join(filter(None, sys.path))
    return [sys.executable, "-I", "-S", "-X", "utf8", __file__, str(service), path, *arguments]


if __name__ == "__main__":
    main()
