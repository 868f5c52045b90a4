"""Keeps a private Docker engine for as long as a test process needs it; then nothing of it is left.

    python guardian.py FOLDER [OPTION OF dockerd ...]

FOLDER has these files beside the engine's own: `users`, on which each process that needs the engine holds a
shared lock; `ready`, once the engine answers, or `failed`, with the reason, when it cannot be started;
`guarded`, until nothing is left. When the last lock is gone, however its holder ended, the guardian gets the
lock itself and ends the engine. An engine that ends before that is started again: a test may end it.

Nothing but the standard library; root's rights are needed.
"""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

START_SECONDS, STOP_SECONDS, TICK_SECONDS = 60.0, 10.0, 0.05
TAIL = 20  # lines of the engine's log
FILTER = Path("/run/paas-runner-test-engines")
"""The machine's packet filter as it was before the first engine; locked as long as there is one."""


def main(folder: Path, *options: str) -> None:
    """Start the engine, wait until no process needs it, leave nothing."""
    command = [
        "dockerd",
        *("--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"),
        *("-H", f"unix://{folder / 'socket'}", "--bridge=none", "--shutdown-timeout=1"),
        *("--log-level=warn", *options),
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with FILTER.open("a+") as rules, (folder / "users").open() as users, (folder / "log").open("wb") as log:
        fcntl.flock(rules, fcntl.LOCK_SH)
        _keep_rules(rules)
        engine = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(engine, folder)
            while not _alone(users):
                if engine.poll() is not None:
                    engine = subprocess.Popen(command, stdout=log, stderr=log)
                time.sleep(TICK_SECONDS)
        finally:
            _end(engine, folder)
            _put_rules_back(rules)
            (folder / "guarded").unlink()


def _alone(lock: IO[str]) -> bool:
    """Whether no other process has a lock on it; from then on we have it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(engine: subprocess.Popen[bytes], folder: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while not _answers(folder / "socket"):
        if engine.poll() is not None or time.monotonic() > ends:
            lines = (folder / "log").read_text(errors="replace").splitlines()[-TAIL:]
            (folder / "failed").write_text("\n".join(lines))
            sys.exit(1)
        time.sleep(TICK_SECONDS)
    (folder / "ready").touch()


def _answers(path: Path) -> bool:
    try:
        return _asked(path, "GET", "/info") is not None
    except (OSError, http.client.HTTPException):
        return False


class _Connection(http.client.HTTPConnection):
    """To a unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(STOP_SECONDS)
        self.sock.connect(self.host)


def _asked(path: Path, method: str, what: str) -> Any:
    """The engine's answer, None for an error."""
    with contextlib.closing(_Connection(str(path))) as connection:
        connection.request(method, what, headers={"Host": "engine"})
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body or "null") if answer.status < 400 else None


def _empty(path: Path) -> None:
    """A stopping engine would be patient with what runs, and leave the bridges of its networks."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        for container in _asked(path, "GET", "/containers/json?all=1") or ():
            _asked(path, "DELETE", f"/containers/{container['Id']}?force=1")
        _asked(path, "POST", "/networks/prune")


def _end(engine: subprocess.Popen[bytes], folder: Path) -> None:
    (folder / "ready").unlink(missing_ok=True)
    _empty(folder / "socket")
    engine.terminate()
    try:
        engine.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
    (folder / "socket").unlink(missing_ok=True)
    for mount in reversed([line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]):
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mount], check=False, stderr=subprocess.DEVNULL)
    for name in ("data", "exec"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _keep_rules(kept: IO[str]) -> None:
    """Unless an engine has written into the filter already, one of ours or the machine's own."""
    rules = subprocess.run(["iptables-save"], check=False, capture_output=True, text=True)
    if rules.returncode == 0 and "DOCKER" not in rules.stdout:
        kept.truncate(0)
        kept.write(rules.stdout)
        kept.flush()


def _put_rules_back(kept: IO[str]) -> None:
    """As the last engine: the others' rules are in there, too."""
    if _alone(kept):
        kept.seek(0)
        if rules := kept.read():
            subprocess.run(["iptables-restore"], input=rules, check=False, text=True)
        FILTER.unlink()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "guarded").touch()
    if os.fork() == 0:  # no one's child: no one has to wait for it
        os.setsid()
        main(place, *sys.argv[2:])
