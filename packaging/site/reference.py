"""Every key of the configuration, as the settings classes declare them."""

from collections.abc import Iterator

from paas_runner.config.reference import Concern, KeyEntry, KeySection, reference
from paas_runner.executor.contract import installed

_WITHOUT_EFFECT = "Accepted without effect"


def table() -> str:
    """All sections in Markdown."""
    return "\n".join(line for section in reference(installed()) for line in _section(section))


def _section(section: KeySection) -> Iterator[str]:
    yield f"## {_title(section)}\n"
    if ours := section.of(Concern.OURS):
        yield "| Key | Accepts | Default | |"
        yield "|---|---|---|---|"
        yield from map(_row, ours)
        yield ""
    if forwarded := section.of(Concern.FORWARDED):
        names = ", ".join(_code(entry.key) for entry in forwarded)
        yield f"GitLab Runner's own, handed on to the runner on the host as they stand: {names}.\n"
    if in_vain := section.of(Concern.NOBODY):
        yield f"{_WITHOUT_EFFECT}:\n"
        yield from (_item(entry) for entry in in_vain)
        yield ""
    if aliases := section.of(Concern.ALIAS):
        yield "Accepted with a warning:\n"
        yield from (_item(entry) for entry in aliases)
        yield ""


def _title(section: KeySection) -> str:
    if section.executor:
        return f'`{section.header}` with `executor = "{section.executor}"`'
    return _code(section.header) if section.header else section.title


def _row(entry: KeyEntry) -> str:
    default = "required" if entry.required else _code(entry.default) if entry.default else "-"
    return f"| {_code(entry.key)} | {entry.accepts} | {default} | {entry.meaning} |"


def _item(entry: KeyEntry) -> str:
    meaning = entry.meaning.removeprefix(_WITHOUT_EFFECT).removeprefix(": ")
    return f"- {_code(entry.key)}{': ' if meaning else ''}{meaning}"


def _code(text: str) -> str:
    return f"`{text}`"
