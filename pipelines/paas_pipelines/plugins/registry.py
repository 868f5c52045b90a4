"""Which plug-ins are installed, which of them may be used, and how one is loaded and built.

A plug-in is imported when something of its name is used, never before. Whatever it raises then is told with
the name of its distribution: `PluginError`.
"""

import enum
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

import attrs

from paas_runner.settings import PluginKind, keys_of

GROUP = "paas_pipelines."
"""Before the kind; `paas_runner.executors` are the runner's own, another contract."""

_MOST_LICENCE = 60
_LICENCE_CLASSIFIER = "License :: OSI Approved :: "


class Kind(enum.StrEnum):
    """What may be added."""

    ACTIONS = "actions"
    EXECUTORS = "executors"
    NOTIFIERS = "notifiers"
    CREDENTIALS = "credentials"

    @property
    def one(self) -> str:
        """In the singular."""
        return self.value.removesuffix("s")


class PluginError(ImportError):
    """A plug-in that cannot be used; the text names it and its distribution, and no value of a setting."""


@attrs.frozen(kw_only=True)
class Plugin:
    """One that is installed."""

    kind: Kind
    name: str
    distribution: str
    version: str = ""
    licence: str = ""
    refused: str = ""
    """Why it may not be used."""

    entry: EntryPoint = attrs.field(repr=False, eq=False)

    def __str__(self) -> str:
        return f'{self.kind.one} "{self.name}" of {self.distribution}'

    def loaded(self) -> PluginKind:
        """What its entry point names; raises `PluginError`."""
        if self.refused:
            raise PluginError(f"{self} {self.refused}")
        try:
            found = self.entry.load()
            keys_of(found.settings)
            if not callable(found.build):
                raise TypeError("its `build` cannot be called")  # noqa: TRY301 - told as all of it
        except (Exception, SystemExit) as error:
            raise PluginError(f"{self} cannot be loaded: {_told(error)}") from error
        return found  # type: ignore[no-any-return]

    def built(self, settings: Any) -> Any:
        """What does the work; raises `PluginError`."""
        kind: Any = self.loaded()
        try:
            return kind.build(settings)
        except (Exception, SystemExit) as error:
            raise self.broken(error) from error

    def broken(self, error: BaseException) -> PluginError:
        """What it has raised, in words: its text may have anything in it, and goes into the log alone."""
        return PluginError(f"{self} is broken: {type(error).__name__}")


@attrs.define(eq=False)
class Built:
    """A plug-in with its settings; built when it is used first, again where that has failed."""

    plugin: Plugin
    settings: Any
    _made: Any = attrs.field(init=False, default=None, repr=False)

    @property
    def is_made(self) -> bool:
        """Whether it was used."""
        return self._made is not None

    def get(self) -> Any:
        """Raises `PluginError`."""
        if self._made is None:
            self._made = self.plugin.built(self.settings)
        return self._made


@attrs.frozen(kw_only=True)
class Registry:
    """All that are installed."""

    plugins: tuple[Plugin, ...] = ()

    @classmethod
    def find(
        cls, allow: Collection[str] | None = None, taken: Mapping[Kind, Collection[str]] | None = None
    ) -> "Registry":
        """Those on this machine; `allow` are distributions (None: all), `taken` names of built-ins."""
        allowed = None if allow is None else {_normal(each) for each in allow}
        found = [
            _plugin(kind, entry, allowed, (taken or {}).get(kind, ()))
            for kind in Kind
            for entry in _entries(kind)
        ]
        usable = Counter((each.kind, each.name) for each in found if not each.refused)
        ambiguous = "has the name of one of another distribution: allow one of them"
        return cls(
            plugins=tuple(
                attrs.evolve(each, refused=ambiguous)
                if not each.refused and usable[each.kind, each.name] > 1
                else each
                for each in sorted(found, key=lambda each: (each.kind, each.name, each.distribution))
            )
        )

    def of(self, kind: Kind) -> Mapping[str, Plugin]:
        """By name; of several with one name that which may be used."""
        own = [each for each in self.plugins if each.kind is kind and each.refused != TAKEN]
        return {each.name: each for each in sorted(own, key=lambda each: not each.refused)}

    def unknown(self, allow: Iterable[str]) -> list[str]:
        """Those of the distributions that bring nothing."""
        there = {_normal(each.distribution) for each in self.plugins}
        return [each for each in allow if _normal(each) not in there]


TAKEN = "has the name of what is built in"


def _entries(kind: Kind) -> list[EntryPoint]:
    return list(entry_points(group=GROUP + kind))


def _plugin(kind: Kind, entry: EntryPoint, allowed: Collection[str] | None, taken: Collection[str]) -> Plugin:
    distribution = entry.dist
    name = distribution.name if distribution else entry.module
    refused = ""
    if entry.name in taken:
        refused = TAKEN
    elif allowed is not None and _normal(name) not in allowed:
        refused = f"is not allowed: `plugins.allow` has no {name}"
    return Plugin(
        kind=kind,
        name=entry.name,
        distribution=name,
        version=distribution.version if distribution else "",
        licence=_licence(distribution) if distribution else "",
        refused=refused,
        entry=entry,
    )


def _licence(distribution: Distribution) -> str:
    """An SPDX expression where there is one (PEP 639), else what older metadata say."""
    said: Any = distribution.metadata
    text = said.get("License-Expression") or next(
        (
            each.removeprefix(_LICENCE_CLASSIFIER)
            for each in said.get_all("Classifier") or ()
            if each.startswith(_LICENCE_CLASSIFIER)
        ),
        said.get("License") or "",
    )
    lines = str(text).splitlines() or [""]
    return lines[0][:_MOST_LICENCE]


def _normal(name: str) -> str:
    """As package indexes compare names (PEP 503)."""
    return re.sub("[-_.]+", "-", name).lower()


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
