"""The image of the service, for container engines.

    python packaging/container/build.py [--tag NAME] [--base IMAGE] [--package NAME] [--context FOLDER]

With --context the folder from which it is built is only written, and no engine is needed; without, the docker
program builds it. In it are the same packages as in the Debian package.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ("ca-certificates", "python3")
sys.path.insert(0, str(HERE.parent))

from vendored import vendor  # noqa: E402 - beside the folders of those who use it


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; returns the exit code of the engine's program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tag", default="paas-runner", metavar="NAME", help="what to call the image")
    parser.add_argument(
        "--base", default="debian:bookworm-slim", metavar="IMAGE", help="a Debian to build on"
    )
    parser.add_argument("--context", type=Path, metavar="FOLDER", help="only write what it is built from")
    parser.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help="a package of Debian's that is to be in it, too: libpq5 for a `state_store`, git to push by it",
    )
    chosen = parser.parse_args(arguments)
    if chosen.context:
        _write_context(chosen.context)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _write_context(Path(folder))
        packages = " ".join((*PACKAGES, *chosen.package))
        arguments = (f"BASE={chosen.base}", f"PACKAGES={packages}")
        built = [part for argument in arguments for part in ("--build-arg", argument)]
        command = ("docker", "build", "--tag", chosen.tag, *built, folder)
        return subprocess.run(command, check=False).returncode


def _write_context(folder: Path) -> None:
    """Everything that the image is built from."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "Dockerfile", folder)
    with tempfile.TemporaryDirectory() as scratch:
        vendor(folder / "root", Path(scratch))
    for path in (folder / "root").rglob("*"):  # whatever the umask
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    (folder / "root").chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
