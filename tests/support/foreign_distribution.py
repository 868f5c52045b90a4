"""A distribution of somebody else, as an installer leaves it in a folder: modules and metadata."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    folder: Path,
    points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str],
    *,
    name: str = "Paas-Greetings",
    version: str = "1.2",
    licence: str = "MIT",
) -> Path:
    """The folder with it; `points` are entry points by their group."""
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    info = folder / f"{name.lower().replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: {licence}\n"
    )
    (info / "RECORD").write_text("")
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in each.items())
            for group, each in points.items()
        )
    )
    return folder


def on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, *modules: str) -> None:
    """Installed for this process until the test ends."""
    monkeypatch.syspath_prepend(str(folder))
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)
