"""Texts of `docker run --volume` as the engine's API has them. Pure."""

import re
from collections.abc import Sequence

import attrs

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OPTIONS = (
    {"ro", "rw"},
    {"z", "Z"},
    {"shared", "rshared", "slave", "rslave", "private", "rprivate"},
    {"nocopy"},
    {"consistent", "cached", "delegated"},
)
"""Those of one set exclude each other (docs.docker.com, `docker run`, "--volume")."""


@attrs.frozen(kw_only=True)
class Volumes:
    """What a container is created with."""

    binds: tuple[str, ...] = ()
    """`source:target[:options]`, where the source is a folder of the engine's machine or a volume's name."""

    folders: tuple[str, ...] = ()
    """Each is a volume without a name, which goes with the container."""


def parsed_volumes(texts: Sequence[str]) -> Volumes:
    """Raises ValueError, in words for who wrote the first text that means nothing."""
    for text in texts:
        if problem := _problem(text):
            raise ValueError(f"the volume {text!r}: {problem}")
    return Volumes(
        binds=tuple(text for text in texts if ":" in text),
        folders=tuple(text for text in texts if ":" not in text),
    )


def _problem(text: str) -> str:
    source, target, options = ("", text, "") if ":" not in text else (*text.split(":"), "")[:3]
    if text.count(":") > 2 or (":" in text and not source):
        return "`source:target`, or `source:target:options`, was expected"
    if not target.startswith("/") or target.strip("/") in ("", ".", ".."):
        return f"its target {target!r} is no absolute path below `/`"
    if source and not source.startswith("/") and not _NAME.fullmatch(source):
        return f"its source {source!r} is neither an absolute path nor the name of a volume"
    return _problem_of(options.split(",")) if text.count(":") == 2 else ""


def _problem_of(options: Sequence[str]) -> str:
    if unknown := [each for each in options if not any(each in group for group in _OPTIONS)]:
        return f"{unknown[0]!r} is no option; known are {', '.join(sorted(set().union(*_OPTIONS)))}"
    for group in _OPTIONS:
        if len(both := [each for each in options if each in group]) > 1:
            return f"only one of {' and '.join(both)} can be"
    return ""
