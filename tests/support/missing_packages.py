"""A process in which a package is not installed, for as long as a test takes."""

import sys

import pytest


def take_away(monkeypatch: pytest.MonkeyPatch, package: str, *rooms: str) -> None:
    """Importing `package` fails, and the modules of `rooms`, which need it, are imported anew.

    Afterwards everything is as it was, also where a module is an attribute of its package: a test that
    looks it up there would otherwise find the one that nobody else has.
    """
    for name in [name for name in sys.modules if _is_in(name, (package, *rooms))]:
        parent, _, child = name.rpartition(".")
        if parent:
            monkeypatch.setattr(sys.modules[parent], child, sys.modules[name])
    for name in [name for name in sys.modules if _is_in(name, (package, *rooms))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def _is_in(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)
