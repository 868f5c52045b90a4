"""The plugins that the plans of a workstream may call, by name; each workstream may have its own."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

from paas_plans.errors import PluginUnusableError, RegistrationError
from paas_plans.plugin import Plugin, Policy
from paas_plans.secret import said
from paas_plans.values import complaints

_MEMBERS = ("request_type", "response_type", "is_check", "policy", "validate", "init", "execute")


class Registry:
    """Plugins by name."""

    def __init__(self, *plugins: Plugin) -> None:
        self._plugins: dict[str, Plugin] = {}
        self.register(*plugins)

    def register(self, *plugins: Plugin) -> "Registry":
        """All of them or none: raises `RegistrationError` with all that is wrong with any."""
        names = [str(getattr(plugin, "name", "")) for plugin in plugins]
        told = []
        for index, (plugin, name) in enumerate(zip(plugins, names, strict=True)):
            wrong = _wrong_with(plugin)
            if name in self._plugins or name in names[:index]:
                wrong.append("its name is that of another plugin in the registry")
            if wrong:
                told.append(f"{name or repr(plugin)}: {', '.join(wrong)}")
        if told:
            raise RegistrationError(f"not registered: {'; '.join(told)}")
        self._plugins.update(zip(names, plugins, strict=True))
        return self

    def find(self, name: str) -> Plugin | None:
        return self._plugins.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._plugins)

    def __iter__(self) -> Iterator[Plugin]:
        return iter(tuple(self._plugins.values()))

    async def init(self) -> None:
        """Have all of them look, side by side, whether they can work here; raises `PluginUnusableError`."""
        told = await asyncio.gather(*map(_unusable, self))
        if wrong := [text for text in told if text]:
            raise PluginUnusableError(f"cannot work here: {'; '.join(wrong)}")


async def _unusable(plugin: Plugin) -> str | None:
    try:
        if (waited := plugin.init()) is not None:
            await waited
    except Exception as error:  # noqa: BLE001 - a plugin raises what it likes
        return f"{plugin.name}: {said(error)}"
    return None


def _wrong_with(plugin: Any) -> list[str]:
    if plugin is None or isinstance(plugin, type):
        return ["it is no object of a plugin's class: are its parentheses forgotten?"]
    if lacking := [member for member in _MEMBERS if not hasattr(plugin, member)]:
        return [f"it has no {member}" for member in lacking]
    wrong = []
    if not isinstance(name := getattr(plugin, "name", None), str) or not name.strip():
        wrong.append("it has no name")
    if not isinstance(plugin.policy, Policy):
        wrong.append("its policy is not a Policy")
    if inspect.iscoroutinefunction(plugin.validate):
        wrong.append("its validate is a coroutine function, and has to be a plain one")
    for kind in ("request_type", "response_type"):
        wrong += [f"its {kind}: {text}" for text in complaints(getattr(plugin, kind))]
    return wrong
