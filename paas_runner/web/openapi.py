"""The OpenAPI 3.1 document of the API, made of the classes whose values are the answers."""

import enum
import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from paas_runner import __version__
from paas_runner.web.parameters import Parameter

_PLAIN: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    Path: {"type": "string"},
    types.NoneType: {"type": "null"},
}

PROBLEM_TYPE = "application/problem+json"

_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "What was wrong (RFC 9457); `where` names the parameter, if it was one.",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "where": {
            "type": "object",
            "required": ["in", "name"],
            "properties": {"in": {"type": "string"}, "name": {"type": "string"}},
        },
    },
}

_PROBLEMS: Mapping[int, str] = {
    400: "A parameter is wrong.",
    401: "The token is missing or wrong.",
    404: "Nothing is known of it.",
    421: "The request names another host than this machine.",
    429: "Too many wrong tokens came from there.",
    503: "The store cannot be read, or too much is asked for at a time.",
}


@attrs.frozen(kw_only=True)
class Described:
    """One operation, a GET, as the document tells of it."""

    path: str
    name: str
    summary: str
    answer: Any
    """The type of what is answered."""

    parameters: Sequence[Parameter] = ()


class Schemas:
    """JSON Schemas of types, those of classes by name in `components`."""

    def __init__(self) -> None:
        self.components: dict[str, Mapping[str, Any]] = {}

    def of(self, kind: Any) -> Mapping[str, Any]:
        """The schema of a type; raises TypeError for one that no answer may have."""
        if kind in _PLAIN:
            return _PLAIN[kind]
        if get_origin(kind) in (Union, types.UnionType):
            return {"anyOf": [self.of(each) for each in get_args(kind)]}
        if get_origin(kind) in (Sequence, tuple):
            return {"type": "array", "items": self.of(get_args(kind)[0])}
        if get_origin(kind) is Mapping:
            return {"type": "object", "additionalProperties": self.of(get_args(kind)[1])}
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return {"type": "string", "enum": [str(each) for each in kind]}
        if isinstance(kind, type) and attrs.has(kind):
            return self._reference(kind)
        raise TypeError(f"{kind} has no schema")

    def _reference(self, kind: type[Any]) -> Mapping[str, Any]:
        if kind.__name__ not in self.components:
            self.components[kind.__name__] = {}  # so that a class may contain itself
            hints = get_type_hints(kind)
            fields = [field.name for field in attrs.fields(kind)]
            self.components[kind.__name__] = {
                "type": "object",
                "description": (kind.__doc__ or "").strip(),
                "required": fields,
                "properties": {name: self.of(hints[name]) for name in fields},
                "additionalProperties": False,
            }
        return {"$ref": f"#/components/schemas/{kind.__name__}"}


def document(operations: Iterable[Described]) -> Mapping[str, Any]:
    """Everything that the API answers."""
    schemas = Schemas()
    paths = {
        operation.path: {
            "get": {
                "operationId": operation.name,
                "summary": operation.summary,
                "parameters": [_parameter(each) for each in operation.parameters],
                "responses": _responses(schemas.of(operation.answer)),
            }
        }
        for operation in operations
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PaaS Runner",
            "version": __version__,
            "description": "How the service is, read only: the values of the commands' `--json`.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _parameter(parameter: Parameter) -> Mapping[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.doc,
        "schema": parameter.schema,
    }


def _responses(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    problems = {str(status): {"description": said, "content": problem} for status, said in _PROBLEMS.items()}
    good = {"description": "The answer.", "content": {"application/json": {"schema": answer}}}
    return {"200": good, **problems}
