"""The Debian package: the wheel and all that it needs in Python, under a prefix of their own.

    python packaging/debian/build.py [FOLDER]    writes FOLDER/paas-runner_VERSION_all.deb; dist/ by default

The same sources, packages and date give the same bytes. The date is $SOURCE_DATE_EPOCH, or that of the last
commit; the versions of the packages are bounded by $PIP_CONSTRAINT, as everywhere with pip.
"""

import argparse
import gzip
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from licenses import copyright_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "site")]

from tables import filled  # noqa: E402
from vendored import PREFIX, run, vendor  # noqa: E402 - beside the folders of those who use it

DOCUMENTS = Path("usr/share/doc/paas-runner")

INSTALLED = {
    "lib/systemd/system": (
        "heptapod-paas-runner.service",
        "heptapod-paas-runner@.service",
        "paas-runner-expire.service",
        "paas-runner-expire.timer",
        "paas-runner-expire@.service",
        "paas-runner-expire@.timer",
    ),
    "usr/lib/sysusers.d": ("sysusers.d/paas-runner.conf",),
    "usr/lib/tmpfiles.d": ("tmpfiles.d/paas-runner.conf",),
    str(DOCUMENTS / "examples"): ("local-docker.conf",),
}
"""Where the files in systemd/ go."""

FOR_WHOEVER_WATCHES = ("grafana/paas-runner.json", "prometheus/paas-runner.rules.yml")
"""A dashboard and alerts, of packaging/, beside the other examples."""

MAINTAINER = "PaaS Runner <paas-runner@packages.invalid>"
"""Unless the builder is somebody, as Debian's tools ask: $DEBFULLNAME and $DEBEMAIL."""

CHANGELOG = """\
paas-runner ({version}) unstable; urgency=medium

  * What is new: /{documents}/CHANGELOG.md

 -- {maintainer}  {date}
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
        product = vendor(tree, Path(scratch))
        _copy_files(tree)
        _write_manual(tree)
        _write_documents(product, tree)
        _write_control(product, tree)
        _set_modes(tree)
        package = folder / f"paas-runner_{_debian_version(product.version)}_all.deb"
        run("dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", str(tree), str(package))
    print(package)
    return 0


def _copy_files(tree: Path) -> None:
    for folder, names in INSTALLED.items():
        (tree / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(ROOT / "systemd" / name, tree / folder)
    for document in (ROOT / "README.md", ROOT / "CHANGELOG.md"):
        shutil.copy(document, tree / DOCUMENTS)
    for document in (ROOT / "docs").rglob("*.md"):
        place = tree / DOCUMENTS / document.relative_to(ROOT / "docs")
        place.parent.mkdir(exist_ok=True)
        place.write_text(filled(document.read_text()))
    for example in FOR_WHOEVER_WATCHES:
        shutil.copy(ROOT / "packaging" / example, tree / DOCUMENTS / "examples")


def _write_manual(tree: Path) -> None:
    """Pages and completion, of the programs that are in the tree."""
    program = ROOT / "packaging" / "manual" / "build.py"
    run(sys.executable, "-B", str(program), "--packages", str(tree / PREFIX), str(tree))
    for page in (tree / "usr/share/man").rglob("*.[1-9]"):
        _compress(page.with_name(f"{page.name}.gz"), page.read_text())
        page.unlink()


def _write_documents(product: Distribution, tree: Path) -> None:
    """What Debian wants to know of each package; what pip left goes."""
    vendored = [each for each in distributions(path=[str(tree / PREFIX)]) if each.name != product.name]
    (tree / DOCUMENTS / "copyright").write_text(copyright_of(vendored, tree, PREFIX))
    date = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    entry = CHANGELOG.format(
        version=_debian_version(product.version),
        documents=DOCUMENTS,
        maintainer=_maintainer(),
        date=format_datetime(date),
    )
    _compress(tree / DOCUMENTS / "changelog.gz", entry)
    for name in ("RECORD", "REQUESTED", "INSTALLER", "WHEEL", "direct_url.json"):
        for left in (tree / PREFIX).glob(f"*.dist-info/{name}"):
            left.unlink()


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
            maintainer=_maintainer(),
        )
    )
    for script in ("preinst", "postinst", "prerm", "postrm"):
        shutil.copy(HERE / script, control / script)
        (control / script).chmod(0o755)


def _set_modes(tree: Path) -> None:
    """Whatever the umask: readable by all, written by root, executable are the commands alone."""
    for path in (tree, *tree.rglob("*")):
        executable = path.is_dir() or (path.parent.name in ("bin", "DEBIAN") and path.stat().st_mode & 0o100)
        path.chmod(0o755 if executable else 0o644)


def _debian_version(version: str) -> str:
    """`1.0rc1` comes before `1.0`."""
    return re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", version)


def _maintainer() -> str:
    name, address = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    return f"{name} <{address}>" if name and address else MAINTAINER


def _compress(path: Path, text: str) -> None:
    """With nothing in it but the text."""
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def _date_of_last_commit() -> str:
    return run("git", "-C", str(ROOT), "log", "-1", "--format=%ct").strip()


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
