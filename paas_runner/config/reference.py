"""Every key that the file may have, in words: for manual pages and for the documents.

It is the walk over what the reader itself goes by: the declarations of the settings classes, the dialect's
lists of GitLab Runner's keys, and those of the executors that are installed. What is not in here is refused.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from paas_runner.config import dialect
from paas_runner.config.lines import KeyPath
from paas_runner.config.model import Config
from paas_runner.config.notify import Receiver
from paas_runner.config.runner import Runner
from paas_runner.config.sections import Executors
from paas_runner.config.spelling import FORWARDED_TABLES
from paas_runner.database_url import DatabaseUrl
from paas_runner.secret import Secret
from paas_runner.setting_types import SCALARS, TABLE_OF_LISTS, GoDuration, SecretText, class_of_tables
from paas_runner.settings import Key, declared

_SECRETS_FILE = "A TOML table of secrets, for values that are written as `secret:KEY`"
_SECRET = (Secret, SecretText, DatabaseUrl)
_SEVERAL: Sequence[KeyPath] = (("docker", "services"),)
"""Of the tables that are handed on those of which there may be more than one."""


class Concern(enum.Enum):
    """Who does something about a key."""

    OURS = "ours"
    FORWARDED = "forwarded"
    """GitLab Runner's, handed on to the inner runner as it is."""
    NOBODY = "without effect"
    """Known, accepted, and of no consequence."""
    ALIAS = "another name"
    """Accepted with a warning."""


@attrs.frozen(kw_only=True)
class KeyEntry:
    """One key: what may stand there, in words, and what it means."""

    key: str
    accepts: str = ""
    """Such as `a whole number of at least 1`; empty for what is handed on unread."""

    default: str = ""
    """As it would be written in the file; empty where there is none."""

    required: bool = False
    secret: bool = False
    meaning: str
    """A sentence, without a stop at its end."""

    concern: Concern = Concern.OURS


@attrs.frozen(kw_only=True)
class KeySection:
    """The keys of one table of the file."""

    header: str
    """As it stands in the file, such as `[[runners]]`; empty for the top of it."""

    executor: str = ""
    """The one by which alone the section gets these keys."""

    keys: Sequence[KeyEntry]

    @property
    def title(self) -> str:
        """What the section is called, in a document."""
        if self.executor:
            return f'{self.header} with executor = "{self.executor}"'
        return self.header or "Global keys"

    def of(self, *concerns: Concern) -> Sequence[KeyEntry]:
        """Those keys, in their order, about which these do something."""
        return [entry for entry in self.keys if entry.concern in concerns]


def reference(executors: Executors) -> Sequence[KeySection]:
    """All sections in the order in which they are told; `executors` are the installed ones."""
    secrets_file = KeyEntry(key=dialect.SECRETS_FILE_KEY, accepts="a path", meaning=_SECRETS_FILE)
    return [
        *_declared_sections("", Config, [secrets_file, *_in_vain(dialect.GLOBAL_KEYS, Config)]),
        *_declared_sections(
            "[[runners]]",
            Runner,
            [
                secrets_file,
                *_forwarded(dialect.FORWARDED_KEYS, tables=dialect.RUNNER_TABLES),
                *_in_vain(dialect.OUTER_KEYS | dialect.WITHOUT_EFFECT, Runner),
            ],
        ),
        *_executor_sections(executors),
        *(
            KeySection(header=_header_at_host(path), keys=[*_forwarded(names)])
            for path, names in FORWARDED_TABLES.items()
        ),
        *_declared_sections("[[notify]]", Receiver),
    ]


def _declared_sections(header: str, cls: type[Any], more: Iterable[KeyEntry] = ()) -> Iterator[KeySection]:
    """The section of a settings class, then those of the tables in it."""
    defaults = {field.name: field.default for field in attrs.fields(cls)}
    keys = [_entry(key, defaults[key.field]) for key in declared(cls)]
    aliases = (
        KeyEntry(key=alias, meaning=f"Another name of `{key}`", concern=Concern.ALIAS)
        for alias, key in dialect.ALIASES.get(cls, {}).items()
    )
    yield KeySection(header=header, keys=[*keys, *aliases, *more])
    for key in declared(cls):
        if key.kind not in SCALARS and attrs.has(key.kind):
            yield from _declared_sections(_inside(header, key.written), key.kind)
        elif inner := class_of_tables(key.kind):
            yield from _declared_sections(_inside(header, f"{key.written}.NAME"), inner)


def _executor_sections(executors: Executors) -> Iterator[KeySection]:
    for name in sorted(executors):
        for section in _declared_sections("[[runners]]", executors[name]().settings):
            yield attrs.evolve(section, executor=name)


def _header_at_host(path: KeyPath) -> str:
    header = f"[{'.'.join(map(str, ('runners', *path)))}]"
    return f"[{header}]" if path in _SEVERAL else header


def _inside(header: str, key: str) -> str:
    """The header of a table in that section."""
    return f"[{'.'.join(filter(None, (header.strip('[]'), key)))}]"


def _entry(key: Key, default: Any) -> KeyEntry:
    return KeyEntry(
        key=key.written,
        accepts=_accepted(key),
        default=_written(key, default),
        required=key.required,
        secret=key.kind in _SECRET,
        meaning=key.doc[:1].upper() + key.doc[1:].removesuffix("."),
    )


def _accepted(key: Key) -> str:
    if key.kind in _SECRET:
        return "a secret"
    if key.kind == TABLE_OF_LISTS:
        return "a table of lists of texts"
    if key.kind == Mapping[str, str]:
        return "a table of texts"
    if class_of_tables(key.kind):
        return "a table for each name"
    most = "" if key.maximum is None else f", at most {key.maximum:g}"
    return key.expected + most


def _written(key: Key, default: Any) -> str:
    """A default as the file would have it."""
    match default:
        case None | "" | () | attrs.NOTHING | attrs.Factory():  # type: ignore[misc]  # a class for it, and a function
            return ""
        case bool():
            return str(default).lower()
        case timedelta() if key.kind is GoDuration:
            return f'"{default.total_seconds():g}s"'
        case timedelta():
            return f"{default.total_seconds():g}"
        case int() | float():
            return f"{default:g}"
        case _:
            return f'"{default}"'


def _forwarded(names: Iterable[str], tables: frozenset[str] = frozenset()) -> Iterator[KeyEntry]:
    for name in sorted(names, key=str.lower):
        yield KeyEntry(
            key=name,
            accepts="a table" if name in tables else "",
            meaning="GitLab Runner's, handed on to the runner on the host",
            concern=Concern.FORWARDED,
        )


def _in_vain(names: Iterable[str], owner: type[Any]) -> Iterator[KeyEntry]:
    instead = dialect.ASKED_IN_VAIN[owner]
    for name in sorted(names):
        reason = f": {instead[name]}" if name in instead else ""
        yield KeyEntry(key=name, meaning=f"Accepted without effect{reason}", concern=Concern.NOBODY)
