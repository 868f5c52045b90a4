"""The modules of packaging/site, which MkDocs finds by its own means."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def site_module(name: str) -> ModuleType:
    """One of them, as its neighbours find it."""
    folder = str(ROOT / "packaging" / "site")
    if folder not in sys.path:
        sys.path.append(folder)
    return import_module(name)
