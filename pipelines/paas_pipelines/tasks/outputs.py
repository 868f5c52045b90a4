"""What a task tells those after it: `name=value` lines, read once, and the variables that are made of them.

Promises: what has no bound is not read; nothing that was not declared, or is of another type, passes; no
message has a value. Scripts see outputs as variables alone, never as a part of their text.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from paas_pipelines.definitions.automation import OutputDefinition
from paas_pipelines.definitions.parameter import ParameterKind
from paas_pipelines.runs.run import Run, Task
from paas_runner import foreign_json
from paas_runner.secret import Secret

PIPELINE_OUTPUT = "PIPELINE_OUTPUT"
"""The variable that has the path of the file with a task's lines."""

MOST_BYTES = 64 * 1024
MOST_NAMES = 100

_SHORTEST, _SHORTEST_LINE = 4, 8  # of a credential, in letters: anything shorter is found in any text


class OutputsError(ValueError):
    """What a task has written are not its outputs; the text says why, and never has a value."""


def lines_of(written: bytes) -> dict[str, str]:
    """The values by name, the last of each; raises `OutputsError`."""
    if len(written) > MOST_BYTES:
        raise OutputsError(f"its outputs are more than {MOST_BYTES // 1024} KiB")
    try:
        text = written.decode()
    except UnicodeDecodeError:
        raise OutputsError("its outputs are no UTF-8 text") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not (line := line.removesuffix("\r")):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.isidentifier():
            raise OutputsError(f"line {number} of its outputs is no `name=value`")
        found[name] = value
    if len(found) > MOST_NAMES:
        raise OutputsError(f"it has written more than {MOST_NAMES} outputs")
    return found


def undeclared(written: bytes, secrets: Iterable[Secret]) -> dict[str, str]:
    """The same of whoever need not declare any; none may have one of the `secrets` in it."""
    found = lines_of(written)
    for name, text in found.items():
        if has_any_of(secrets, text):
            raise OutputsError(f'output "{name}" contains a credential')
    return found


def checked(
    written: bytes, declared: Mapping[str, OutputDefinition], secrets: Iterable[Secret] = ()
) -> dict[str, Any]:
    """The values of all that are declared; raises `OutputsError`.

    None may have one of the `secrets` in it: outputs are kept, and shown to everybody who sees the run.
    """
    return _checked(lines_of(written), declared, secrets)


def checked_values(
    told: Mapping[str, Any], declared: Mapping[str, OutputDefinition], secrets: Iterable[Secret] = ()
) -> dict[str, Any]:
    """The same of values, as a plug-in tells them; raises `OutputsError`."""
    texts = {}
    for name, value in told.items():
        if name in declared and declared[name].kind is ParameterKind.STRING and not isinstance(value, str):
            raise OutputsError(f'output "{name}" must be a string')
        try:
            texts[name] = as_text(value)
        except (TypeError, ValueError, RecursionError):
            raise OutputsError(f'output "{name}" is no value of JSON') from None
    if sum(map(len, texts.values())) > MOST_BYTES:
        raise OutputsError(f"its outputs are more than {MOST_BYTES // 1024} KiB")
    return _checked(texts, declared, secrets)


def _checked(
    told: Mapping[str, str], declared: Mapping[str, OutputDefinition], secrets: Iterable[Secret]
) -> dict[str, Any]:
    hidden, found = tuple(secrets), dict[str, Any]()
    for name, text in told.items():
        if name not in declared:
            raise OutputsError(f'output "{name}" is not declared')
        if has_any_of(hidden, text):
            raise OutputsError(f'output "{name}" contains a credential')
        found[name] = _value(name, declared[name].kind, text)
    for name, definition in declared.items():
        if name not in found:
            if not definition.has_default:
                raise OutputsError(f'output "{name}" was not written')
            found[name] = definition.default
    return found


def variables(run: Run, task: Task) -> Iterator[tuple[str, str]]:
    """`OUTPUT_<TASK>_<NAME>` of all that came before a task; for `on_error` that is the whole run."""
    before = {each.name for each in run.tasks} if run.is_hook(task) else before_task(run, task.name)
    for each in run.tasks:
        if each.name in before:
            for name, value in each.outputs.items():
                yield f"OUTPUT_{_upper(each.name)}_{_upper(name)}", as_text(value)


def before_task(run: Run, name: str) -> frozenset[str]:
    """Those that it depends on, and those they depend on."""
    depends_on = {task.name: task.definition.depends_on for task in run.tasks}
    found: set[str] = set()
    left = list(depends_on.get(name, ()))
    while left:
        if (each := left.pop()) not in found:
            found.add(each)
            left += depends_on.get(each, ())
    return frozenset(found)


def as_text(value: Any) -> str:
    """A value as a variable has it: JSON, unless it is a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def has_any_of(secrets: Iterable[Secret], text: str) -> bool:
    """Whether one of them, or a longer line of one, is a part of the text, in base64, URLs or JSON, too."""
    return any(form in text for secret in secrets for form in _forms(secret.reveal()))


def _forms(value: str) -> Iterator[str]:
    lines = (line.strip() for line in value.splitlines())
    for text in dict.fromkeys([value.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)]):
        if len(text) >= _SHORTEST:
            yield text
            yield base64.b64encode(text.encode(errors="replace")).decode().rstrip("=")
            yield quote(text, safe="", errors="replace")
            yield json.dumps(text)[1:-1]


_KINDS: Mapping[ParameterKind, tuple[type, ...]] = {
    ParameterKind.NUMBER: (int, float),
    ParameterKind.BOOLEAN: (bool,),
    ParameterKind.LIST: (list,),
    ParameterKind.OBJECT: (dict,),
}


def _value(name: str, kind: ParameterKind, text: str) -> Any:
    if kind is ParameterKind.STRING:
        return text
    try:
        value = foreign_json.loads(text.encode())
        as_text(value).encode()  # without halves of characters
    except ValueError:
        value = None
    if not isinstance(value, _KINDS[kind]) or (kind is ParameterKind.NUMBER and isinstance(value, bool)):
        article = "an" if kind is ParameterKind.OBJECT else "a"
        raise OutputsError(f'output "{name}" must be {article} {kind}')
    return value


def _upper(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).upper()
