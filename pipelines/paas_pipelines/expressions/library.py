"""cel-expr-python (CEL over its C++ code): the one module that knows it, so that it can be replaced.

It returns errors of computing as values, and has no types of numbers that JSON has: hence two environments.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from paas_pipelines.expressions.extra import extra

_MACROS = ("has", "exists", "all")
_STANDARD = (
    *("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_&&_", "_||_", "!_", "_?_:_"),
    *("startsWith", "endsWith", "contains", "matches", "string", "double", "@not_strictly_false"),
)
_COUNTING = ("_[_]", "size", "int")
_SAID = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '(.*)\((.*)\)'")
_CODE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_WORDS = {"double": "number", "int": "number", "bool": "boolean", "dyn": "any", "null_type": "null"}
_KIND = re.compile(r"\w+")


class Kind(StrEnum):
    """What a value is."""

    BOOLEAN = "boolean"
    STRING = "string"
    NUMBER = "number"
    LIST = "list"
    OBJECT = "object"
    ANY = "any"


_KINDS = {"BOOL": Kind.BOOLEAN, "STRING": Kind.STRING, "DOUBLE": Kind.NUMBER}


class LibraryError(Exception):
    """What the library says, without its codes; `column` counts from 1, of a source that is wrong."""

    def __init__(self, text: str, column: int | None = None) -> None:
        super().__init__(text)
        self.column = column


class Program(Protocol):
    """A compiled source, of variables `v0`, `v1` …"""

    def return_type(self) -> Any:
        """The library's."""

    def eval(self, *, data: Mapping[str, Any]) -> Any:
        """The library's value, an error among them."""


def program(source: str, kinds: tuple[Kind, ...], *, checks: bool) -> Program:
    """With `checks` all numbers are of one kind, written with a fraction, and nothing can be computed.

    Without, they are of any kind: 1 and 1.0 are equal. Raises `LibraryError` and `MissingExtraError`.
    """
    environment = _checking(kinds) if checks else _computing(kinds)
    try:
        found: Program = environment.compile(source)
    except RuntimeError as error:
        said = _SAID.search(str(error))
        column = int(said[2]) if said and int(said[2]) > 0 else None
        raise LibraryError(_plain(said[3] if said else str(error)), column) from None
    return found


def kind_of(checked: Program) -> Kind:
    """Of what a program with `checks` gives."""
    name = checked.return_type().name()
    if name.startswith("LIST"):
        return Kind.LIST
    return Kind.OBJECT if name.startswith("MAP") else _KINDS.get(name, Kind.ANY)


def computed(found: Program, data: Mapping[str, Any]) -> Any:
    """The value as Python's; raises `LibraryError` for an error, which is a value there."""
    try:
        result = found.eval(data=data)
        kind, value = result.type().name(), result.plain_value()
    except (RuntimeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LibraryError(_plain(str(error))) from None
    if kind == "ERROR":
        raise LibraryError(_plain(str(value)))
    return value


def _plain(text: str) -> str:
    text = _CODE.sub("", _CODE.sub("", text.split("\n", maxsplit=1)[0])).replace(" found in Activation", "")
    text = text.split(" expecting {")[0].replace("'<EOF>'", "the end")
    if (overload := _OVERLOAD.search(text)) is None:
        return text
    what = overload[1].strip("_").replace("_", " ").lstrip("@")
    of = overload[2].rstrip(".")
    kinds = [of, overload[3]] if of else [overload[3]]
    return f"{what} does not go with {_KIND.sub(lambda kind: _WORDS.get(kind[0], kind[0]), ', '.join(kinds))}"


@functools.lru_cache(maxsize=256)
def _computing(kinds: tuple[Kind, ...]) -> Any:
    cel = extra("cel_expr_python.cel", "an expression")
    variables = {f"v{number}": _type(cel, kind, cel.Type.DYN) for number, kind in enumerate(kinds)}
    return cel.NewEnv(config=_config(cel, (*_STANDARD, *_COUNTING)), variables=variables)


@functools.lru_cache(maxsize=256)
def _checking(kinds: tuple[Kind, ...]) -> Any:
    cel = extra("cel_expr_python.cel", "an expression")
    types = cel.Type
    text, number, of_any = types.STRING, types.DOUBLE, types.DYN
    items, members = types.List(of_any), types.Map(text, of_any)
    counted = [[text], [items], [members]]
    functions = [
        _function(cel, "_[_]", of_any, [[items, number], [members, text]]),
        _function(cel, "int", number, [[text], [number]]),
        _function(cel, "size", number, counted, as_methods=counted),
    ]
    variables = {f"v{at}": _type(cel, kind, number) for at, kind in enumerate(kinds)}
    return cel.NewEnv(config=_config(cel, _STANDARD), variables=variables, functions=functions)


def _function(
    cel: Any, name: str, result: Any, sorts: Sequence[list[Any]], as_methods: Sequence[list[Any]] = ()
) -> Any:
    overloads = [
        cel.Overload(f"{name}_{at}", return_type=result, parameters=parameters, is_member=at >= len(sorts))
        for at, parameters in enumerate([*sorts, *as_methods])
    ]
    return cel.FunctionDecl(name, overloads)


def _type(cel: Any, kind: Kind, number: Any) -> Any:
    types = {
        Kind.BOOLEAN: cel.Type.BOOL,
        Kind.STRING: cel.Type.STRING,
        Kind.NUMBER: number,
        Kind.LIST: cel.Type.List(cel.Type.DYN),
        Kind.OBJECT: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        Kind.ANY: cel.Type.DYN,
    }
    return types[kind]


def _config(cel: Any, functions: Sequence[str]) -> Any:
    names = "".join(f'\n    - name: "{name}"' for name in functions)
    macros = f"include_macros: [{', '.join(_MACROS)}]"
    return cel.NewEnvConfigFromYaml(f"name: expressions\nstdlib:\n  {macros}\n  include_functions:{names}\n")
