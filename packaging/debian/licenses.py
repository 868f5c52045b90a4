"""The package's `copyright`: our own terms, then those of every package that is vendored beside them."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from pathlib import Path

_OURS = """\
PaaS Runner runs GitLab and Heptapod CI jobs on hosts that exist only while a job needs them.

Copyright: 2026, the authors of PaaS Runner
License: Apache-2.0, whose text is in /usr/share/common-licenses/Apache-2.0 on Debian systems.

These Python packages are in /{prefix}, too, each under terms of its own:
"""
_NOTICE = re.compile(r"^\W*(copyright\s+(?:\(c\)|©|\d{4}|the\b).*)$", re.IGNORECASE | re.MULTILINE)


def copyright_of(distributions: Iterable[Distribution], root: Path, prefix: Path) -> str:
    """The text, for distributions that are installed in `prefix` below `root`."""
    text = _OURS.format(prefix=prefix)
    for found in sorted(distributions, key=lambda each: each.name.lower()):
        text += f"\n{found.name} {found.version}\n"
        text += "".join(f"  {line}\n" for line in _terms(found, root))
    return text


def _terms(found: Distribution, root: Path) -> Iterator[str]:
    yield f"License: {_license(found)}"
    notices: list[str] = []
    for path in _license_files(found):
        yield f"Text: /{path.relative_to(root)}"
        notices += (notice.strip() for notice in _NOTICE.findall(path.read_text(errors="replace")))
    yield from dict.fromkeys(notices)


def _license(found: Distribution) -> str:
    """As the distribution says it, in one of the three ways that there have been."""
    said = found.metadata
    classifiers = [
        value for key, value in said.items() if key == "Classifier" and value.startswith("License ::")
    ]
    named = [value.rpartition(" :: ")[2] for value in classifiers]
    first_line = (said["License"] or "").strip().partition("\n")[0]
    return said["License-Expression"] or ", ".join(named) or first_line or "see its text"


def _license_files(found: Distribution) -> list[Path]:
    """In its folder of metadata, wherever there."""
    return sorted(
        path
        for path in Path(str(found.locate_file(f"{_folder(found)}"))).rglob("*")
        if path.is_file() and re.match(r"LICEN[CS]E|COPYING|NOTICE", path.name, re.IGNORECASE)
    )


def _folder(found: Distribution) -> str:
    return next(str(path.parts[0]) for path in found.files or () if path.parts[0].endswith(".dist-info"))
