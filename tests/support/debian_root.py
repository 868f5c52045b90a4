"""A fresh Debian, of this machine's release: its root file system, made once and unpacked for each test.

It is entered in namespaces of its own, so that nothing of it is ever mounted where others see it, and nothing
that runs in it outlives the test. The network is this machine's: a sandbox on loopback is at hand.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.debian_archive import NoDebianError, debian_archive
from tests.support.requirements import missing_here, need

COMMAND_SECONDS = 180
ENTERING = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc")
CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))

CHANGE_ROOT = """
mount -t proc proc "$0/proc"
exec chroot "$@"
"""

BOOT = """
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
touch dev/console
mount --bind /dev/null dev/console
mkdir dev/pts dev/shm
ln -s pts/ptmx dev/ptmx
pivot_root . .
umount -l .
mount --make-rshared /
exec env -i container=test PATH="$PATH" /lib/systemd/systemd --unit=basic.target
"""
"""systemd as process 1; the kernel's own settings are out of its reach."""


class DebianRoot:
    """Commands run in it as root, without systemd, unless it is `booted`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entering: Sequence[str] = (*ENTERING, "sh", "-ec", CHANGE_ROOT, str(folder), str(folder))

    def command(self, *command: str) -> Sequence[str]:
        """What runs the command in there."""
        return (*self._entering, *command)

    def run(self, *command: str, fails: bool = False) -> str:
        """What the command printed; it has to succeed, or to fail."""
        done = subprocess.run(
            self.command(*command),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=COMMAND_SECONDS,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )
        assert bool(done.returncode) == fails, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def path(self, inside: str) -> Path:
        return self.folder / inside.lstrip("/")

    @contextmanager
    def booted(self) -> Iterator["DebianRoot"]:
        """The same, with systemd as its first process until the end of the block."""
        need("pivot_root", "nsenter", root=True)
        with _cgroup() as group:
            joining = ("sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(group))
            process = subprocess.Popen(
                [*joining, *ENTERING, "--cgroup", "sh", "-c", BOOT, str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield self._entered(process)
            finally:
                process.kill()
                process.communicate()

    def _entered(self, process: subprocess.Popen[bytes]) -> "DebianRoot":
        machine = DebianRoot(self.folder)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            if children and Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n":
                inside = ("--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd")
                machine._entering = ("nsenter", "--target", children[0], *inside)
                asked = machine.command("systemctl", "is-system-running", "--wait")
                if subprocess.run(asked, capture_output=True, check=False).stdout == b"running\n":
                    return machine
            time.sleep(0.1)
        process.kill()
        raise AssertionError(f"systemd did not come up: {process.communicate()[0].decode()}")


@contextmanager
def unpacked(config: pytest.Config, packages: Sequence[str], folder: Path) -> Iterator[DebianRoot]:
    """A root file system with `packages` and what they need, gone at the end of the block."""
    need("tar", "unshare", root=True)
    try:
        archive = debian_archive(config, packages)
    except NoDebianError as error:
        missing_here(str(error))
    root = folder / "debian"
    root.mkdir()
    try:
        extract = ("tar", "--directory", str(root), "--extract", "--same-permissions", "--file", str(archive))
        subprocess.run(extract, check=True, timeout=COMMAND_SECONDS)
        yield DebianRoot(root)
    finally:
        subprocess.run(("rm", "--recursive", "--one-file-system", str(root)), check=True)


@contextmanager
def _cgroup() -> Iterator[Path]:
    """A group of our own under cgroup v2, wherever that is mounted."""
    hierarchy = next((path for path in CGROUPS if (path / "cgroup.procs").exists()), None)
    if hierarchy is None:
        missing_here("there is no cgroup v2, which systemd needs")
    group = hierarchy / f"paas-runner-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        missing_here(f"no control group can be made: {error}")
    try:
        yield group
    finally:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not _removed(group):
            time.sleep(0.1)


def _removed(group: Path) -> bool:
    try:
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()
    except OSError:
        return False
    return True


def first_choices(depends: str) -> Sequence[str]:
    """The packages that a `Depends:` names, of alternatives the first."""
    return [re.split(r"[ (|]", clause.strip())[0] for clause in depends.split(",")]
