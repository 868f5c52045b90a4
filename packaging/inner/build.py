"""The inner runner as a distribution of its own: what a host needs, and nothing of the service.

    python packaging/inner/build.py [FOLDER]    writes FOLDER/paas_runner_inner-VERSION….whl; dist/ if absent

Its content and its dependencies follow from the imports (`closure.py`), its version is the project's. Nothing
moves for it: the modules are those of the same tree, under the same names.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from closure import Closure, ClosureError, closure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; print the path of the wheel, and how much is in it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist")
    folder = parser.parse_args(arguments).folder
    try:
        found = closure(ROOT)
    except ClosureError as error:
        sys.exit(f"the inner runner's distribution: {error}")
    with tempfile.TemporaryDirectory() as scratch:
        stage(found, Path(scratch) / "tree")
        wheel = _build(Path(scratch) / "tree", Path(scratch) / "wheel")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, folder)
    print(folder / wheel.name)
    print(describe(found))
    return 0


def stage(found: Closure, tree: Path) -> None:
    """A project of its own, with copies of these files."""
    for path in found.files:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tree / path)
    shutil.copy(ROOT / "LICENSE", tree)
    shutil.copy(HERE / "README.md", tree)
    text = (HERE / "pyproject.toml.in").read_text(encoding="utf-8")
    dependencies = json.dumps(found.requirements)  # a list of texts is the same in TOML
    extras = "\n".join(f"{name} = {json.dumps(lines)}" for name, lines in found.extras.items())
    text = text.replace("@DEPENDENCIES@", dependencies).replace("@EXTRAS@", extras)
    (tree / "pyproject.toml").write_text(text, encoding="utf-8")


def describe(found: Closure) -> str:
    """Modules, lines and bytes: what is to stay small, because every host's image has it."""
    contents = [(ROOT / path).read_bytes() for path in found.files]
    lines, size = sum(content.count(b"\n") for content in contents), sum(map(len, contents))
    return f"{len(found.modules)} modules, {lines} lines, {size} bytes; needs {', '.join(found.requirements)}"


def _build(tree: Path, folder: Path) -> Path:
    """The wheel; ends the program with what pip complained about."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    command = (*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(tree))
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    [wheel] = folder.glob("*.whl")
    return wheel


if __name__ == "__main__":
    sys.exit(main())
