"""Job variables and their expansion, with the rules of Go's `os.Expand` as GitLab Runner uses it.

One pass over the text: `$NAME` (letters, digits, `_`) and `${anything}`; unknown names become empty, `$$`
becomes `$`, the shell's special parameters become empty. Source: gitlab-runner `common/spec/variables.go`,
Go `os/env.go`; spec `gitlab-runner-api.md` §10.7.
"""

from collections.abc import Callable, Iterable, Mapping

import attrs

_SPECIAL = frozenset("*#$@!?-0123456789")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@attrs.frozen(kw_only=True)
class Variable:
    """One entry of the payload's `variables`; the value stays out of reprs, it may be a credential."""

    key: str
    value: str = attrs.field(repr=False)
    public: bool = False
    masked: bool = False
    file: bool = False
    raw: bool = False


def expand(text: str, lookup: Callable[[str], str]) -> str:
    """Replace each reference in `text` by what `lookup` says of its name; never fails."""
    parts: list[str] = []
    rest = text
    while (dollar := rest.find("$")) >= 0 and dollar + 1 < len(rest):
        parts.append(rest[:dollar])
        name, width = _reference(rest[dollar + 1 :])
        if name:
            parts.append(_value(name, lookup))
        elif width == 0:
            parts.append("$")  # a dollar that no name follows stays
        rest = rest[dollar + 1 + width :]
    return "".join(parts) + rest


def _value(name: str, lookup: Callable[[str], str]) -> str:
    if name == "$":
        return "$"
    return "" if name in _SPECIAL else lookup(name)


def _reference(text: str) -> tuple[str, int]:
    """The name at the start of `text` (what follows a dollar) and how many characters it takes.

    An empty name with a width is bad syntax, which Go drops; with no width it is no reference at all.
    """
    if text[0] == "{":
        end = text.find("}")
        if end < 0:
            return "", 1
        return text[1:end], end + 1
    if text[0] in _SPECIAL:
        return text[0], 1
    width = next((index for index, char in enumerate(text) if char not in _NAME), len(text))
    return text[:width], width


def values(variables: Iterable[Variable]) -> Mapping[str, str]:
    """Each variable's expanded value; of equal keys the last wins, `raw` ones are taken literally."""
    last = {variable.key: variable for variable in variables}
    literal = {key: variable.value for key, variable in last.items()}
    return {
        key: variable.value if variable.raw else expand(variable.value, lambda name: literal.get(name, ""))
        for key, variable in last.items()
    }
