"""The project with all that it needs in Python: what the Debian package and the image have in common."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PREFIX = Path("usr/lib/paas-runner")

EXTRAS = ("web", "otel", "postgres", "kubernetes")
"""Of the project's extras those that a service may be configured to need."""

HALF_COMPILED = ("markupsafe", "pyyaml")
"""Packages that are compiled for one machine in part, and work without that part."""

SYSTEMS_OWN = ("psycopg-binary",)
"""Packages for one machine alone; what needs them takes the system's libpq in their place."""

COMMAND = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{prefix}")

from {module} import {attribute}

sys.exit({attribute}())
"""

_ANYWHERE = ("--platform=any", "--implementation=py", "--abi=none")
"""Packages in pure Python alone, which fit every machine and every later Python."""


def vendor(tree: Path, scratch: Path) -> Distribution:
    """Put packages and commands into the root of a file system, and return the project.

    The versions are bounded by $PIP_CONSTRAINT, as everywhere with pip.
    """
    prefix = tree / PREFIX
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", str(scratch), str(ROOT))
    [wheel] = scratch.glob("*.whl")
    versions = _resolved(pip, wheel)
    pure = [f"{name}=={version}" for name, version in versions.items() if name not in HALF_COMPILED]
    compiled = [f"{name}=={versions[name]}" for name in HALF_COMPILED if name in versions]
    into = ("--no-compile", "--no-deps", "--only-binary=:all:", "--target", str(prefix))
    run(*pip, "install", *into, *_ANYWHERE, str(wheel), *pure)
    if compiled:
        run(*pip, "install", *into, *compiled)
        for library in prefix.rglob("*.so"):
            library.unlink()
    shutil.rmtree(prefix / "bin", ignore_errors=True)
    for module in prefix.rglob("*.py"):
        if (content := module.read_bytes()).startswith(b"#!"):  # they are imported, never run
            module.write_bytes(content.partition(b"\n")[2])
    [product] = distributions(name="paas-runner", path=[str(prefix)])
    _write_commands(product, tree / "usr/bin")
    return product


def run(*command: str) -> str:
    """What the command printed; ends the program with what it complained about."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _resolved(pip: Sequence[str], wheel: Path) -> dict[str, str]:
    """Every package that the project and those extras need, with its version."""
    [built] = distributions(path=[str(wheel)])
    extras = sorted({*EXTRAS} & {*(built.metadata.get_all("Provides-Extra") or ())})
    wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    report = json.loads(run(*pip, "install", "--dry-run", "--ignore-installed", "--report=-", wanted))
    found = {each["metadata"]["name"].lower(): each["metadata"]["version"] for each in report["install"]}
    for name in (built.name.lower(), *SYSTEMS_OWN):
        found.pop(name, None)
    return found


def _write_commands(product: Distribution, folder: Path) -> None:
    folder.mkdir(parents=True)
    for command in product.entry_points.select(group="console_scripts"):
        text = COMMAND.format(prefix=PREFIX, module=command.module, attribute=command.attr)
        (folder / command.name).write_text(text)
        (folder / command.name).chmod(0o755)
