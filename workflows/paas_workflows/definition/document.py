"""A text in JSON or YAML into nodes that know their lines, and nodes into plain values of JSON.

JSON is read twice: strictly, for its values and errors, and as the YAML that it nearly is, for its lines.
"""

import json
import math
from typing import Any

import attrs
import yaml

from paas_runner import foreign_json
from paas_runner.errors import UsageError
from paas_runner.pipelines.gitlab_ci.yaml_text import LOADER, UNREADABLE, in_words

MOST_NODES = 50_000
MOST_BYTES = 4 * 1024 * 1024
_YAML = "tag:yaml.org,2002:"
NULL, _MERGE = f"{_YAML}null", f"{_YAML}merge"
_TYPED = {f"{_YAML}bool", f"{_YAML}int", f"{_YAML}float"}


class DocumentError(UsageError):
    """A file that is neither JSON nor YAML; the text begins with `file:line`."""

    names_its_place = True


@attrs.frozen(kw_only=True)
class Document:
    """One file; `values` is None for YAML, whose nodes are all there is."""

    name: str
    root: yaml.Node | None
    values: Any = None


def parsed(name: str, data: bytes) -> Document:
    """Raises `DocumentError`. The name's ending decides, else the first character that is not white space."""
    if len(data) > MOST_BYTES:
        raise DocumentError(f"{name}: larger than {MOST_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"{name}:{line}: not UTF-8") from None
    values = _json(name, data) if _is_json(name, text) else None
    try:
        # in JSON a tab is never part of a text; halves of characters are for the parser in Python alone
        loader = yaml.SafeLoader if "\\ud" in text.lower() else LOADER
        root = yaml.compose(text if values is None else text.replace("\t", " "), Loader=loader)
        if root is not None:
            _flatten(root, [], [MOST_NODES])
    except UNREADABLE as error:
        words, number = in_words(error)
        raise DocumentError(f"{name}:{number or 1}: {words}") from None
    return Document(name=name, root=root, values=values)


def object_in(name: str, data: bytes) -> dict[str, Any]:
    """The object that a file is, as for `--context`; raises `DocumentError`."""
    document = parsed(name, data)
    found = document.values if document.values is not None else plain(document.root, name)
    if not isinstance(found, dict):
        raise DocumentError(f"{name}:1: an object was expected")
    return found


def plain(node: yaml.Node | None, name: str) -> Any:
    """A node as a value of JSON; dates are the texts that they were written as. Raises `DocumentError`."""
    match node:
        case None:
            return {}
        case yaml.MappingNode():
            return {written(key): plain(value, name) for key, value in node.value}
        case yaml.SequenceNode():
            return [plain(item, name) for item in node.value]
    if node.tag == NULL:
        return None
    try:
        value = yaml.SafeLoader("").construct_object(node) if node.tag in _TYPED else written(node)
    except (ValueError, LookupError):  # a tag that it does not fit, or more digits than are read
        kind = node.tag.removeprefix(_YAML)
        raise DocumentError(f"{name}:{line_of(node)}: what is written as `{kind}` is none") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"{name}:{line_of(node)}: {written(node)} is no number of JSON")
    return value


def written(node: yaml.Node) -> str:
    """A scalar as it was written; the two halves that JSON makes of some characters are one again."""
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def line_of(node: yaml.Node) -> int:
    """From 1."""
    return int(node.start_mark.line) + 1


def _is_json(name: str, text: str) -> bool:
    ending = name.lower().partition("?")[0].rpartition(".")[2]
    return ending == "json" or (ending not in ("yaml", "yml") and text.lstrip().startswith("{"))


def _json(name: str, data: bytes) -> Any:
    try:
        return foreign_json.loads(data)
    except json.JSONDecodeError as error:
        raise DocumentError(f"{name}:{error.lineno}: not JSON: {error.msg}") from None
    except ValueError as error:
        raise DocumentError(f"{name}:1: not JSON: {error}") from None


def _flatten(node: yaml.Node, above: list[yaml.Node], left: list[int]) -> None:
    """What `<<` brings in is put in its place, and what aliases stand for is counted."""
    left[0] -= 1
    if left[0] < 0 or node in above:
        raise yaml.YAMLError("aliases stand for more than a file may be")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a simple text", problem_mark=key.start_mark)
            _flatten(value, [*above, node], left)
            if key.tag == _MERGE:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                left[0] -= sum(len(each.value) for each in merged)
        if left[0] >= 0:
            yaml.SafeLoader("").flatten_mapping(node)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _flatten(item, [*above, node], left)
