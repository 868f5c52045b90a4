"""The Debian package: the wheel and all that it needs in Python, under a prefix of their own.

    python packaging/debian/build.py [FOLDER]    writes FOLDER/paas-runner_VERSION_all.deb; dist/ by default

The same sources, packages and date give the same bytes. The date is $SOURCE_DATE_EPOCH, or that of the last
commit; the versions of the packages are bounded by $PIP_CONSTRAINT, as everywhere with pip.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PREFIX = Path("usr/lib/paas-runner")
DOCUMENTS = Path("usr/share/doc/paas-runner")

INSTALLED = {
    "lib/systemd/system": ("heptapod-paas-runner.service", "heptapod-paas-runner@.service"),
    "usr/lib/sysusers.d": ("sysusers.d/paas-runner.conf",),
    "usr/lib/tmpfiles.d": ("tmpfiles.d/paas-runner.conf",),
    str(DOCUMENTS / "examples"): ("local-docker.conf",),
}
"""Where the files in systemd/ go."""

COMMAND = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{prefix}")

from {module} import {attribute}

sys.exit({attribute}())
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, and print the path of the package."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    if "SOURCE_DATE_EPOCH" not in os.environ:
        os.environ["SOURCE_DATE_EPOCH"] = _date_of_last_commit()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        product = _install_packages(tree / PREFIX, Path(scratch))
        _write_commands(product, tree / "usr/bin")
        _copy_files(tree)
        _write_control(product, tree)
        _set_modes(tree)
        package = folder / f"paas-runner_{_debian_version(product.version)}_all.deb"
        _run("dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", str(tree), str(package))
    print(package)
    return 0


def _install_packages(prefix: Path, scratch: Path) -> Distribution:
    """Packages in pure Python alone, which fit every machine and every later Python; then what pip left."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _run(*pip, "wheel", "--no-deps", "--wheel-dir", str(scratch), str(ROOT))
    [wheel] = scratch.glob("*.whl")
    anywhere = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none")
    _run(*pip, "install", "--no-compile", *anywhere, "--target", str(prefix), str(wheel))
    shutil.rmtree(prefix / "bin", ignore_errors=True)
    for name in ("RECORD", "REQUESTED", "INSTALLER", "direct_url.json"):
        for left in prefix.glob(f"*.dist-info/{name}"):
            left.unlink()
    [product] = distributions(name="paas-runner", path=[str(prefix)])
    return product


def _write_commands(product: Distribution, folder: Path) -> None:
    folder.mkdir(parents=True)
    for command in product.entry_points.select(group="console_scripts"):
        (folder / command.name).write_text(_command(command))
        (folder / command.name).chmod(0o755)


def _command(command: EntryPoint) -> str:
    return COMMAND.format(prefix=PREFIX, module=command.module, attribute=command.attr)


def _copy_files(tree: Path) -> None:
    for folder, names in INSTALLED.items():
        (tree / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(ROOT / "systemd" / name, tree / folder)
    for document in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")):
        shutil.copy(document, tree / DOCUMENTS)
    shutil.copy(ROOT / "LICENSE", tree / DOCUMENTS / "copyright")


def _write_control(product: Distribution, tree: Path) -> None:
    control = tree / "DEBIAN"
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    control.mkdir()
    (control / "md5sums").write_text("".join(f"{_md5(path)}  {path.relative_to(tree)}\n" for path in files))
    (control / "control").write_text(
        (HERE / "control")
        .read_text()
        .format(
            version=_debian_version(product.version),
            python=".".join(map(str, sys.version_info[:2])),  # what a package needs may depend on it
            installed_size=sum(-(-path.stat().st_size // 1024) for path in files),
            summary=product.metadata["Summary"],
        )
    )
    for script in ("preinst", "postinst", "prerm", "postrm"):
        shutil.copy(HERE / script, control / script)
        (control / script).chmod(0o755)


def _set_modes(tree: Path) -> None:
    """Whatever the umask: readable by all, written by root, executable where the owner may execute."""
    for path in (tree, *tree.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)


def _debian_version(version: str) -> str:
    """`1.0rc1` comes before `1.0`."""
    return re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", version)


def _date_of_last_commit() -> str:
    return _run("git", "-C", str(ROOT), "log", "-1", "--format=%ct").strip()


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _run(*command: str) -> str:
    """What the command printed; ends the program with what it complained about."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
