"""What the inner runner consists of: its room, and all that this imports, however deep; computed, not listed.

Followed are imports anywhere in a module, in functions too, and texts that are the name of a module, which is
then run by that name (`python -m`); what stands under `TYPE_CHECKING` is for no one who runs it.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = "paas_runner"
ROOM = "paas_runner.inner"
COMES_WITH = {"requests": "docker", "urllib3": "docker"}
"""Packages of others that are imported, but are chosen by a dependency, whose interface shows them."""


OPTIONAL = {"grpc": "grpc"}
"""Packages that a module imports only when it is asked for, and the extra that brings them."""


class Closure(NamedTuple):
    """`files` are relative to the root of the tree, `modules` and `requirements` are sorted, too."""

    modules: tuple[str, ...]
    files: tuple[Path, ...]
    requirements: tuple[str, ...]
    """Lines of the project's dependencies."""

    extras: dict[str, list[str]]
    """The project's own lines for what is imported and optional, by the extra."""


class ClosureError(Exception):
    """The tree has no such closure; the text says why."""


def closure(root: Path) -> Closure:
    """Of the tree with this root; raises `ClosureError`."""
    modules: set[str] = set()
    imported: dict[str, str] = {}
    waiting = list(_room(root))
    while waiting:
        module = waiting.pop()
        path = _path(root, module)
        if path is None or module in modules:
            continue
        modules.add(module)
        waiting += [module.rpartition(".")[0]] if "." in module else []
        for name in _names(ast.parse(path.read_text(encoding="utf-8"))):
            top = name.partition(".")[0]
            if top == PACKAGE:
                waiting.append(name)
            elif top not in sys.stdlib_module_names:
                imported.setdefault(top, module)
    extras = {OPTIONAL[name] for name in imported if name in OPTIONAL}
    needed = {name: module for name, module in imported.items() if name not in OPTIONAL}
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Closure(
        modules=tuple(sorted(modules)),
        files=tuple(sorted(_files(root, modules))),
        requirements=_requirements(project["dependencies"], needed),
        extras={name: project["optional-dependencies"][name] for name in sorted(extras)},
    )


def _room(root: Path) -> Iterator[str]:
    for path in (root / ROOM.replace(".", "/")).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if path.name == "__init__.py" else parts)


def _path(root: Path, module: str) -> Path | None:
    """Its file; None for a name that is none of a module, but of what is in one."""
    place = root / module.replace(".", "/")
    found = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return found if found.is_file() else None


def _files(root: Path, modules: set[str]) -> Iterator[Path]:
    """The modules, and what lies in their packages and is no module (`py.typed`)."""
    for path in filter(None, (_path(root, module) for module in modules)):
        yield path.relative_to(root)
        if path.name == "__init__.py":
            others = (other for other in path.parent.iterdir() if other.is_file() and other.suffix != ".py")
            yield from (other.relative_to(root) for other in others)


def _names(node: ast.AST) -> Iterator[str]:
    """The modules that may be imported or run, among names of what is in them."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), level=0, names=names):
            yield module
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.ImportFrom():
            raise ClosureError("imports are absolute in this project")
        case ast.Constant(value=str(text)) if re.fullmatch(rf"{PACKAGE}(\.\w+)+", text):
            yield text
    for child in ast.iter_child_nodes(node):
        yield from _names(child)


def _requirements(lines: list[str], imported: dict[str, str]) -> tuple[str, ...]:
    """Those of the lines for the imported packages, which are called as their distributions are."""
    known = {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower(): line for line in lines}
    wanted = {COMES_WITH.get(name, name): module for name, module in imported.items()}
    if unknown := sorted(set(wanted) - set(known)):
        what = ", ".join(f"`{name}` ({wanted[name]})" for name in unknown)
        raise ClosureError(f"imported, but no dependency of the project: {what}")
    return tuple(sorted(known[name] for name in wanted))
