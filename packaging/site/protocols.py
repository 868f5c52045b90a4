"""The protocol register: what the code relies on at others, as docs/protocols/*.toml has it."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import cattrs

FOLDER = Path(__file__).parents[2] / "docs" / "protocols"
KINDS = {
    "documented": "by the other side, in public",
    "source": "read in the source of a program that speaks it",
    "observed": "seen on the wire or in a test, with the real program at the other end",
    "assumed": "neither: nothing that must not fail may rest on it",
}

_filled: Any = attrs.validators.min_len(1)


@attrs.frozen(kw_only=True)
class Endpoint:
    """A request that the code makes."""

    method: str = attrs.field(validator=_filled)
    path: str = attrs.field(validator=_filled)
    purpose: str = attrs.field(validator=_filled)
    sends: str = attrs.field(validator=_filled)
    reads: str = attrs.field(validator=_filled)
    source: Sequence[str] = attrs.field(validator=_filled)
    known: str = attrs.field(validator=attrs.validators.in_(KINDS))
    drift: str = attrs.field(validator=_filled)
    sdk: str = ""


@attrs.frozen(kw_only=True)
class Fact:
    """Something beside requests."""

    subject: str = attrs.field(validator=_filled)
    says: str = attrs.field(validator=_filled)
    source: Sequence[str] = attrs.field(validator=_filled)
    known: str = attrs.field(validator=attrs.validators.in_(KINDS))
    drift: str = attrs.field(validator=_filled)


@attrs.frozen(kw_only=True)
class Protocol:
    """All that is relied on at one other side."""

    title: str
    sources: Mapping[str, str]
    endpoint: Sequence[Endpoint] = ()
    fact: Sequence[Fact] = ()

    def __attrs_post_init__(self) -> None:
        named = {name for each in self.endpoint for name in each.source}
        named |= {name for each in self.fact for name in each.source}
        if missing := named - set(self.sources):
            raise ValueError(f"{self.title}: no source is called {sorted(missing)}")


def protocols() -> Mapping[str, Protocol]:
    """By the names of their files; raises ValueError and cattrs' errors for what is incomplete."""
    reader = cattrs.Converter(forbid_extra_keys=True)
    return {
        path.stem: reader.structure(tomllib.loads(path.read_text()), Protocol)
        for path in sorted(FOLDER.glob("*.toml"))
    }


def table(name: str) -> str:
    """One protocol in Markdown."""
    return "\n".join(_written(protocols()[name]))


def _written(protocol: Protocol) -> Iterator[str]:
    if protocol.endpoint:
        yield from _rows("Request", "For", "Sent", "Read", "Known, from", "A drift shows as")
        for each in protocol.endpoint:
            sdk = f"<br>`{each.sdk}`" if each.sdk else ""
            path = each.path.replace("/", "/<wbr>")  # where a narrow column breaks it
            yield _row(
                f"**{each.method}** <code>{path}</code>{sdk}",
                each.purpose,
                each.sends,
                each.reads,
                f"{each.known}: {', '.join(each.source)}",
                each.drift,
            )
        yield ""
    if protocol.fact:
        yield from _rows("Fact", "", "Known, from", "A drift shows as")
        for fact in protocol.fact:
            yield _row(fact.subject, fact.says, f"{fact.known}: {', '.join(fact.source)}", fact.drift)
        yield ""
    yield from _rows("Source", "")
    for name, text in protocol.sources.items():
        yield _row(name, text)
    yield ""


def _rows(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield "|---" * len(titles) + "|"


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
