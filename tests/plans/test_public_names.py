"""All that users need is in `paas_plans` itself, and says what it is."""

import ast
import importlib
import importlib.util
import inspect
from typing import TypeVar

import paas_plans
import pytest

FACES = {
    "builder": set(),
    "clone": set(),
    "document": {"Fields", "Part", "changes", "document", "plan_of", "summary_to_json"},
    "errors": set(),
    "ids": set(),
    "plan": {"CHILDREN", "DEFAULT_DELAY", "DEFAULT_TIMEOUT", "LONGEST", "OF_THE_ENGINE"},
    "plugin": set(),
    "registry": set(),
    "secret": {
        "fields_of",
        "is_secret",
        "lacks_mark",
        "said",
        "scrubbed",
        "secret_texts",
        "without",
        "copied",
    },
    "stores.memory": {"AnySQLiteStore", "committed", "selected"},
    "stores.protocol": {"Changes", "Document"},
    "walk": {"with_parts"},
    "workstream": {"log"},
}
"""The modules that users meet, and what in them is for the library's own use."""


def is_there(name):
    return importlib.util.find_spec(f"paas_plans.{name}") is not None


def names_in(module):
    """What its text defines for others: classes, functions, types and constants."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        else:
            names = []
        yield from (
            name for name in names if name[0] != "_" and not isinstance(getattr(module, name), TypeVar)
        )


@pytest.mark.parametrize("face", [name for name in FACES if is_there(name)])
def test_all_that_users_need_of_a_module_can_be_imported_from_the_package(face):
    module = importlib.import_module(f"paas_plans.{face}")
    missing = set(names_in(module)) - set(paas_plans.__all__) - FACES[face]
    assert not missing, f"export {missing} in paas_plans/__init__.py, or list it above as the library's own"
    for name in set(names_in(module)) - FACES[face]:
        assert getattr(paas_plans, name) is getattr(module, name)


def test_every_public_class_and_function_says_what_it_is():
    public = [getattr(paas_plans, name) for name in paas_plans.__all__]
    described = [value for value in public if inspect.isclass(value) or inspect.isfunction(value)]
    assert len(described) > 40
    assert [value.__name__ for value in described if not says_what_it_is(value)] == []


def says_what_it_is(value):
    """In words of its own, not those of its parent."""
    words = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    return bool(words and words.strip())


def test_no_public_name_is_listed_twice():
    assert len(paas_plans.__all__) == len(set(paas_plans.__all__))
