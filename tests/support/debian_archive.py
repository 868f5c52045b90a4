"""The root file system of a fresh Debian, of this machine's release: made once by debootstrap, and kept."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.alone import alone

DEBOOTSTRAP_SECONDS = 540
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/locale", "usr/share/man")


class NoDebianError(Exception):
    """It cannot be made here; the text says why."""


def debian_archive(config: pytest.Config, packages: Sequence[str]) -> Path:
    """A tar with these packages and what they need; raises `NoDebianError`."""
    if missing := [name for name in ("apt-get", "debootstrap", "tar") if shutil.which(name) is None]:
        raise NoDebianError(f"no Debian can be made without {' and '.join(missing)}")
    if os.geteuid() != 0:
        raise NoDebianError("only root can make a root file system")
    if chosen := os.environ.get("PAAS_RUNNER_TEST_CACHE"):
        folder = Path(chosen)
    elif config.cache is not None:
        folder = Path(config.cache.mkdir("debian"))
    else:
        raise NoDebianError("pytest's cache is switched off: name a folder by PAAS_RUNNER_TEST_CACHE")
    folder.mkdir(parents=True, exist_ok=True)
    codename, mirror = _source()
    digest = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    archive = folder / f"{codename}-{digest}.tar"
    with alone(archive.with_suffix(".lock")):
        if not archive.exists():
            _make(archive, codename, mirror, packages)
    return archive


def _source() -> tuple[str, str]:
    """The Debian that this machine is, and where it gets its packages."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    listed = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)")
    mirrors = [mirror for mirror, *rest in map(str.split, listed.splitlines()) if rest == [codename, "main"]]
    if not mirrors:
        raise NoDebianError("apt has no source for this machine's own release")
    return codename, mirrors[0]


def _make(archive: Path, codename: str, mirror: str, packages: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="debootstrap-") as folder:
        root, raw = Path(folder) / "root", Path(folder) / "tar"
        include = f"--include={','.join(packages)}"
        _run("debootstrap", "--variant=minbase", include, codename, str(root), mirror)
        excluded = [f"--exclude=./{path}/*" for path in _NOT_NEEDED]
        _run("tar", "--directory", str(root), *excluded, "--create", "--file", str(raw), ".")
        raw.rename(archive)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, timeout=DEBOOTSTRAP_SECONDS, text=True, capture_output=True)
    if done.returncode:
        raise NoDebianError(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
