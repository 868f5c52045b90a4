"""The variables of containers, by where they come from (spec kog-jobs.md §6); no value is ever quoted.

A later source wins: the caller's environment, dotenv files in their order, the action's own, `--env`.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import attrs

from paas_runner.errors import UsageError
from paas_runner.secret import Secret

_NAME = re.compile(r"[^\s=\0]+")
_NOTHING = re.compile(r"[^\S\n]*(?:\#[^\n]*)?(?:\n|\Z)")
_ENTRY = re.compile(
    r"""[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_][\w.]*)[^\S\n]*=[^\S\n]*
    (?:'(?P<raw>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>(?!['"])[^\n]*))
    [^\S\n]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@attrs.frozen(kw_only=True)
class Environment:
    """What every container gets beside its action's own."""

    below: Mapping[str, Secret] = attrs.field(factory=dict)
    above: Mapping[str, Secret] = attrs.field(factory=dict)

    def of(self, env: Mapping[str, str]) -> Mapping[str, Secret]:
        """With those of an action."""
        return {**self.below, **{name: Secret(value) for name, value in env.items()}, **self.above}


def environment(
    *,
    variables: Sequence[str],
    files: Sequence[tuple[str, bytes]],
    imported: Mapping[str, str] | None,
    ignored: Sequence[str],
) -> Environment:
    """Of `--env`, the names and contents of `--env-file`, the caller's environment, and `--ignore-env`.

    Raises `UsageError`.
    """
    patterns = [pattern.strip() for each in ignored for pattern in each.split(",")]
    below = {
        name: Secret(value)
        for name, value in (imported or {}).items()
        if not any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    for name, data in files:
        below |= _dotenv(name, data)
    above = {}
    for each in variables:
        name, separator, value = each.partition("=")
        if not separator or not _NAME.fullmatch(name):
            raise UsageError("--env wants NAME=value")
        above[name] = Secret(value)
    return Environment(below=below, above=above)


def _dotenv(file: str, data: bytes) -> dict[str, Secret]:
    """What those of Python, Node.js, Go and Ruby agree on: `NAME=value`, with `export` or without.

    A value in quotes may go over lines, and a backslash has a meaning in double ones (`_ESCAPES`). Without
    quotes it ends where ` #` begins a comment. Nothing is put in for `$NAME`: there they do not agree.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line}: not UTF-8") from None
    found, at = {}, 0
    while at < len(text):
        if nothing := _NOTHING.match(text, at):
            at = nothing.end()
            continue
        entry = _ENTRY.match(text, at)
        if not entry or "\0" in entry[0]:
            raise UsageError(f"{file}:{text.count(chr(10), 0, at) + 1}: NAME=value was expected")
        found[entry["name"]] = Secret(_value(entry))
        at = entry.end()
    return found


def _value(entry: re.Match[str]) -> str:
    if entry["raw"] is not None:
        return entry["raw"]
    if entry["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), entry["double"])
    return _COMMENT.sub("", entry["plain"]).strip()
