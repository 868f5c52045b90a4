"""Plugins are looked at before any plan can call them, and all that is wrong with them is told at once."""

import asyncio
from typing import Any

import attrs
import pytest
from paas_plans.errors import PluginUnusableError, RegistrationError
from paas_plans.plugin import BasePlugin
from paas_plans.registry import Registry
from paas_plans.secret import not_secret, secret


class Named(BasePlugin):
    name = ""  # type: ignore[assignment]

    def __init__(self, name: str, **answers: Any):
        self.name = name  # type: ignore[misc]
        for answer, value in answers.items():
            setattr(self, answer, value)

    def execute(self, request, context):
        return None


class FromItsModule(BasePlugin):
    def execute(self, request, context):
        return None


def test_plugins_are_found_by_name():
    copy, delete = Named("copy"), Named("delete")
    registry = Registry(copy).register(delete)
    assert registry.find("copy") is copy
    assert registry.find("format") is None
    assert registry.names == ("copy", "delete")
    assert list(registry) == [copy, delete]


def test_registries_side_by_side_may_have_different_plugins_of_one_name():
    one, other = Named("copy"), Named("copy")
    assert (Registry(one).find("copy"), Registry(other).find("copy")) == (one, other)


def test_the_usual_name_begins_with_the_import_path():
    assert Registry(FromItsModule()).names == (f"{__name__}.FromItsModule",)


@pytest.mark.parametrize("plugins", [(Named("copy"), Named("copy")), (Named("copy"), Named("new"))])
def test_a_name_is_given_once_and_nothing_of_a_refused_call_is_registered(plugins):
    registry = Registry() if plugins[1].name == "copy" else Registry(Named("copy"))
    with pytest.raises(RegistrationError, match="copy: its name is that of another plugin in the registry"):
        registry.register(*plugins)
    assert registry.find("new") is None


@attrs.frozen
class Suspicious:
    password: str
    exit_code: int = not_secret(default=0)
    token: str = secret(default="")


class Odd:
    """A request without fields."""


async def slow_look(request):
    return None


@pytest.mark.parametrize(
    ("plugin", "wrong"),
    [
        (None, ["no object of a plugin's class"]),
        (FromItsModule, ["no object of a plugin's class"]),
        (Odd(), ["no policy", "no execute", "no request_type"]),
        (Named(" "), ["it has no name"]),
        (Named(3), ["it has no name"]),
        (Named("a", policy=3), ["its policy is not a Policy"]),
        (Named("a", validate=slow_look), ["its validate is a coroutine function"]),
        (
            Named("a", policy=None, request_type=Suspicious, response_type=list[Odd]),
            [
                "not registered: a: ",
                "its policy is not a Policy",
                "its request_type: password looks like a secret: mark it with secret() or not_secret()",
                "its response_type: Odd cannot be stored",
            ],
        ),
    ],
)
def test_all_that_is_wrong_with_a_plugin_is_told_at_once(plugin, wrong):
    with pytest.raises(RegistrationError) as told:
        Registry(plugin)
    assert [text for text in wrong if text not in str(told.value)] == []


WORDS = "auth bearer code cred cert hash jwt key pass secret secure signing token"


@pytest.mark.parametrize("word", WORDS.split())
def test_a_field_named_like_a_secret_has_to_say_whether_it_is_one(word):
    silent = attrs.make_class("Request", {f"my_{word.upper()}_x": attrs.field(type=str)})
    with pytest.raises(RegistrationError, match="looks like a secret"):
        Registry(Named("a", request_type=silent))
    for marked in (secret, not_secret):
        told = attrs.make_class("Request", {f"my_{word}_x": marked(type=str)})
        assert Registry(Named("a", request_type=told)).names == ("a",)


async def test_each_plugin_looks_whether_it_can_work_here_and_all_that_cannot_are_named():
    looked = []

    class Looks(Named):
        def init(self):
            looked.append(self.name)

    class LooksLong(Looks):
        async def init(self):
            await asyncio.sleep(0)
            looked.append(self.name)

    class Cannot(Looks):
        def init(self):
            raise FileNotFoundError("git is not installed")

    class CannotInTheEnd(Looks):
        async def init(self):
            await asyncio.sleep(0)
            raise TimeoutError

    await Registry(Looks("a"), LooksLong("b"), Named("c")).init()
    assert looked == ["a", "b"]
    with pytest.raises(PluginUnusableError, match="git: git is not installed; cloud: TimeoutError"):
        await Registry(Looks("a"), Cannot("git"), CannotInTheEnd("cloud")).init()
