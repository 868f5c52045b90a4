"""Which requests of others' interfaces the code makes, read out of its text: methods and paths.

A call that sends a request has its method and its path as its first two arguments (`call`, `request`,
`stream`, `build_request`) or by name, or is called as the method on something that is called a client
(`client.post`). Arguments are followed back through the functions of their module, and to the attributes and
constants that they are made of.
What only a run can tell becomes `{}`.
"""

import ast
import importlib
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
UNKNOWN = frozenset({"{}"})
_SENDING = ("call", "request", "stream", "build_request")
_MAY_SEND = re.compile(
    rf"\.(?:{'|'.join(_SENDING)})\(|(?:client|httpx)\.(?:{'|'.join(map(str.lower, METHODS))})\("
)
_NAMES = (("method",), ("path", "url"))
_UNWRAPPED = ("url", "copy_merge_params", "rstrip", "strip")  # the address is what they are called on
_DEEPEST = 12

Values = frozenset[str]
Function = ast.AsyncFunctionDef | ast.FunctionDef


@attrs.frozen(order=True)
class Request:
    """`path` is without its query, and begins where the client's own address ends."""

    method: str
    path: str


def requests_of(path: Path, module: str) -> set[Request]:
    """All that are made in this module; raises ValueError for one whose method cannot be read."""
    text = path.read_text()
    if not _MAY_SEND.search(text):  # most modules: they need not be understood
        return set()
    found = set(_Module(ast.parse(text), importlib.import_module(module)).requests())
    if unclear := [request for request in found if request.method not in METHODS]:
        raise ValueError(f"{path}: a request whose method cannot be read: {unclear}")
    return found


@attrs.define
class _Module:
    tree: ast.Module
    loaded: object
    functions: dict[str, list[Function]] = attrs.field(factory=dict)
    """By name: several classes may have one of a name."""

    attributes: dict[str, list[tuple[ast.expr, Function]]] = attrs.field(factory=dict)
    read: set[Function] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        holders = [self.tree, *(each for each in ast.walk(self.tree) if isinstance(each, ast.ClassDef))]
        for node in itertools.chain(*(holder.body for holder in holders)):
            if isinstance(node, Function):  # with those that are in them
                self.functions.setdefault(node.name, []).append(node)
                for name, value in _assigned(node):
                    if name.startswith("self."):
                        self.attributes.setdefault(name, []).append((value, node))

    def requests(self) -> Iterator[Request]:
        """Those of all functions that no other one here calls, then of what was not reached by these."""
        every = [node for nodes in self.functions.values() for node in nodes]
        called = {_callee(call) for node in every for call in _calls(node)}
        for node in sorted(every, key=lambda node: node.name in called):
            if node.name not in called or node not in self.read:
                yield from self._of(node, {}, 0)

    def _of(self, node: Function, known: Mapping[str, Values], depth: int) -> Iterator[Request]:
        if depth > _DEEPEST:
            return
        self.read.add(node)
        local = _Scope(self, node, known)
        for call in _calls(node):
            if where := local.sent(call):
                yield from (Request(method, _plain(path)) for method, path in itertools.product(*where))
                continue
            for inner in self.functions.get(_callee(call), ()):
                if inner is not node:
                    yield from self._of(inner, local.given(call, inner), depth + 1)


@attrs.frozen
class _Scope:
    module: _Module
    node: ast.AST
    known: Mapping[str, Values]
    depth: int = 0

    def sent(self, call: ast.Call) -> tuple[Values, Values] | None:
        """The methods and the paths of a call that sends a request."""
        if not isinstance(call.func, ast.Attribute):
            return None
        name = call.func.attr
        named = [each.value for word in _NAMES for each in call.keywords if each.arg in word]
        given = [*call.args, *named][:2]
        if name in _SENDING and len(given) == len(_NAMES):
            methods = self.values(given[0])
            if methods & METHODS or (methods == UNKNOWN and ast.unparse(given[0]).endswith("method")):
                return methods, self.values(given[1])
        if name.upper() in METHODS and call.args and _is_client(call.func.value):
            return frozenset({name.upper()}), self.values(call.args[0])
        return None

    def given(self, call: ast.Call, inner: Function) -> dict[str, Values]:
        """What the parameters of a function are in this call of it."""
        names = [each.arg for each in (*inner.args.posonlyargs, *inner.args.args) if each.arg != "self"]
        pairs = [*zip(names, call.args, strict=False), *((each.arg, each.value) for each in call.keywords)]
        return {name: self.values(value) for name, value in pairs if name}

    def values(self, node: ast.expr) -> Values:
        """What a text can be."""
        if self.depth > _DEEPEST:
            return UNKNOWN
        deeper = attrs.evolve(self, depth=self.depth + 1)
        match node:
            case ast.Constant(value=str(text)):
                return frozenset({text})
            case ast.JoinedStr(values=parts):
                return _joined([deeper.values(part) for part in parts])
            case ast.FormattedValue(value=inner):
                return deeper.values(inner)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return _joined([deeper.values(left), deeper.values(right)])
            case ast.IfExp(body=one, orelse=other):
                return deeper.values(one) | deeper.values(other)
            case ast.Name(id=name):
                return deeper._named(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if (
                f"self.{name}" in self.module.attributes
            ):
                return frozenset().union(
                    *(
                        attrs.evolve(deeper, node=function, known={}).values(value)
                        for value, function in self.module.attributes[f"self.{name}"]
                    )
                )
            case ast.Attribute(value=inner, attr=name) if name in _UNWRAPPED:
                return deeper.values(inner)
            case ast.Call(func=ast.Attribute(attr="build_request"), args=[_, path, *_]):
                return deeper.values(path)
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _UNWRAPPED:
                return deeper.values(inner)
            case ast.Call() if functions := self.module.functions.get(_callee(node)):
                return frozenset().union(*(deeper._returned(node, each) for each in functions)) or UNKNOWN
        return UNKNOWN

    def _returned(self, call: ast.Call, function: Function) -> Values:
        inside = attrs.evolve(self, node=function, known=self.given(call, function))
        returned = [each.value for each in ast.walk(function) if isinstance(each, ast.Return) and each.value]
        return frozenset().union(*map(inside.values, returned))

    def _named(self, name: str) -> Values:
        if name in self.known:
            return self.known[name]
        own = [value for target, value in _assigned(self.node) if target == name]
        if own:
            return self.values(own[0])  # later ones follow a redirect
        constant = getattr(self.module.loaded, name, None)
        return frozenset({constant}) if isinstance(constant, str) else UNKNOWN


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Assign):
            for target in each.targets:
                yield ast.unparse(target), each.value
        elif isinstance(each, ast.AnnAssign) and each.value:
            yield ast.unparse(each.target), each.value


def _calls(node: ast.AST) -> list[ast.Call]:
    return [each for each in ast.walk(node) if isinstance(each, ast.Call)]


def _callee(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(value=ast.Name(id="self"), attr=name) | ast.Name(id=name):
            return name
    return ""


def _is_client(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_") in ("client", "httpx")
    return False


def _joined(parts: list[Values]) -> Values:
    return frozenset("".join(each) for each in itertools.product(*parts))


def _plain(path: str) -> str:
    return path.partition("?")[0]
