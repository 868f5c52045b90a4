"""Keeps the PostgreSQL server that all tests of a run share; then nothing of it is left.

    python guardian.py FOLDER

FOLDER has `users`, on which each process that needs the server holds a shared lock, and `ready`, in which the
server's port is, or `failed`, with the reason. When the last lock is gone, however its holder ended, the
guardian gets the lock itself and ends the server.
"""

import fcntl
import os
import sys
import time
from pathlib import Path

from tests.support.postgres.server import created

TICK_SECONDS = 0.1


def main(folder: Path) -> None:
    with (folder / "users").open() as users:
        try:
            server = created()
        except BaseException as error:
            (folder / "failed").write_text(str(error))
            raise
        try:
            server.start()
            fresh = folder / "ready.new"
            fresh.write_text(f"{server.port} {server.folder}")
            fresh.rename(folder / "ready")
            while not _alone(users):
                time.sleep(TICK_SECONDS)
        except BaseException as error:
            (folder / "failed").write_text(str(error))
            raise
        finally:
            (folder / "ready").unlink(missing_ok=True)
            server.remove()


def _alone(lock) -> bool:
    """Whether no other process has a lock on it; from then on we have it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    if os.fork() == 0:  # no one's child: no one has to wait for it
        os.setsid()
        main(Path(sys.argv[1]))
